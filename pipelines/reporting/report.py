"""The report of a run: report.html for people, data/report.md for machines and diffs, a summary for the terminal.

reads   dvc.yaml and params.yaml (what there is to run), data/ (artifacts and pass tokens), runs/ (gate
        reports and run records), docs/test_readings.tsv; the last commit's scores; the other experiments' scores
writes  report.html   one file, no network; times, memory and what changed included
        data/report.md   scores, corpus and gates alone, so that the same artifacts give the same bytes

What is not there is shown as missing; a report of half a run is still a report. What it tells, one subject a page:

stages        what there is to run, and what became of it     words        what lies beside scores of vectors
corpus        documents, labels, tokens                       classifiers  errors, attention, model cards
scores        the best, bake-offs, bytes against quality      codings      images, maps, activities, what is lost
before        what changed since the last commit's run        text         data/report.md and the terminal
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines import charts, layout, workspaces
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.charts import figure
from pipelines.params import World, load_yaml
from pipelines.reporting import before, classifiers, codings, words
from pipelines.reporting.block import shown
from pipelines.reporting.corpus import collisions, splits, token_facts
from pipelines.reporting.metrics import meaning, sign_of
from pipelines.reporting.scores import bake_offs, bests, finite, pareto, tables_of, winners
from pipelines.reporting.stages import Stage, graph, or_missing, read_csv, read_each, settings_of, stages_of
from pipelines.reporting.text import markdown, seconds, sharing, size, terminal


def report(root: Path) -> None:
    """Writes both reports and prints the summary."""
    run = gather(root)
    layout.write_aside(root / layout.SUMMARY, markdown(run))
    layout.write_aside(root / layout.REPORT, page(run))
    print(terminal(run) + f"\n\nreport: {layout.REPORT}", flush=True)


def gather(root: Path) -> dict[str, Any]:
    """All that the reports show, as plain data."""
    missing: list[str] = []
    params = or_missing(missing, {}, load_yaml, root / layout.PARAMS)
    dag = or_missing(missing, {}, load_yaml, root / layout.DAG)
    unread: list[str] = []
    stages = stages_of(root, dag, params, missing, unread)
    world = or_missing(missing, World(), lambda: World(**(params.get("run") or {})))
    tables = {
        stage.row: (stage, finite(stage, frame, missing)) for stage, frame in read_each(stages, Scores, missing, lambda it: it.frame())
    }
    others = workspaces.all_of(root)
    run: dict[str, Any] = {
        "missing": missing,
        "unread": unread,
        "world": world,
        "experiment": workspaces.name_of(root),
        "stages": stages,
        "corpora": [(stage.row, facts) for stage, facts in read_each(stages, Corpus, missing, splits)],
        "tokens": [(stage.row, facts) for stage, facts in read_each(stages, Tokens, missing, token_facts)],
        "collisions": [(stage.row, facts) for stage, facts in read_each(stages, Counts, missing, collisions)],
        **_codings(stages, missing, world.seed),
        "scores": tables,
        "best": bests(tables, stages),
        "before": before.since(root, {row: frame for row, (_, frame) in tables.items()}),
        "curves": [(stage.key, name, curve) for stage in stages for name, curve in or_missing(missing, [], _curves, stage)],
        "attention": list(read_each(stages, Predictions, missing, classifiers.attention)),
        "compared": or_missing(missing, [], _compared, others),
        "workspaces": _workspaces(root, others),
        "settings": settings_of(stages),
        "readings": _readings(root),
    }
    cards = (or_missing(missing, None, classifiers.card, stage, stages, tables, run) for stage in stages)
    run["cards"] = [card for card in cards if card]
    for told in (missing, unread):  # several may have met the same file
        told[:] = dict.fromkeys(line.replace(f"{root.absolute()}/", "") for line in told)
    return run


def _codings(stages: Sequence[Stage], missing: list[str], seed: int) -> dict[str, Any]:
    """Images beside their reconstructions, maps of what has classes, what is lost of words, and how active sparse codings are."""
    found: dict[str, list[Any]] = {"images": [], "maps": [], "losses": [], "activities": []}
    made = {stage.key: stage.artifact for stage in stages if stage.artifact}
    shorter = [
        stage for stage in stages if isinstance(stage.artifact, Codings) and or_missing(missing, False, codings.whole, stage.artifact)
    ]
    for key, vectors in made.items():
        of = [stage.artifact for stage in shorter if key in stage.reads]
        if isinstance(vectors, Vectors) and of:
            found["images"].append(or_missing(missing, None, codings.images, vectors, of, seed))
            found["losses"] += [or_missing(missing, None, codings.lost, it, vectors) for it in of]
            for it in (vectors, *of):
                if sum(map(bool, found["maps"])) < codings.MOST_MAPS:
                    found["maps"].append(or_missing(missing, None, codings.map_of, it, vectors, seed))
    found["activities"] = [or_missing(missing, None, codings.activity, stage.artifact) for stage in shorter]
    return {name: [it for it in all_of if it] for name, all_of in found.items()} | {
        "n_codings": len(shorter),
        "most_maps": codings.MOST_MAPS,
    }


def _curves(stage: Stage) -> list[tuple[str, list[dict[str, float]]]]:
    """(what was trained, its curve): of a row that was trained before it learned from labels, that too."""
    if stage.artifact is None:
        return []
    before = [{name: float(value) for name, value in step.items() if value} for step in read_csv(stage.artifact.folder / "pretraining.csv")]
    return [(name, curve) for name, curve in (("pretraining", before), ("", stage.artifact.curve())) if curve]


def _workspaces(root: Path, others: dict[str, Path]) -> list[dict[str, Any]]:
    """The experiments, each with a link to its report where one lies."""
    here = workspaces.name_of(root)
    found = []
    for name, place in others.items():
        up = "" if here == workspaces.MAIN else "../../"
        link = up + ("" if name == workspaces.MAIN else f"{workspaces.FOLDER}/{name}/") + layout.REPORT
        found.append({"name": name, "here": name == here, "link": link if name != here and (place / layout.REPORT).is_file() else ""})
    return found


def _compared(others: dict[str, Path]) -> list[dict[str, Any]]:
    """Every figure of every experiment; nothing where there is but one."""
    entries = workspaces.scores(others) if len(others) > 1 else []
    entries.sort(key=lambda entry: len(entry["values"]) < 2)
    return [{**entry, "values_of": entry["values"], "shared": len(entry["values"]) > 1} for entry in entries]


def _readings(root: Path) -> list[dict[str, str]]:
    """Those of this experiment's test set; the main checkout keeps the list of all."""
    rows = read_csv(workspaces.main_of(root) / layout.READINGS, "\t")
    return [row for row in rows if row.get("experiment") == workspaces.name_of(root)]


def page(run: dict[str, Any]) -> str:
    """The HTML; Jinja escapes all that comes from data."""
    here = Path(__file__).parent
    jinja = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.globals.update(figure=figure, seconds=seconds, size=size, meaning=meaning, sign_of=sign_of, sharing=sharing, shown=shown)
    jinja.globals["n_readings"] = n_readings
    stages = run["stages"]
    times = [stage.seconds for stage in stages if stage.seconds is not None]
    settings = {stage.key: stage.setting for stage in stages}
    sources = [row for row, _ in run["corpora"]] or [
        stage.row for stage in stages if isinstance(stage.artifact, Vectors) and not stage.reads
    ]
    evaluations = [
        {"name": stage.row, "method": stage.method, **tables_of(frame, settings), "blocks": words.blocks(stage.artifact.folder)}
        for stage, frame in run["scores"].values()
    ]
    return jinja.get_template("report.html.j2").render(
        **run,
        title=", ".join(sources),
        graph=graph(stages) if stages else "",
        winners=winners(run["best"]),
        hashes={stage.key: stage.hash for stage in stages},
        bake_offs=bake_offs(run["scores"], stages),
        pareto=pareto(run["scores"], stages),
        evaluations=evaluations,
        sparse=[{**it, "pictures": codings.pictures(it)} for it in run["activities"]],
        charts=[{"of": key, "of_what": name, **chart} for key, name, curve in run["curves"] for chart in charts.curves(curve)],
        speed=_speeds(run),
        loss_picture=codings.loss_picture,
        total_seconds=sum(times),
        gate_seconds=sum(stage.gate.seconds or 0 for stage in stages),
        most_seconds=max(times, default=0) or 1,
        hosts=sorted({stage.record["host"] for stage in stages if stage.record.get("host")}),
        n_passed=sum(stage.gate.state == "passed" for stage in stages),
    )


def _speeds(run: dict[str, Any]) -> dict[str, float]:
    """Stage -> tokens a second, of those that read one row of tokens itself and whose run is on record."""
    n_tokens = {f"tokens/{row}": sum(it["tokens"] for it in facts["splits"]) for row, facts in run["tokens"]}
    found = {}
    for stage in run["stages"]:
        texts = [n_tokens[key] for key in {*stage.reads, stage.key} if key in n_tokens]
        if len(texts) == 1 and stage.seconds and stage.noun != "scores":
            found[stage.key] = texts[0] / stage.seconds
    return found


def n_readings(readings: list[dict[str, str]]) -> int:
    """How often test was scored: one reading gives a line for each of its metrics."""
    seen: dict[tuple[str | None, str | None], dict[str | None, int]] = {}
    for row in readings:
        counts = seen.setdefault((row.get("commit"), row.get("row")), {})
        counts[row.get("metric")] = counts.get(row.get("metric"), 0) + 1
    return sum(max(counts.values()) for counts in seen.values())

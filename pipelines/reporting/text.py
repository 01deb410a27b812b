"""The report's plain forms: the summary that lies in data/, and what the terminal shows."""

from typing import Any

import pandas as pd

from pipelines.charts import figure


def markdown(run: dict[str, Any]) -> str:
    """What the artifacts decide and nothing else: no time, no host, no link. The longest table is the last: a pull request cuts what is long."""
    world = run["world"]
    settings = {stage.key: stage.setting for stage in run["stages"]}
    gates = [[stage.key, stage.method, stage.holds, stage.gate.state, stage.gate.n_expectations, stage.hash] for stage in run["stages"]]
    parts = [
        "# Report\n",
        f"{len(run['stages'])} rows, seed {world.seed}, {world.threads} threads, {world.device}. Scores are of the validation split.\n",
        *(f"- missing: {_cell(line)}" for line in run["missing"]),
        "\n## Best of each kind\n",
        _table(["evaluation", "figure", "best", "value", "n", "interval overlaps with"], [_best_cells(line) for line in run["best"]]),
        "\n## Corpus\n",
        _table(
            ["corpus", "split", "documents", "labelled", "classes"],
            [[row, split["split"], *(f"{split[key]:,}" for key in ("documents", "labelled", "classes"))] for row, split in splits_of(run["corpora"])],
        ),
        "",
        _table(
            ["tokens", "split", "tokens", "median length", "unknown"],
            [[row, split["split"], f"{split['tokens']:,}", f"{split['median']:g}", f"{split['unknown']:.2%}"] for row, split in splits_of(run["tokens"])],
        ),
        *(["", _table(
            ["counts", "tokens", "buckets", "buckets in use", "tokens that share theirs"],
            [[row, *(f"{it[key]:,}" for key in ("tokens", "buckets", "buckets_used")), sharing(it)] for row, it in run["collisions"]],
        )] if run["collisions"] else []),
        *(["\n## Sparse codings\n", _table(
            ["codings", "units", "mean activity", "target", "lowest", "highest", "activities above 0 (0.5 with a target)", "units never active"],
            [[it["of"], it["units"], *(_figure(it[key]) for key in ("mean", "target", "low", "high")), f"{it['active']:.1%}", it["never"]] for it in run["activities"]],
        )] if run["activities"] else []),
        "\n## Inductive or transductive\n",
        _table(["setting", "held-out text in what they were trained on", "which"], [[it["setting"], it["seen"], ", ".join(it["of"])] for it in run["settings"]]),
        "\n## Gates\n",
        _table(["artifact", "method", "holds", "gate", "expectations", "hash"], gates),
        "\n## Scores\n",
        _table(
            ["evaluation", "of", "metric", "on", "value", "low", "high", "n", "setting", "note"],
            [
                [row, line["of"], line["metric"], line["on"], *(_figure(line[key]) for key in ("value", "low", "high")),
                 f"{line['n']:,}", settings.get(line["of"], ""), line["note"]]
                for row, (_, frame) in run["scores"].items()
                for line in frame.to_dict("records")
            ],
        ),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _figure(value: Any) -> str:
    return figure(None if pd.isna(value) else value)


def _best_cells(line: dict[str, Any]) -> list[str]:
    return [
        line["evaluation"], f"{line['metric']} on {line['on']}", line["of"], _with_interval(line), f"{line['n']:,}",
        "; ".join(filter(None, [", ".join(line["overlap"]) or ("none" if line["among"] > 1 else "nothing else was scored"), line["rival"]])),
    ]  # fmt: skip


def _with_interval(line: dict[str, Any]) -> str:
    return figure(line["value"]) + (f" [{figure(line['low'])}, {figure(line['high'])}]" if line["low"] is not None else "")


def _table(heads: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return "missing"
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def _cell(value: Any) -> str:
    """Text that stays within its cell, and means itself."""
    text = " ".join(str(value).split())
    for mark in ("\\", "|", "`", "*", "<", "[", "]"):
        text = text.replace(mark, "\\" + mark)
    return text


def terminal(run: dict[str, Any]) -> str:
    """The best figures, and where the time went."""
    lines = ["", "best of each (validation), with its 95 % interval"]
    best = [_best_cells(line) for line in run["best"]] or [["no scores yet"]]
    lines += _aligned([[*cells[:4], f"n = {cells[4]}"] if len(cells) > 1 else cells for cells in best])
    timed = sorted((stage for stage in run["stages"] if stage.seconds is not None), key=lambda stage: -stage.seconds)
    total = sum(stage.seconds for stage in timed)
    gates = [stage.gate.seconds for stage in run["stages"] if stage.gate.seconds is not None]
    lines += ["", f"time: {seconds(total)} in {len(timed)} stages, {seconds(sum(gates))} in {len(gates)} gates; the longest stages"]
    lines += _aligned(
        [
            [f"{s.verb}/{s.row}", s.method, seconds(s.seconds), f"{s.seconds / max(total, 1e-9):.0%}", size(s.record.get("peak_bytes"))]
            for s in timed[:8]
        ]
    )
    missing = run["missing"] + run["unread"]
    lines += ["", *(f"missing: {line}" for line in missing)] if missing else []
    return "\n".join(lines)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows), default=0))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def splits_of(facts: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return [(row, split) for row, fact in facts for split in fact["splits"]]


def sharing(collisions: dict[str, int]) -> str:
    return f"{collisions['tokens_sharing']:,} ({collisions['tokens_sharing'] / max(collisions['tokens'], 1):.1%})"


def seconds(value: float | None) -> str:
    if value is None:
        return "time unknown"
    if value < 9.95:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"


def size(n_bytes: float | None) -> str:
    if n_bytes is None:
        return ""
    for unit, power in (("GB", 3), ("MB", 2), ("kB", 1)):
        if n_bytes >= 1024**power:  # as the stages print it
            return f"{n_bytes / 1024**power:,.{0 if n_bytes >= 10 * 1024**power else 1}f} {unit}"
    return f"{n_bytes} bytes"

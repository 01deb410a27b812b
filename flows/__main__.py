"""The `wordloom` command. What a subcommand needs is imported when it is called: the rest starts at once."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import asking
from flows.terminal import ROOT, Targets, in_project, rows_of, show
from pipelines.errors import Fault
from pipelines.layout import DAG, REPORT, SUMMARY

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Text, or anything in sequences, to word vectors, codings, a trained classifier and an honest report.",
)  # fmt: skip


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="New, or empty.", metavar="DIR")]) -> None:
    """Start a project of your own in a folder."""
    from flows import init as starting

    print("\n".join(starting.init(folder)))


@app.command()
def run(
    rows: Targets = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many stages run at a time.")] = 2,
    wait: Annotated[bool, typer.Option(help="Wait for a run that is under way here, or fail.")] = True,
    workers: Annotated[bool, typer.Option("--workers", help="Send the stages to workers of their queues.")] = False,
    remote: Annotated[
        str | None, typer.Option(help="The DVC remote between workers that have clones of their own.", metavar="NAME")
    ] = None,
) -> None:
    """Bring the DAG of dvc.yaml up to date, by a Prefect flow."""
    from flows import graph
    from tasks import dvc, report, workspace

    in_project()
    if remote and not workers:
        raise Fault("--remote is how workers with clones of their own get their data; it needs --workers")
    with workspace.alone(ROOT, wait):
        part = graph.read(ROOT).of(rows or [])
        locked, found = dvc.read_lock(ROOT), dvc.status(ROOT)
        if not any(graph.due(ROOT, part, name, found, (), locked) for name in part.stages):
            dvc.order_lock(ROOT)
            print(f"all {len(part.stages)} stages are up to date", flush=True)
            status = 0
        else:
            try:
                status = _train(rows or [], jobs, workers, remote)
            except KeyboardInterrupt:
                print("stopped; nothing half-written is left. To go on: wordloom run", file=sys.stderr, flush=True)
                status = 130
        if status == 0 and any(SUMMARY in stage.outs for stage in part.stages.values()):
            report.complete(ROOT)
    sys.exit(status)


def _train(rows: list[str], jobs: int, workers: bool, remote: str | None) -> int:
    """Runs the flow in this process; gives the exit status."""
    from prefect.settings import PREFECT_API_URL

    from flows import place, server

    url = PREFECT_API_URL.value()
    if url:
        place.answers(url)
    elif workers:
        raise Fault(
            "no Prefect server is named, so there are no workers. Start one: wordloom server; then say: export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    else:
        print("Prefect: starting a server for this run", flush=True)
        url = server.embed(ROOT)
    print(f"Prefect: {url.removesuffix('/api')}", flush=True)
    from flows.train import train

    state = train(str(ROOT.resolve()), rows, jobs, workers=workers, remote=remote, return_state=True)
    print(state.message or state.name, file=sys.stdout if state.is_completed() else sys.stderr, flush=True)
    return 0 if state.is_completed() else 2


@app.command()
def worker(
    queues: Annotated[list[str] | None, typer.Argument(help="The queues it serves; all when none is given.", metavar="QUEUE...")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many runs at a time.")] = None,
) -> None:
    """Start a worker here: it runs what the schedule and other runs send to its queues, in this folder."""
    from flows import place

    in_project()
    sys.exit(place.work(ROOT, queues or [], limit))


@app.command()
def server(
    host: Annotated[str, typer.Option(help="The address of this machine on which it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
    database: Annotated[
        str | None,
        typer.Option(help="postgresql+asyncpg://USER@HOST/NAME; a password comes from the environment.", metavar="URL"),
    ] = None,
) -> None:
    """Run Prefect's server, with this project deployed on it, until Ctrl-C."""
    from flows import server as prefect_server

    in_project()
    prefect_server.serve(ROOT, host, port, database)


@app.command()
def deploy(
    gpus: Annotated[int | None, typer.Option(min=1, help="How many runs of the queue gpu at a time; 1, or what it was.")] = None,
) -> None:
    """Tell the Prefect server of this project: queues, deployments, automations."""
    in_project()
    from prefect.settings import PREFECT_API_URL

    from flows import place
    from flows.deploy import deploy as tell

    url = PREFECT_API_URL.value()
    if not url:
        raise Fault("no Prefect server is named. Start one: wordloom server; and say here where it is: export PREFECT_API_URL=...")
    place.answers(url)
    for line in tell(ROOT, gpus):
        print(line)


@app.command()
def plan(rows: Targets = None, everything: Annotated[bool, typer.Option("--all", help="Show what is up to date, too.")] = False) -> None:
    """Show what would run, and why."""
    from flows import graph
    from flows import plan as planning

    in_project()
    print(planning.text(ROOT, graph.read(ROOT).of(rows or []), everything))


@app.command()
def dag(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when dvc.yaml is not right.")] = False) -> None:
    """Write dvc.yaml from params.yaml."""
    from pipelines import dag as writer

    in_project()
    if not check:
        print("dvc.yaml written" if writer.write(ROOT) else "dvc.yaml is up to date")
        return
    try:
        writer.check(ROOT)
    except Fault as fault:
        _say(fault)
        sys.exit(1)


@app.command()
def lock() -> None:
    """Write dvc.lock in dvc.yaml's order, without stages that are gone."""
    from tasks import dvc

    in_project()
    print("dvc.lock written in order" if dvc.order_lock(ROOT) else "dvc.lock is in order")


@app.command()
def new(
    source: Annotated[
        str, typer.Argument(help="A table, a text, a graph, FASTA, a wiki's dump, or a folder of texts.", metavar="FILE|FOLDER")
    ],
    name: Annotated[str | None, typer.Option(help="Of the experiment; else the file's.", metavar="NAME")] = None,
    sample: Annotated[int, typer.Option(min=0, help="A first run on about so many documents; 0 is all.", metavar="N")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over an experiment's file of that name.")] = False,
) -> None:
    """Look at data of your own, and write experiments/NAME.yaml for it."""
    from flows import new as starting

    in_project()
    made = starting.new(ROOT, source, name, sample, force)
    for table in made.tables:
        show(table)
    for note in made.notes:
        print(f"note: {starting.comment(note)}")
    print(f"written: {made.file}; what is guessed wrong is mended there, by hand. Then run: wordloom experiment {made.name}")


@app.command()
def experiment(
    which: Annotated[str | None, typer.Argument(help="An experiment of experiments/, or a parameter file.", metavar="NAME|FILE")] = None,
    options: Annotated[list[str] | None, typer.Argument(help="After --: options of the driver.", metavar="[-- OPTION...]")] = None,
    prefect: Annotated[bool, typer.Option("--prefect", help="Run the Prefect flow instead of dvc repro.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Run it with another seed, in .wordloom/NAME-N.", metavar="N")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the experiments that have a worktree.")] = False,
    remove: Annotated[str | None, typer.Option(help="Remove an experiment's worktree and its data.", metavar="NAME")] = None,
) -> None:
    """Run a parameter file in a git worktree of its own, .wordloom/NAME."""
    from flows import experiments
    from flows.git import git, main_checkout
    from tasks import report

    in_project()
    main = main_checkout(ROOT)
    if show:
        for name in experiments.names(main):
            print(f"{name}  {git(experiments.place(main, name), 'rev-parse', '--short', 'HEAD')}  {experiments.place(main, name)}")
        return
    if remove:
        experiments.remove(main, remove)
        print(f"{experiments.place(main, remove)} is gone; the cache keeps what it made")
        return
    if which is None:
        raise Fault(
            f"which experiment? NAME, FILE, --list or --remove NAME; files: {', '.join(p.stem for p in sorted((main / experiments.FILES).glob('*.yaml')))}"
        )
    name, source = experiments.resolve(main, which)
    text = None
    if seed is not None:
        name, text = f"{name}-{seed}", experiments.seeded(source, seed)
    commit = git(main, "rev-parse", "--short", "HEAD")
    _not_committed(main, "experiment", source)
    with experiments.readied(main, experiments.place(main, name), source, text, "HEAD") as tree:  # not one in which a nightly run works
        pass
    print(f"{name}: commit {commit} in {tree}", flush=True)
    status = experiments.run(tree, options or [], prefect)
    if status == 0:
        report.complete(tree)
    if (tree / REPORT).exists():
        print(f"{name}: report at {tree / REPORT}")
    sys.exit(status)


def _not_committed(main: Path, what: str, *sources: Path) -> None:
    """Says what somebody may think to be in the worktree, and is not."""
    from flows import experiments
    from flows.git import git

    edited, commit = experiments.left_out(main, *sources), git(main, "rev-parse", "--short", "HEAD")
    if edited:
        first = f"{', '.join(edited[:5])}{' ...' if len(edited) > 5 else ''}"
        print(f"the {what} runs commit {commit}; files not committed and so not in it, {len(edited)}: {first}", file=sys.stderr)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="Which rows to multiply, and how; docs/sweeps.md says what it holds.", metavar="FILE")],
    jobs: Annotated[int | None, typer.Option(min=1, help="How many stages run at a time; else as the file says.")] = None,
    workers: Annotated[bool, typer.Option("--workers", help="Stages go to the queues' workers, as in wordloom run.")] = False,
    remote: Annotated[str | None, typer.Option(help="As in wordloom run.", metavar="NAME")] = None,
    table: Annotated[bool, typer.Option("--table", help="Run nothing; show the table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
) -> None:
    """Run a row with many values of its knobs, and show their scores side by side."""
    from flows import sweep as sweeps
    from flows import tables
    from flows.git import main_checkout

    in_project()
    main = main_checkout(ROOT)
    it = sweeps.read(main, file)
    status = 0
    if not table:
        _not_committed(main, "sweep", it.file, it.base)
        tree = sweeps.prepare(main, it)
        n = sum(bool(row.points) for row in it.all())
        print(f"{it.name}: {len(sweeps.points_of(it))} points, {n} rows, in {tree}", file=sys.stderr, flush=True)
        status = sweeps.run(main, it, jobs, workers, remote)
        if status == 0:
            try:
                print(f"{it.name}: kept as the DVC experiment {sweeps.save(tree, it)}", file=sys.stderr)
            except Fault as fault:  # the sweep is done and its table can be shown
                print(f"{it.name}: not kept as a DVC experiment: {fault}", file=sys.stderr)
    elif not (sweeps.place(main, it) / ".git").is_file():
        raise Fault(f"{file} has not run yet. Run: wordloom sweep {file}")
    found = sweeps.lines(sweeps.place(main, it), it)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        show(tables.sweep(found))
    sys.exit(status)


def _workspaces(names: list[str]) -> dict[str, Path]:
    """Name -> folder: the main checkout, then the experiments; only those named, when some are."""
    from flows import experiments
    from flows.git import main_checkout
    from pipelines.errors import nearest

    in_project()
    main = main_checkout(ROOT)
    there = {"main": main, **{name: experiments.place(main, name) for name in experiments.names(main)}}
    faults = [
        f"there is no experiment {name!r}; there are {', '.join(there)}.{nearest(name, there)}" for name in names if name not in there
    ]
    if faults:
        raise Fault(faults)
    return {name: there[name] for name in names} if names else there


def _are_rows(names: list[str]) -> bool:
    """Whether one of them is a row here, unless both are workspaces."""
    from flows import experiments
    from flows.git import main_checkout
    from pipelines.registry import VERBS
    from pipelines.use.rows import rows

    in_project()
    there = ["main", *experiments.names(main_checkout(ROOT))]
    known = [name for verb in VERBS for row in rows(ROOT, verb) for name in (row, f"{verb}/{row}")]
    return not all(name in there for name in names) and any("/" in name or name in known for name in names)


@app.command()
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="main, and experiments, all when none is given; or two rows of one stage, as ROW or verb/ROW.", metavar="NAME...|ROW ROW",
            autocompletion=rows_of(embed="embed/", compress="compress/", classify="classify/"),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:  # fmt: skip
    """Show the scores of the main checkout and of experiments side by side, or all in which two rows differ."""
    from flows import tables
    from pipelines.workspaces import scores

    if names and len(names) == 2 and _are_rows(names):
        from pipelines.use import compare as rows

        found = rows.compare(ROOT, *names)
        if as_json:
            print(json.dumps(found, indent=1, ensure_ascii=False))
        else:
            for part in rows.text(found):
                show(part)
        return
    workspaces = _workspaces(names or [])
    entries = scores(workspaces)
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    if not entries:
        raise Fault(f"no scores in {', '.join(workspaces)}. Run: wordloom run")
    show(tables.compared(entries, workspaces))
    print(tables.readings_text(_workspaces([])["main"]))


@app.command()
def final(
    row: Annotated[str, typer.Argument(help="A row of classify, as ROW or classify/ROW.")],
    experiment: Annotated[str, typer.Option(help="Where the row is: main, or an experiment.")] = "main",
    again: Annotated[bool, typer.Option("--again", help="Read it again at the same commit; that is written down too.")] = False,
) -> None:
    """Score the test set of a classifier, once, and write that down in docs/test_readings.tsv."""
    from flows import final as reading
    from flows import tables

    main, root = _workspaces(["main"])["main"], _workspaces([experiment])[experiment]
    row = row.removeprefix("classify/")
    for score in reading.final(main, root, experiment, row, again):
        interval = "" if score.get("low") is None else f" [{score['low']:.4f}, {score['high']:.4f}]"
        print(f"{score['metric']} {score['value']:.4f}{interval}, n {score['n']}")
    n = tables.readings(main)[experiment, f"classify/{row}"]
    print(f"The test set of {experiment} classify/{row} has now been read {n} times; {tables.READINGS} has it, to be committed")


@app.command()
def accept(
    artifacts: Annotated[list[str] | None, typer.Argument(help="NOUN/ROW; all when none is given.", metavar="NOUN/ROW...")] = None,
) -> None:
    """Keep what these artifacts are like in reference/: gates compare later ones with it."""
    from flows import accept as accepting

    in_project()
    written = accepting.accept(ROOT, artifacts or [])
    print(f"{len(written)} accepted; reference/ and {DAG} are to be committed. The gates compare with them from the next run on")


@app.command()
def report() -> None:
    """Write report.html and data/report.md."""
    in_project()
    from pipelines.reporting.report import report as write

    write(ROOT)


@app.command()
def runs(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show what each run of a stage took."""
    from flows import tables

    in_project()
    found = tables.records(ROOT)
    if as_json:
        print(json.dumps(found, indent=1))
    elif not found:
        print("no stage has run here yet. Run: wordloom run")
    else:
        show(tables.runs(found))


@app.command()
def verify(
    rows: Targets = None,
    remote: Annotated[str | None, typer.Option(help="A DVC remote that is hashed, too; else the default serves --repair.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make it whole: from data/, the remote, or by running again.")] = False,
) -> None:
    """Hash what dvc.lock refers to, in DVC's cache and in data/."""
    from flows import verify as verifying

    in_project()
    print(verifying.verify(ROOT, rows or [], remote, repair))


@app.command()
def push(rows: Targets = None, remote: Annotated[str | None, typer.Option(help="A DVC remote; else the default.")] = None) -> None:
    """Hash what these rows made, and upload it to a DVC remote."""
    from flows.verify import size, stages_of
    from tasks import store

    in_project()
    n, n_bytes = store.push(ROOT, stages_of(ROOT, rows or []), remote)
    print(f"{n:,} objects, {size(n_bytes)}, are at the remote")


@app.command()
def clean(
    keep_days: Annotated[int, typer.Option(min=0, help="What is younger stays, and what commits of these days refer to.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would be.")] = False,
) -> None:
    """Remove what killed runs left, old checkpoints, and what nothing refers to in DVC's cache."""
    from flows import cleanup
    from flows.git import main_checkout
    from flows.verify import size

    in_project()
    done = cleanup.clean(main_checkout(ROOT), keep_days, dry_run)
    print("\n".join([*done.lines, f"{size(done.n_bytes)} {'would be freed' if dry_run else 'freed'}"]))


app.add_typer(asking.app)


def _say(fault: Fault) -> None:
    for line in fault.faults:
        print(f"fault: {line}", file=sys.stderr)


def main() -> None:
    try:
        app()
    except Fault as fault:
        _say(fault)
        sys.exit(2)


if __name__ == "__main__":
    main()

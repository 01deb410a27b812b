"""The `wordloom` command. What a subcommand needs is imported when it is called: the rest starts at once."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import Fault
from pipelines.layout import DAG, PARAMS, REPORT, SUMMARY

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Text, or anything in sequences, to word vectors, codings, a trained classifier and an honest report.",
)  # fmt: skip
ROOT = Path(".")  # the project is where the command is given


def _in_project() -> None:
    """Raises Fault where there is no project, before anything is written there."""
    if not (ROOT / PARAMS).exists() and not (ROOT / DAG).exists():
        raise Fault(f"no project here, in {ROOT.resolve()}: go to the folder that holds {PARAMS}")


Targets = Annotated[
    list[str] | None, typer.Argument(help="Stage names or verb/row, with what they need; all when none is given.", metavar="ROW...")
]


@app.command()
def run(
    rows: Targets = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many stages run at a time.")] = 2,
    wait: Annotated[bool, typer.Option(help="Wait for a run that is under way here, or fail.")] = True,
) -> None:
    """Bring the DAG of dvc.yaml up to date, by a Prefect flow."""
    from flows import graph
    from tasks import dvc, report, workspace

    _in_project()
    with workspace.alone(ROOT, wait):
        part = graph.read(ROOT).of(rows or [])
        found, locked = dvc.status(ROOT), dvc.read_lock(ROOT)
        if not any(graph.due(ROOT, part, name, found, (), locked) for name in part.stages):
            dvc.order_lock(ROOT)
            print(f"all {len(part.stages)} stages are up to date", flush=True)
            status = 0
        else:
            try:
                status = _train(rows or [], jobs)
            except KeyboardInterrupt:
                print("stopped; nothing half-written is left. To go on: wordloom run", file=sys.stderr, flush=True)
                status = 130
        if status == 0 and any(SUMMARY in stage.outs for stage in part.stages.values()):
            report.complete(ROOT)
    sys.exit(status)


def _train(rows: list[str], jobs: int) -> int:
    """Runs the flow in this process; gives the exit status."""
    from prefect.settings import PREFECT_API_URL

    from flows import server

    url = PREFECT_API_URL.value()
    if url:
        _answers(url)
    else:
        print("Prefect: starting a server for this run", flush=True)
        url = server.embed(ROOT)
    print(f"Prefect: {url.removesuffix('/api')}", flush=True)
    from flows.train import train

    state = train(str(ROOT.resolve()), rows, jobs, return_state=True)
    print(state.message, file=sys.stdout if state.is_completed() else sys.stderr, flush=True)
    return 0 if state.is_completed() else 2


def _answers(url: str) -> None:
    """Raises Fault when no server is there: Prefect would show a traceback."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise Fault(f"no Prefect server answers at {url} ({error}). Start it, or unset PREFECT_API_URL to get one for the run") from error


@app.command()
def plan(rows: Targets = None, everything: Annotated[bool, typer.Option("--all", help="Show what is up to date, too.")] = False) -> None:
    """Show what would run, and why."""
    from flows import graph
    from flows import plan as planning

    _in_project()
    print(planning.text(ROOT, graph.read(ROOT).of(rows or []), everything))


@app.command()
def dag(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when dvc.yaml is not right.")] = False) -> None:
    """Write dvc.yaml from params.yaml."""
    from pipelines import dag as writer

    _in_project()
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

    _in_project()
    print("dvc.lock written in order" if dvc.order_lock(ROOT) else "dvc.lock is in order")


@app.command()
def experiment(
    which: Annotated[str | None, typer.Argument(help="An experiment of experiments/, or a parameter file.", metavar="NAME|FILE")] = None,
    options: Annotated[list[str] | None, typer.Argument(help="After --: options of the driver.", metavar="[-- OPTION...]")] = None,
    prefect: Annotated[bool, typer.Option("--prefect", help="Run the Prefect flow instead of dvc repro.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the experiments that have a worktree.")] = False,
    remove: Annotated[str | None, typer.Option(help="Remove an experiment's worktree and its data.", metavar="NAME")] = None,
) -> None:
    """Run a parameter file in a git worktree of its own, .wordloom/NAME."""
    from flows import experiments
    from flows.git import changed, git, main_checkout
    from tasks import dvc, report

    _in_project()
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
    commit = git(main, "rev-parse", "--short", "HEAD")
    # it has a dvc.lock of its own, and the parameters are those of the file, committed or not
    edited = [path for path in changed(main, untracked=True) if path != dvc.LOCK and (main / path).resolve() != source.resolve()]
    if edited:
        first = f"{', '.join(edited[:5])}{' ...' if len(edited) > 5 else ''}"
        print(f"the experiment runs commit {commit}; files not committed and so not in it, {len(edited)}: {first}", file=sys.stderr)
    tree = experiments.prepare(main, name, source)
    print(f"{name}: commit {commit} in {tree}", flush=True)
    status = experiments.run(tree, options or [], prefect)
    if status == 0:
        report.complete(tree)
    if (tree / REPORT).exists():
        print(f"{name}: report at {tree / REPORT}")
    sys.exit(status)


def _workspaces(names: list[str]) -> dict[str, Path]:
    """Name -> folder: the main checkout, then the experiments; only those named, when some are."""
    from flows import experiments
    from flows.git import main_checkout
    from pipelines.errors import nearest

    _in_project()
    main = main_checkout(ROOT)
    there = {"main": main, **{name: experiments.place(main, name) for name in experiments.names(main)}}
    faults = [
        f"there is no experiment {name!r}; there are {', '.join(there)}.{nearest(name, there)}" for name in names if name not in there
    ]
    if faults:
        raise Fault(faults)
    return {name: there[name] for name in names} if names else there


@app.command()
def compare(
    names: Annotated[list[str] | None, typer.Argument(help="main, and experiments; all when none is given.", metavar="NAME...")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show the scores of the main checkout and of experiments side by side."""
    from flows import tables

    workspaces = _workspaces(names or [])
    entries = tables.scores(workspaces)
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    if not entries:
        raise Fault(f"no scores in {', '.join(workspaces)}. Run: wordloom run")
    _show(tables.compared(entries, workspaces))
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
def report() -> None:
    """Write report.html and data/report.md."""
    _in_project()
    from pipelines.report import report as write

    write(ROOT)


@app.command()
def runs(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show what each run of a stage took."""
    from flows import tables

    _in_project()
    found = tables.records(ROOT)
    if as_json:
        print(json.dumps(found, indent=1))
    elif not found:
        print("no stage has run here yet. Run: wordloom run")
    else:
        _show(tables.runs(found))


def _show(table: object) -> None:
    """A table, at a terminal's width; in full where the output is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table)


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

"""params.yaml + the registry -> dvc.yaml: one explicit stage per row and per gate, in reading order.

DVC's `foreach` cannot say this: rows with different inputs do not parse, and lists cannot be
interpolated. So the file is written, committed, and never edited by hand.
"""

import ast
import importlib.util
import io
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines import layout, registry
from pipelines.errors import Fault
from pipelines.layout import DAG, PARAMS, write_aside
from pipelines.params import GATES, Row, load_yaml, read

# `exec` in every cmd: the shell that DVC starts becomes the stage, so a killed DVC has no shell left
# between it and the stage, which then ends too
HEADER = "# Written by `wordloom dag` from params.yaml; edit that, not this.\n"


def stage_name(verb: str, row: str) -> str:
    return f"{verb}-{row}"


def gate_name(noun: str, row: str) -> str:
    return f"check-{noun}-{row}"


def write(root: Path) -> bool:
    """Writes dvc.yaml; False when it was already what it has to be."""
    _link(root)
    text = render(root)
    path = root / DAG
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_aside(path, text)
    return True


def _link(root: Path) -> None:
    """Gives a project that uses an installed Wordloom its `pipelines`: a link to the package, so that stages depend on its files."""
    link, package = root / "pipelines", Path(__file__).resolve().parent
    if link.resolve() == package or (link.exists() and not link.is_symlink()):
        return
    link.unlink(missing_ok=True)  # to where the package was
    link.symlink_to(package, target_is_directory=True)


def check(root: Path) -> None:
    """Raises Fault for a params.yaml with faults, or a dvc.yaml that is not what it implies."""
    path = root / DAG
    if not path.exists() or path.read_text(encoding="utf-8") != render(root):
        raise Fault(f"{DAG} is not what {PARAMS} and the code imply. Run: wordloom dag")


def check_stage(root: Path, row: Row) -> None:
    """Raises Fault when dvc.yaml does not have a row's stage as it has to be.

    Each stage asks this of itself: a new import in a method's file makes DVC run the stage again, and
    would not be among the dependencies that DVC then locks.
    """
    name = stage_name(row.verb, row.name)
    there = (load_yaml(root / DAG).get("stages") or {}).get(name)
    if there != _row_stage(row):
        raise Fault(
            f"{DAG}: stage {name} {'is missing' if there is None else 'is not what ' + PARAMS + ' and the code imply'}. Run: wordloom dag"
        )


def render(root: Path) -> str:
    """The text of dvc.yaml."""
    rows = ordered(read(root))
    gates = bool(load_yaml(root / PARAMS).get(GATES))
    stages: dict[str, Any] = {"params": _params_stage(root)}
    for row in rows:
        stages[stage_name(row.verb, row.name)] = _row_stage(row)
        stages[gate_name(row.noun, row.name)] = _gate_stage(root, row, gates)
    stages["report"] = _report_stage(rows)
    tree = {"stages": stages, "metrics": _metrics(rows), "plots": _plots(rows)}
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    yaml.dump({key: value for key, value in tree.items() if value}, text)
    return HEADER + text.getvalue()


def ordered(rows: list[Row]) -> list[Row]:
    """What is read before what reads it, else as they come."""
    placed: dict[tuple[str, str], Row] = {}
    by_name = {(row.noun, row.name): row for row in rows}

    def place(row: Row) -> None:
        if (row.noun, row.name) in placed:
            return
        for needed in _reads(row):
            place(by_name[needed])
        placed[row.noun, row.name] = row

    for row in rows:
        place(row)
    return list(placed.values())


def _reads(row: Row) -> list[tuple[str, str]]:
    return [(row.method.inputs[argument].noun.noun, name) for argument, names in row.inputs.items() for name in names]


def _params_stage(root: Path) -> dict[str, Any]:
    # its output has always the same bytes, so a change of one row re-runs that row alone
    own = [registry.OWN] if (root / registry.OWN).is_dir() else []
    return {
        "cmd": "exec python -m pipelines params",
        "desc": f"all of {PARAMS} is valid, and {DAG} is what it implies",
        "deps": ["pipelines", *own, PARAMS],  # DVC takes no dvc.yaml for a dependency; see check_stage
        "outs": [layout.PARAMS_TOKEN],
        "meta": {"verb": "params", "row": "all", **registry.Placement().model_dump()},
    }


def _row_stage(row: Row) -> dict[str, Any]:
    reads = _reads(row)
    deps = [path for noun, name in reads for path in (layout.artifact(noun, name), layout.pass_token(noun, name))]
    if not reads:
        deps.append(layout.PARAMS_TOKEN)
    return {
        "cmd": f"exec python -m pipelines {row.verb} {row.name}",
        "deps": [*deps, *_sources(row), *_code(row)],
        "params": ["run", f"{row.verb}.{row.name}"],
        "outs": [layout.artifact(row.noun, row.name)],
        "meta": {"verb": row.verb, "row": row.name, **row.placement.model_dump()},
    }


def _sources(row: Row) -> list[str]:
    """The files that a row reads besides its inputs, which DVC must be able to name."""
    found = row.method.sources(row.knobs)
    wrong = [path for path in found if not path or not path.isprintable() or "${" in path or path.startswith("data/")]
    if wrong:
        raise Fault(
            f"{PARAMS}: {row.verb}.{row.name} reads {path!r}; a source is outside data/, in printable characters without '${{'"
            for path in wrong
        )
    return found


def _code(row: Row) -> list[str]:
    return own_closure(row.method.own, row.method.module) if row.method.own else closure(row.method.module)


def _gate_stage(root: Path, row: Row, gates: bool) -> dict[str, Any]:
    noun = registry.VERBS[row.verb]
    reference = layout.reference(row.noun, row.name)
    asked = {*closure(noun.__module__), "pipelines/expect.py", "pipelines/reference.py"}
    return {
        "cmd": f"exec python -m pipelines check {row.noun} {row.name}",
        "deps": [layout.artifact(row.noun, row.name), *([reference] if (root / reference).exists() else []), *sorted(asked)],
        **({"params": [GATES]} if gates else {}),
        "outs": [layout.pass_token(row.noun, row.name)],
        "meta": {"verb": "check", "row": f"{row.noun}-{row.name}", **registry.Placement().model_dump()},
    }


def _report_stage(rows: list[Row]) -> dict[str, Any]:
    # a pass token names its artifact's hash, so it stands for the artifact
    tokens = [layout.pass_token(row.noun, row.name) for row in rows]
    page = [f"pipelines/reporting/{path.name}" for path in sorted((Path(__file__).parent / "reporting").glob("*.j2"))]
    return {
        "cmd": "exec python -m pipelines report",
        "deps": [*tokens, *page, *closure("pipelines.reporting.report")],
        # persist: not from the run-cache, which would bring the summary back without report.html beside it
        "outs": [{layout.SUMMARY: {"persist": True}}],
        "meta": {"verb": "report", "row": "all", **registry.Placement().model_dump()},
    }


def _metrics(rows: list[Row]) -> list[str]:
    return [f"{layout.artifact('scores', row.name)}/metrics.json" for row in rows if row.verb == "evaluate"]


def _plots(rows: list[Row]) -> list[dict[str, Any]]:
    """What `dvc plots show` draws: the training curve of every method that says it logs one, and confusions."""
    plots: list[dict[str, Any]] = []
    for row in rows:
        for name, settings in row.method.plots.items():
            plots.append({f"{layout.artifact(row.noun, row.name)}/{name}.csv": settings})
    return plots


@cache
def _graph() -> Any:
    import grimp

    return grimp.build_graph("pipelines", cache_dir=None)


@cache
def closure(module: str) -> list[str]:
    """The files that a module is made of: itself and all of ours that it imports, directly or not."""
    graph = _graph()
    here = Path(__file__).parent.parent
    files = []
    for name in {module, *graph.find_upstream_modules(module)}:
        file = here / (name.replace(".", "/") + ".py")
        if file.exists():  # a package's empty __init__ decides nothing
            files.append(file.relative_to(here).as_posix())
    return sorted(files)


def own_closure(root: Path, module: str) -> list[str]:
    """As `closure`, of a method of the project's own, which may import what else lies in methods/."""
    ours, files, left, seen = _graph().modules, set(), [module], {module}
    while left:
        name = left.pop()
        file = root / (name.replace(".", "/") + ".py")
        if not file.exists():  # a folder, or something in a file that is there
            continue
        files.add(file.relative_to(root).as_posix())
        for other in _imported(file, name.rpartition(".")[0]):
            if other in ours:
                files.update(closure(other))
            elif other.startswith(f"{registry.OWN}.") and other not in seen:
                seen.add(other)
                left.append(other)
    return sorted(files)


def _imported(file: Path, package: str) -> list[str]:
    """What a file imports, wherever in it: modules, and names in them, which may be modules, too."""
    found = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found

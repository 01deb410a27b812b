"""What would run and why, in plain words, without running anything and without Prefect."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows import graph
from flows.graph import Graph, Stage
from pipelines.layout import PARAMS
from tasks import dvc

MANY = 12  # of one kind of reason: more are counted


def plan(root: Path, part: Graph) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(stages that have to run -> reasons, stages that may have to -> those before them), both in dvc.yaml's order."""
    locked, found = dvc.read_lock(root), dvc.status(root)  # in this order: of a file that cannot be read we say more than DVC
    params = dvc.load(root / PARAMS)
    must = {
        name: reasons(root, part, name, found.get(name, []), locked, params)
        for name in part.stages
        if graph.due(root, part, name, found, (), locked) is not None
    }
    later = part.after(must) - set(must)
    moved = {*must, *later}
    return must, {
        name: [part.stages[n].label for n in part.stages if n in part.before(name) & moved] for name in part.stages if name in later
    }


def reasons(root: Path, part: Graph, name: str, found: list[Any], locked: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Why a stage has to run."""
    if name not in locked:
        return ["has not run yet"]
    said = []
    for entry in found:
        if not isinstance(entry, dict):
            said.append("always runs" if entry == "always changed" else str(entry))
            continue
        for kind, paths in entry.items():
            for path, what in paths.items():
                if isinstance(what, dict):
                    recorded = locked[name].get("params", {}).get(path, {})
                    now = params if path == PARAMS else dvc.load(root / path)
                    for key in what:
                        said += changes(key, recorded.get(key, MISSING), _at(now, key))
                elif kind == "changed outs":
                    said.append(f"output {path} {'missing' if what == 'deleted' else what}")
                else:
                    maker = part.upstream[name].get(path)
                    made = f" (made by {part.stages[maker].label})" if maker else ""
                    said.append(f"dep {path} {WORDS.get(what, what)}{made}")
    missing = [out for out in part.stages[name].outs if not (root / out).exists()]
    said += [line for out in missing if (line := f"output {out} missing") not in said]
    return [*said[:MANY], *([f"and {len(said) - MANY} more"] if len(said) > MANY else [])]


MISSING = object()
WORDS = {"modified": "changed", "deleted": "missing", "new": "new"}


def _at(tree: Any, key: str) -> Any:
    """`embed.glove` of a tree, as DVC reads the key."""
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return MISSING
        tree = tree[part]
    return tree


def changes(key: str, old: Any, new: Any) -> list[str]:
    """Each value below `key` that differs, old -> new."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(k for k in new if k not in old)]
        return [line for k in keys for line in changes(f"{key}.{k}", old.get(k, MISSING), new.get(k, MISSING))]
    if old is MISSING:
        return [f"params {key} is new: {new}"] if new is not MISSING else []
    if new is MISSING:
        return [f"params {key} is gone, was {old}"]
    return [f"params {key} changed {old} -> {new}"] if old != new else []


def text(root: Path, part: Graph, everything: bool = False) -> str:
    must, may = plan(root, part)
    lines = []
    for name, it in part.stages.items():
        label = it.label if it.placement == Stage.queue and not everything else f"{it.label} [{it.placement}]"
        if name in must:
            lines += [f"{label}: {line}" for line in must[name]]
        elif name in may:
            lines.append(f"{label}: only if the output of {' or '.join(may[name])} changes")
        elif everything:
            lines.append(f"{label}: up to date")
    if not must:
        return "\n".join([*lines, f"all {len(part.stages)} stages are up to date"])
    return "\n".join([*lines, f"{len(must)} of {len(part.stages)} stages have to run, {len(may)} more may have to"])

"""dvc.yaml as a graph, and which of its stages have to run."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import Fault, nearest
from pipelines.layout import DAG
from tasks import dvc

PLACEMENT = ("queue", "retries", "retry_delay_s", "timeout_s", "priority")


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml; verb, row and placement are its `meta`."""

    name: str
    verb: str
    row: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    queue: str = "cpu"
    retries: int = 0
    retry_delay_s: int = 10
    timeout_s: int = 86_400
    priority: int = 0

    @property
    def label(self) -> str:
        """What people call it: embed/glove."""
        return f"{self.verb}/{self.row}" if self.row else self.verb

    @property
    def placement(self) -> str:
        """Where and how often it is tried, in words; what is as usual is left out."""
        said = [self.queue]
        if self.retries:
            said.append(f"{self.retries} retries from {self.retry_delay_s} s on")
        if self.timeout_s != Stage.timeout_s:
            said.append(f"at most {self.timeout_s} s")
        if self.priority:
            said.append(f"priority {self.priority}")
        return ", ".join(said)


@dataclass(frozen=True)
class Graph:
    stages: dict[str, Stage]  # in dvc.yaml's order
    upstream: dict[str, dict[str, str]]  # stage -> dependency -> the stage that makes it

    def before(self, name: str) -> set[str]:
        """The stages that must have ended before this one."""
        return set(self.upstream[name].values())

    def after(self, names: Iterable[str]) -> set[str]:
        """All stages that read, directly or not, what these make."""
        found: set[str] = set()
        todo = set(names)
        while todo:
            todo = {name for name in self.stages if name not in found and self.before(name) & todo}
            found |= todo
        return found

    def of(self, targets: Iterable[str]) -> "Graph":
        """The part that these targets (stage names or verb/row) need, themselves included; all when there are none."""
        known = {alias: stage.name for stage in self.stages.values() for alias in (stage.name, stage.label)}
        targets = list(targets)
        faults = [f"{DAG} has no stage {target!r}.{nearest(target, known)}" for target in targets if target not in known]
        if faults:
            raise Fault([*faults, "A stage is named as in dvc.yaml, or verb/row; `wordloom plan --all` lists them"])
        wanted: set[str] = set() if targets else set(self.stages)
        todo = {known[target] for target in targets}
        while todo:
            wanted |= todo
            todo = {up for name in todo for up in self.before(name)} - wanted
        return Graph({n: s for n, s in self.stages.items() if n in wanted}, {n: u for n, u in self.upstream.items() if n in wanted})


def read(root: Path) -> Graph:
    """The graph of dvc.yaml: a stage comes after another whose output is one of its dependencies, lies in it, or around it."""
    stages: dict[str, Stage] = {}
    tree = dvc.load(root / DAG)
    bodies = tree.get("stages") if isinstance(tree, dict) else None
    if not bodies:
        raise Fault(f"{DAG} is missing in {root.resolve()}, or has no stages. Go to the project's folder, or run: wordloom dag")
    if not isinstance(bodies, dict) or not all(map(_is_stage, bodies, bodies.values())):
        raise Fault(f"{DAG}: stages are not names with keys and values, as DVC reads them. Run: wordloom dag")
    for name, body in bodies.items():
        if "cmd" not in body:
            raise Fault(f"{DAG}: stage {name} has no cmd of its own; explicit stages are read, no foreach or matrix. Run: wordloom dag")
        meta = body.get("meta") or {}
        stages[name] = Stage(
            name, str(meta.get("verb", name)), str(meta.get("row", "")) if "verb" in meta else "",
            tuple(_paths(body, "deps")), tuple(_paths(body, "outs", "metrics", "plots")),
            **{key: meta[key] for key in PLACEMENT if key in meta},
        )  # fmt: skip
    makers = {out: stage.name for stage in stages.values() for out in stage.outs}
    folders: dict[str, list[str]] = {}  # a folder -> the outputs below it
    for out in makers:
        for parent in Path(out).parents:
            folders.setdefault(parent.as_posix(), []).append(out)
    upstream: dict[str, dict[str, str]] = {}
    for stage in stages.values():
        upstream[stage.name] = {}
        for dep in stage.deps:
            around = [parent.as_posix() for parent in [Path(dep), *Path(dep).parents] if parent.as_posix() in makers]
            for out in [*around, *folders.get(dep, [])]:
                # two outputs below one dependency are told apart by their own names
                upstream[stage.name][dep if out in around else out] = makers[out]
    return Graph(stages, upstream)


def _is_stage(name: Any, body: Any) -> bool:
    """Whether it has a stage's shape, and a name that is no option on DVC's command line."""
    lists = [body.get(key) or [] for key in ("deps", "outs", "metrics", "plots")] if isinstance(body, dict) else [None]
    return (
        isinstance(name, str)
        and not name.startswith("-")
        and all(
            isinstance(paths, list) and all(isinstance(path, str) or (isinstance(path, dict) and path) for path in paths) for paths in lists
        )
        and isinstance(body.get("meta") or {}, dict)
    )


def _paths(body: Mapping[str, Any], *keys: str) -> list[str]:
    """Entries are paths, or {path: settings}."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for key in keys for entry in body.get(key) or []]


def due(root: Path, graph: Graph, name: str, found: Mapping[str, list[Any]], ran: Container[str], locked: Mapping[str, Any]) -> str | None:
    """Why a stage has to run now that everything before it is done, in a few words; None when it has not.

    Args:
        found: what `dvc status` said before the first stage ran.
        ran: the stages that have run since; what was said of their outputs is no longer so.
        locked: what dvc.lock says now.
    """
    stage, upstream = graph.stages[name], graph.upstream[name]
    missing = [out for out in stage.outs if not (root / out).exists()]
    if missing:
        return f"output {missing[0]} missing"
    for entry in found.get(name, []):
        if not isinstance(entry, dict):
            return str(entry)
        for kind, paths in entry.items():
            for path, what in paths.items():
                if kind != "changed deps" or upstream.get(path) not in ran:
                    return f"{kind}: {path} {what if isinstance(what, str) else ', '.join(what)}"
    recorded = _hashes(locked.get(name), "deps")
    for path, maker in upstream.items():
        if maker in ran and recorded.get(path, "none") != _hashes(locked.get(maker), "outs").get(path):
            return f"dep {path} changed"  # or is a part of an output: DVC looks closer
    return None


def _hashes(entry: Mapping[str, Any] | None, key: str) -> dict[str, str]:
    return {item["path"]: item.get("md5", "") for item in (entry or {}).get(key, [])}

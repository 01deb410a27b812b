"""Sweeps: listed rows of a parameter file, each replaced by one row for each of its points.

base: params.yaml                                                    # what is multiplied; this is the default
rows:
  embed.glove: {vector_size: [25, 50], x_max: [10, 100]}             # keys: every combination
  classify.lstm: [{lr: 0.001, epochs: 5}, {lr: 0.003, epochs: 3}]    # a list: these points
targets: [evaluate/similarity]                                       # only these, with all they need
scores: [spearman]                                                   # what the table shows; it is sorted by the first
jobs: 2

A row that reads one multiplied row is multiplied with it; one that reads a list gets all of them. The
result is a parameter file, run as an experiment in a worktree of its own: what the points share runs once.
"""

import copy
import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows import experiments, graph, tables
from pipelines import layout, params, registry
from pipelines.dag import gate_name, stage_name
from pipelines.errors import Fault, nearest
from tasks import dvc, workspace

HEADER = "# Made by `wordloom sweep`; edit its file, not this.\n"
KEYS = ("base", "rows", "targets", "scores", "jobs")
MOST_ROWS = 1_000  # that a sweep may make: a guard against an accident
LONGEST = 80  # characters of a row's name, of which files are named

Points = dict[str, int]  # a multiplied row, as verb.row -> which of its points


@dataclass(frozen=True)
class Variant:
    """A row that stands in the place of a row of the base."""

    of: str  # that row, as verb.row
    name: str
    points: Points
    raw: dict[str, Any]

    @property
    def verb(self) -> str:
        return self.of.partition(".")[0]

    @property
    def artifact(self) -> str:
        """As scores name it: vectors/glove-epochs-3."""
        return f"{registry.VERBS[self.verb].noun}/{self.name}"


@dataclass(frozen=True)
class Sweep:
    file: Path
    base: Path
    tree: dict[str, Any]  # what the base holds
    points: dict[str, list[dict[str, Any]]]  # verb.row -> its points
    variants: dict[str, list[Variant]]  # verb.row -> the rows in its place; one without points for what is not multiplied
    targets: list[str]  # as verb/row; none for all
    scores: list[str]
    jobs: int

    @property
    def name(self) -> str:
        return self.file.stem

    def all(self) -> list[Variant]:
        return [variant for variants in self.variants.values() for variant in variants]

    def expanded(self, without: set[str] = frozenset()) -> dict[str, Any]:
        """The multiplied parameters, without some rows (as verb.row) and without what then has nothing to read."""
        verbs: dict[str, dict[str, Any]] = {verb: {} for verb in registry.VERBS if self.tree.get(verb)}
        gone = set(without)
        for variant in _in_order(self.all()):
            raw, is_left = _without(variant, gone)
            if is_left:
                verbs[variant.verb][variant.name] = copy.deepcopy(raw)  # rows that share a list would be written with anchors
            else:
                gone.add(f"{variant.verb}.{variant.name}")
        tree = {**self.tree, **verbs}
        if self.tree.get("placement"):
            tree["placement"] = {
                f"{it.verb}.{it.name}": copy.deepcopy(self.tree["placement"][it.of])
                for it in self.all()
                if it.of in self.tree["placement"] and it.name in verbs[it.verb]
            }
        return tree


def read(root: Path, file: Path) -> Sweep:
    """A sweep file, multiplied. Raises Fault with all that is wrong with it.

    Args:
        root: the project's folder; `base` is looked up there.
        file: its name without the ending is the sweep's.
    """
    experiments.check_name(file.stem)
    asked = params.load_yaml(file)
    faults = [
        f"there is no place for {key!r}; there is one for {', '.join(KEYS)}.{nearest(str(key), KEYS)}" for key in asked if key not in KEYS
    ]
    base = asked.get("base", layout.PARAMS)
    if not isinstance(base, str):
        raise _named(file, [*faults, f"base is {base!r}; it must name a parameter file, such as {layout.PARAMS}"])
    tree = params.load_yaml(root / base)
    try:
        params.rows_of(tree, root)
    except Fault as fault:
        raise Fault(line.replace(layout.PARAMS, base, 1) for line in fault.faults) from None
    rows = {f"{verb}.{name}" for verb in registry.VERBS for name in tree.get(verb) or {}}
    points = _points(asked.get("rows"), rows, faults)
    targets = [_row(target) for target in _words(asked, "targets", faults)]
    faults += [f"targets: {target!r} is not a row of {base}.{nearest(target, rows)}" for target in targets if target not in rows]
    scores = _words(asked, "scores", faults)
    faults += _no_metrics(scores)
    jobs = asked.get("jobs", 2)
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        faults.append(f"jobs is {jobs!r}; it must be how many stages run at a time, such as 2")
    if not faults:
        faults = _wrong_points(tree, points)
    if faults:
        raise _named(file, faults)
    try:
        variants = _Multiplied(tree, points).all()
        wanted = [f"{it.verb}/{it.name}" for target in targets for it in variants[target]]
        sweep = Sweep(file, root / base, tree, points, variants, wanted, scores, jobs)
        params.rows_of(sweep.expanded(), root)
        if YAML(typ="safe", pure=True).load(dvc.dump(sweep.expanded())) != sweep.expanded():
            raise Fault("a value has a character that YAML does not keep, such as U+0085. Take it out")
    except Fault as fault:
        raise _named(file, fault.faults) from None
    return sweep


def _named(file: Path, faults: list[str]) -> Fault:
    return Fault(f"{file}: {line.removeprefix(f'{layout.PARAMS}: ')}" for line in dict.fromkeys(faults))


def _row(name: str) -> str:
    """verb/row or verb.row -> verb.row."""
    return name.replace("/", ".", 1) if "." not in name else name


def _words(asked: dict[str, Any], key: str, faults: list[str]) -> list[str]:
    value = asked.get(key) or []
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    faults.append(f"{key} is {value!r}; it must be a list of words")
    return []


def _no_metrics(scores: list[str]) -> list[str]:
    if not scores:
        return []
    from pipelines.reporting.metrics import METRICS

    known = [name for name, (sign, _) in METRICS.items() if sign]
    return [
        f"scores: {name!r} is no figure that has a best; {', '.join(known)} are.{nearest(name, known)}"
        for name in scores
        if name not in known
    ]


def _points(asked: Any, rows: set[str], faults: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The points of each row; adds to `faults` what cannot be one."""
    if not isinstance(asked, dict) or not asked:
        faults.append(f"rows is {asked!r}; it must name rows, such as {min(rows)}, with lists of values or of points")
        return {}
    points: dict[str, list[dict[str, Any]]] = {}
    for name, body in asked.items():
        where = _row(str(name))
        if where not in rows:
            faults.append(f"rows: {name!r} is not a row of the base.{nearest(where, rows)}")
        elif where in points:
            faults.append(f"rows: {name!r} is there twice")
        elif isinstance(body, dict) and body and all(isinstance(values, list) and values for values in body.values()):
            if (n := math.prod(len(values) for values in body.values())) > MOST_ROWS:
                faults.append(f"{where} has {n:,} points; {MOST_ROWS:,} rows are the most that a sweep may make")
                continue
            points[where] = [dict(zip(body, values, strict=True)) for values in itertools.product(*body.values())]
        elif isinstance(body, list) and body and all(isinstance(point, dict) and point for point in body):
            points[where] = body
        else:
            faults.append(
                f"{where} is {body!r}; it must be knobs with a list of values each, or a list of points, {{knob: value, ...}} each"
            )
    return points


def _wrong_points(tree: dict[str, Any], points: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What the methods say of each point by itself, under the name of the row that the file gives."""
    faults: list[str] = []
    n = sum(map(len, points.values()))
    if n > MOST_ROWS:
        return [f"there are {n:,} points; {MOST_ROWS:,} rows are the most that a sweep may make"]
    for where, its in points.items():
        verb, _, name = where.partition(".")
        for i, point in enumerate(its):
            if point in its[:i]:
                faults.append(f"{where} has the point {point!r} twice")
            try:
                params.rows_of({**tree, verb: {**tree[verb], name: {**tree[verb][name], **point}}}, Path("."))
            except Fault as fault:
                faults += fault.faults
    return faults


class _Multiplied:
    """The rows of a parameter file, each with those that stand in its place."""

    def __init__(self, tree: dict[str, Any], points: dict[str, list[dict[str, Any]]]):
        self.tree, self.points = tree, points
        self.found: dict[str, list[Variant]] = {}

    def all(self) -> dict[str, list[Variant]]:
        found = {where: self.of(where) for verb in registry.VERBS for name in self.tree.get(verb) or {} for where in [f"{verb}.{name}"]}
        faults = [
            f"{where} comes to need itself, or rows of different points. Look at what it reads" for where, its in found.items() if not its
        ]
        taken: dict[tuple[str, str], Variant] = {}
        for it in (it for its in found.values() for it in its):
            other = taken.setdefault((it.verb, it.name), it)
            if other is not it:
                faults.append(f"{it.of} would get a row {it.name!r}, which {other.of} has. Rename one of the two in the base")
        if faults:
            raise Fault(faults)
        return found

    def of(self, where: str) -> list[Variant]:
        if where not in self.found:
            self.found[where] = []  # a row that needs itself: the parameters' own check names the ring
            verb, _, name = where.partition(".")
            raw = self.tree[verb][name]
            rows = [
                row
                for i, point in enumerate(self.points.get(where, [{}]))
                for row in self._read(verb, {**raw, **point}, self._own(where, i))
            ]
            self.found[where] = self._called(where, rows)
            n = sum(len(its) for its in self.found.values() if its and its[0].points)
            if n > MOST_ROWS:
                raise Fault(f"with the rows that read them there are more than {MOST_ROWS:,} rows, the most that a sweep may make")
        return self.found[where]

    def _own(self, where: str, i: int) -> Points:
        return {where: i} if where in self.points else {}

    def _read(self, verb: str, raw: dict[str, Any], chosen: Points) -> list[tuple[Points, dict[str, Any]]]:
        """A row once for each choice of what it reads. Two inputs that come from one multiplied row come from the same point of it."""
        inputs = _inputs(verb, raw)
        rows = [(chosen, raw)]
        for argument, wanted in inputs.items():
            if wanted.many or raw.get(argument) is None:
                continue
            ups = self.of(f"{registry.MAKER[wanted.noun.noun]}.{raw[argument]}")
            rows = [({**c, **up.points}, {**r, argument: up.name}) for c, r in rows for up in ups if _agree(c, up.points)]
        for argument, wanted in inputs.items():
            if not wanted.many or raw.get(argument) is None:
                continue
            named = raw[argument] if isinstance(raw[argument], list) else [raw[argument]]
            ups = [up for name in named for up in self.of(f"{registry.MAKER[wanted.noun.noun]}.{name}")]
            if any(up.points for up in ups):
                rows = [(c, {**r, argument: [up.name for up in ups if _agree(c, up.points)]}) for c, r in rows]
        return rows

    def _called(self, where: str, rows: list[tuple[Points, dict[str, Any]]]) -> list[Variant]:
        """Names the rows by their knobs; a short hash tells apart what would be called the same, or too long."""
        name = where.partition(".")[2]
        names = ["-".join([name, *filter(None, (self._words(where, root, i) for root, i in chosen.items()))]) for chosen, _ in rows]
        called = []
        for wish, (chosen, raw) in zip(names, rows, strict=True):
            if chosen and (names.count(wish) > 1 or len(wish) > LONGEST):
                digest = layout.hash_json({root: self.points[root][i] for root, i in chosen.items()})[:8]
                wish = f"{wish[: LONGEST - 9].rstrip('-')}-{digest}"
            called.append(Variant(where, wish, chosen, raw))
        return called

    def _words(self, where: str, root: str, i: int) -> str:
        words = [] if root == where else [root.partition(".")[2]]
        words += [f"{knob} {json.dumps(value, default=str)}" for knob, value in self.points[root][i].items()]
        return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(words)).strip("-")


def _agree(one: Points, other: Points) -> bool:
    return all(other.get(root, i) == i for root, i in one.items())


def _in_order(variants: list[Variant]) -> list[Variant]:
    """What is read before what reads it."""
    by_name = {(it.verb, it.name): it for it in variants}
    placed: dict[tuple[str, str], Variant] = {}

    def place(it: Variant) -> None:
        if (it.verb, it.name) in placed:
            return
        placed[it.verb, it.name] = it
        for verb, names in _reads(it).values():
            for name in names:
                if (verb, name) in by_name:
                    place(by_name[verb, name])
        placed[it.verb, it.name] = placed.pop((it.verb, it.name))  # after what it reads

    for it in variants:
        place(it)
    return list(placed.values())


def _reads(it: Variant) -> dict[str, tuple[str, list[str]]]:
    """argument -> (verb, the rows of it that are read)."""
    found = {}
    for argument, wanted in _inputs(it.verb, it.raw).items():
        named = it.raw.get(argument)
        if named is not None:
            found[argument] = (registry.MAKER[wanted.noun.noun], named if isinstance(named, list) else [named])
    return found


def _without(it: Variant, gone: set[str]) -> tuple[dict[str, Any], bool]:
    """The row, its lists without the rows that are gone, and whether it is left at all."""
    raw, is_left = it.raw, f"{it.verb}.{it.name}" not in gone
    for argument, (verb, names) in _reads(it).items():
        there = [name for name in names if f"{verb}.{name}" not in gone]
        if len(there) < len(names):
            raw = {**raw, argument: there}
            is_left = is_left and bool(there)
    return raw, is_left


def place(main: Path, sweep: Sweep) -> Path:
    return experiments.place(main, sweep.name)


def prepare(main: Path, sweep: Sweep, without: set[str] = frozenset()) -> Path:
    """Makes the worktree with the multiplied parameters, or moves it to them and to the current commit.

    Raises:
        Fault: it is an experiment's, or it is in use.
    """
    tree = place(main, sweep)
    if (tree / ".git").is_file():
        copied = tree / experiments.COPIED
        if copied.exists() and not copied.read_text(encoding="utf-8").startswith(HEADER):
            raise Fault(f"{tree} is the worktree of an experiment. Give the sweep's file another name")
        with workspace.alone(tree, wait=False):
            pass  # nobody runs there
    return experiments.prepare(main, sweep.name, sweep.file, HEADER + dvc.dump(sweep.expanded(without)))


def run(main: Path, sweep: Sweep, jobs: int | None = None, workers: bool = False, remote: str | None = None) -> int:
    """Runs a prepared sweep by the flow; gives its exit status.

    A point that failed would keep the rows that read all of them from running: they then run without it.
    """
    tree = place(main, sweep)
    options = ["--jobs", str(jobs or sweep.jobs), *(["--workers"] if workers else []), *(["--remote", remote] if remote else [])]
    status = experiments.run(tree, [*options, "--", *sweep.targets], prefect=True)
    if status != 2:
        return status
    ended, wanted = done(tree, sweep), graph.read(tree).of(sweep.targets).stages
    failed = {
        f"{it.verb}.{it.name}"
        for it in sweep.all()
        if it.points and not _lists(it) and it not in ended and stage_name(it.verb, it.name) in wanted
    }
    there = sweep.expanded(failed)
    left = [target for target in sweep.targets if target.partition("/")[2] in there.get(target.partition("/")[0], {})]
    if failed and any(it.points and it in ended for it in sweep.all()) and (left or not sweep.targets):
        print(f"{sweep.name}: the rest without what failed: {', '.join(sorted(failed))}", flush=True)
        prepare(main, sweep, failed)
        experiments.run(tree, [*options, "--", *left], prefect=True)
    return status


def _lists(it: Variant) -> set[str]:
    """The arguments that are lists of rows: through them a row waits for points that are not its own."""
    return {argument for argument, wanted in _inputs(it.verb, it.raw).items() if wanted.many}


def _inputs(verb: str, raw: dict[str, Any]) -> dict[str, registry.Input]:
    return registry.load(verb, str(raw["method"]), Path(".")).inputs


def done(tree: Path, sweep: Sweep) -> list[Variant]:
    """The rows that are up to date in the worktree, with their gates."""
    if not (tree / layout.DAG).exists():
        return []
    there, stages, changed, locked = dvc.load(tree / layout.PARAMS), graph.read(tree).stages, dvc.status(tree), dvc.read_lock(tree)
    found = []
    for it in sweep.all():
        mine = [stage_name(it.verb, it.name), gate_name(registry.VERBS[it.verb].noun, it.name)]
        raw = (there.get(it.verb) or {}).get(it.name)
        # a list may lack points that failed
        same = raw is not None and all(raw.get(key) == it.raw.get(key) for key in {*raw, *it.raw} - _lists(it))
        if same and all(name in stages and name in locked and name not in changed for name in mine):
            found.append(it)
    return found


def lines(tree: Path, sweep: Sweep) -> list[dict[str, Any]]:
    """One entry per point: its knobs, whether it has run, and its scores; the best first, as the first of `scores` has it."""
    from pipelines.reporting.metrics import METRICS

    ended = done(tree, sweep)
    by_artifact = {it.artifact: it for it in sweep.all()}
    scored: list[tuple[Points, dict[str, Any]]] = []
    for it in ended:
        if it.verb == "evaluate":
            for score in tables.figures(tree, it.name):
                of = by_artifact.get(score["of"])
                shown = score["metric"] in sweep.scores if sweep.scores else METRICS.get(score["metric"], (1, ""))[0]
                if of is not None and _agree(it.points, of.points) and shown:
                    scored.append(({**it.points, **of.points}, {**score, "row": of.of.replace(".", "/", 1)}))
    entries = []
    for points in points_of(sweep):
        mine = [score for at, score in scored if at and at.items() <= points.items()]
        rows = [it for it in sweep.all() if it.points and it.points.items() <= points.items()]
        entries.append({
            "point": {root: sweep.points[root][i] for root, i in points.items()},
            "rows": [f"{it.verb}/{it.name}" for it in rows],
            "done": all(it in ended for it in rows),
            "scores": [{key: score[key] for key in ("row", "metric", "on", "value", "low", "high", "n")} for score in mine],
        })  # fmt: skip
    first = (sweep.scores or [score["metric"] for _, score in scored] or [""])[0]
    sign = METRICS.get(first, (1, ""))[0]
    return sorted(entries, key=lambda entry: next((-sign * s["value"] for s in entry["scores"] if s["metric"] == first), math.inf))


def points_of(sweep: Sweep) -> list[Points]:
    """The points as far as anything tells them apart: those of each row, and of each evaluation with each row that it scores."""
    seen: dict[tuple[tuple[str, int], ...], Points] = {}
    by_name = {(it.verb, it.name): it for it in sweep.all()}
    for it in sweep.all():
        read = [by_name[verb, name] for verb, names in _reads(it).values() for name in names] if it.verb == "evaluate" else []
        for points in [it.points, *({**it.points, **other.points} for other in read)]:
            seen.setdefault(tuple(sorted(points.items())), points)
    return [points for points in seen.values() if points and not any(points.items() < other.items() for other in seen.values())]


def save(tree: Path, sweep: Sweep) -> str:
    """Saves the worktree as a DVC experiment, for `dvc exp show` in the main checkout; gives its name.

    The name ends in a hash of what was made, so an experiment is never written over. Raises Fault.
    """
    name = f"{sweep.name}-{hashlib.sha256((tree / dvc.LOCK).read_bytes() + (tree / layout.PARAMS).read_bytes()).hexdigest()[:8]}"
    if name not in dvc.ask(tree, "exp", "list", "--name-only").split():
        dvc.ask(tree, "exp", "save", "--name", name)
    return name

"""params.yaml -> frozen, typed rows; every fault of the file at once, before anything runs."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipelines import registry
from pipelines.artifacts.suite import Thresholds
from pipelines.errors import Fault, nearest
from pipelines.layout import PARAMS
from pipelines.method import Knobs

ROW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
GATES = "gates"  # the key with thresholds, NOUN or NOUN.ROW -> threshold -> value


class World(BaseModel):
    """What holds for every row that does not say otherwise: the key `run`, and the same keys in a row."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seed: int = Field(1, ge=0, lt=2**32)
    threads: int = Field(2, ge=1, le=1024)  # fixed, never the core count: it may decide the bytes
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    devices: int = Field(1, ge=1, le=64)  # how many train one model together; `threads` is of each


@dataclass(frozen=True)
class Row:
    """One run of one method: one folder in data/."""

    verb: str
    name: str
    method: registry.Method
    inputs: dict[str, list[str]]  # argument -> rows it names, in order
    world: World
    knobs: Knobs
    placement: registry.Placement

    @property
    def noun(self) -> str:
        return registry.VERBS[self.verb].noun


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML 1.2 mapping, as DVC reads it (`1e-3` is a number, `yes` is a word)."""
    try:
        value = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Fault(f"{path.name} is missing in {path.parent.resolve()}. Go to the project's folder, or write one") from None
    except MarkedYAMLError as err:
        where = f" in line {err.problem_mark.line + 1}" if err.problem_mark else ""
        raise Fault(f"{path.name} is not YAML{where}: {err.problem}") from err
    except (YAMLError, ValueError, OSError) as err:  # ValueError: not UTF-8, or a NUL in the path
        raise Fault(f"{path.name} cannot be read as YAML: {err}") from err
    if not isinstance(value, dict):
        raise Fault(f"{path.name} holds {type(value).__name__}, not keys and values")
    return value


def read(root: Path) -> list[Row]:
    """All rows of params.yaml, in reading order of the stages. Raises Fault with all the file's faults."""
    return rows_of(load_yaml(root / PARAMS), root)


def rows_of(tree: dict[str, Any], root: Path | None = None) -> list[Row]:
    """As `read`, of what such a file holds; `root` is the project whose own methods it may name."""
    faults: list[str] = []
    known = ["run", *registry.VERBS, "placement", GATES]
    faults += [
        f"{PARAMS} has no place for {key!r}; it has {', '.join(known)}.{nearest(str(key), known)}" for key in tree if key not in known
    ]
    if "run" not in tree:  # DVC tracks it in every stage
        faults.append(f"{PARAMS} has no `run`. Write one: run: {{seed: 1, threads: 2, device: cpu}}")
    _collect(faults, "run", World, tree.get("run") or {})
    rows = []
    for verb in registry.VERBS:
        for name in _mapping(tree.get(verb), verb, faults):
            try:
                rows.append(_row(tree, verb, name, root))
            except Fault as fault:
                faults += fault.faults
    names = {f"{verb}.{name}" for verb in registry.VERBS for name in _mapping(tree.get(verb), verb, [])}
    for name in _mapping(tree.get("placement"), "placement", faults):
        if name not in names:
            faults.append(f"{PARAMS}: placement.{name} is not a row.{nearest(str(name), names)}")
    gates = set(registry.NOUNS) | {f"{row.noun}.{row.name}" for row in rows}
    for name in _mapping(tree.get(GATES), GATES, faults):
        if name not in gates:
            faults.append(f"{PARAMS}: {GATES}.{name} is no noun, and no NOUN.ROW of a row.{nearest(str(name), gates)}")
        else:
            noun, _, row_name = name.partition(".")
            _thresholds(tree, noun, row_name, faults)
    faults += _cycles(rows)
    if not rows and not faults:
        faults.append(f"{PARAMS} has no rows; write one under any of {', '.join(registry.VERBS)}")
    if faults:
        raise Fault(list(dict.fromkeys(faults)))
    return rows


def thresholds(root: Path, noun: str, name: str) -> Thresholds:
    """Of the gate after a row's artifact: the noun's own, but for what `gates:` says. Raises Fault."""
    faults: list[str] = []
    tree = load_yaml(root / PARAMS) if (root / PARAMS).exists() else {}
    found = _thresholds(tree, noun, name, faults)
    if faults:
        raise Fault(list(dict.fromkeys(faults)))
    return found


def _thresholds(tree: dict[str, Any], noun: str, name: str, faults: list[str]) -> Any:
    """Those of NOUN, with those of NOUN.ROW over them where there is a row."""
    written = _mapping(tree.get(GATES), GATES, [])
    values: dict[str, Any] = {}
    for key in [noun, f"{noun}.{name}"] if name else [noun]:
        values |= _mapping(written.get(key), f"{GATES}.{key}", faults)
    where = f"{GATES}.{noun}.{name}" if f"{noun}.{name}" in written else f"{GATES}.{noun}"
    return _collect(faults, where, registry.NOUNS[noun].thresholds, values, "it takes", what="threshold")


def read_row(root: Path, verb: str, name: str) -> Row:
    """One row, importing only its method."""
    if verb not in registry.VERBS:
        raise Fault(f"{verb!r} is not a stage; the stages are {', '.join(registry.VERBS)}.{nearest(verb, registry.VERBS)}")
    tree = load_yaml(root / PARAMS)
    rows = _mapping(tree.get(verb), verb, [])
    if name not in rows:
        raise Fault(f"{PARAMS}: {verb} has no row {name!r}; it has {', '.join(map(str, rows)) or 'none'}.{nearest(name, rows)}")
    return _row(tree, verb, name, root)


def _row(tree: dict[str, Any], verb: str, name: str, root: Path | None) -> Row:
    where = f"{verb}.{name}"
    raw = tree[verb][name]
    if not isinstance(name, str) or not ROW_NAME.fullmatch(name):
        raise Fault(f"{PARAMS}: {where}: a row is named in letters, digits and hyphens")
    if not isinstance(raw, dict) or "method" not in raw:
        raise Fault(f"{PARAMS}: {where} must be keys and values with a `method`, one of {', '.join(registry.methods(verb, root))}")
    try:
        method = registry.load(verb, str(raw["method"]), root)
    except Fault as fault:
        raise Fault(f"{PARAMS}: {where}: {line}" for line in fault.faults) from None
    faults: list[str] = []
    inputs = {}
    for argument, wanted in method.inputs.items():
        inputs[argument] = _input_rows(tree, where, argument, wanted, raw, faults)
    common = _mapping(tree.get("run"), "run", [])
    own = {key: raw[key] for key in World.model_fields if key in raw}
    world = _collect(faults, where if own else "run", World, {**common, **own})
    knobs = {key: value for key, value in raw.items() if key not in ("method", *method.inputs, *World.model_fields)}
    taken = _collect(faults, where, method.params, knobs, f"{method.name} takes", [*method.inputs, *World.model_fields])
    override = _mapping(_mapping(tree.get("placement"), "placement", []).get(where), f"placement.{where}", faults)
    placement = _collect(faults, f"placement.{where}", registry.Placement, {**method.placement.model_dump(), **override})
    if faults:
        raise Fault(faults)
    return Row(verb, name, method, inputs, world, taken, placement)


def _input_rows(
    tree: dict[str, Any], where: str, argument: str, wanted: registry.Input, raw: dict[str, Any], faults: list[str]
) -> list[str]:
    """The rows that a row reads for one argument; adds to `faults` those that do not exist."""
    maker = registry.MAKER[wanted.noun.noun]
    there = list(_mapping(tree.get(maker), maker, []))
    if raw.get(argument) is None:
        if not wanted.optional:
            faults.append(
                f"{PARAMS}: {where} reads {argument}, so it must name a row of {maker}: {argument}: {there[0] if there else 'ROW'}"
            )
        return []
    value = raw[argument]
    if isinstance(value, list) and not wanted.many:
        faults.append(f"{PARAMS}: {where}.{argument} is a list; it must be one row of {maker}")
        return []
    named = value if isinstance(value, list) else [value]
    if not named and not wanted.optional:
        faults.append(f"{PARAMS}: {where}.{argument} is empty; it must name rows of {maker}, such as {there[0] if there else 'ROW'}")
    for row in named:
        if row not in there:
            faults.append(f"{PARAMS}: {where}.{argument} names {row!r}, which is not a row of {maker}.{nearest(str(row), map(str, there))}")
    if len(set(map(str, named))) < len(named):
        faults.append(f"{PARAMS}: {where}.{argument} names a row twice")
    return named


def _collect(
    faults: list[str],
    where: str,
    model: type[BaseModel],
    values: Any,
    takes: str = "it takes",
    also: list[str] | None = None,
    what: str = "knob",
) -> Any:
    """`model(**values)`; on failure adds a line for each fault and gives None."""
    if not isinstance(values, dict):
        faults.append(f"{PARAMS}: {where} is {values!r}; it must be keys and values")
        return None
    try:
        return model.model_validate(values)
    except ValidationError as err:
        fields = list(model.model_fields)
        for error in err.errors():
            key = ".".join(str(part) for part in error["loc"])
            if error["type"] == "extra_forbidden":
                options = sorted([*fields, *(also or [])])
                here = getattr(model, "elsewhere", {}).get(key)
                meant = f" Here it is {here}" if here else nearest(key, options)
                faults.append(f"{PARAMS}: {where} has no {what} {key!r}; {takes} {', '.join(options)}.{meant}")
            else:
                reason = re.sub(r"^(Value error, |Input |String |List )", "", error["msg"])
                faults.append(f"{PARAMS}: {where}.{key} is {error['input']!r}; it {reason}" if key else f"{PARAMS}: {where}: {reason}")
    return None


def _mapping(value: Any, where: str, faults: list[str]) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    faults.append(f"{PARAMS}: {where} is {value!r}; it must be rows, a name and its keys each")
    return {}


def _cycles(rows: list[Row]) -> list[str]:
    """Rows may read rows of their own verb, so a row could come to need itself."""
    reads = {
        (row.verb, row.name): [(registry.MAKER[row.method.inputs[a].noun.noun], name) for a, names in row.inputs.items() for name in names]
        for row in rows
    }
    done: set[tuple[str, str]] = set()
    faults = []

    def visit(node: tuple[str, str], path: list[tuple[str, str]]) -> None:
        if node in path:
            ring = [*path[path.index(node) :], node]
            faults.append(f"{PARAMS}: rows read each other in a ring: {' -> '.join('.'.join(n) for n in ring)}")
        elif node not in done:
            for needed in reads.get(node, []):
                visit(needed, [*path, node])
            done.add(node)

    for node in reads:
        visit(node, [])
    return faults

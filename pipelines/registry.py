"""The table of the seven stages, and the methods of each: its folder's files are the list, with those of the project's own in methods/."""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, nearest
from pipelines.method import Knobs

OWN = "methods"  # the folder of a project with methods of its own: methods/embed/NAME.py

# what each verb makes, in reading order
VERBS: dict[str, type[Artifact]] = {
    "ingest": Corpus,
    "tokenize": Tokens,
    "cooccur": Counts,
    "embed": Vectors,
    "compress": Codings,
    "classify": Predictions,
    "evaluate": Scores,
}
NOUNS = {noun.noun: noun for noun in VERBS.values()}
MAKER = {noun.noun: verb for verb, noun in VERBS.items()}


class Placement(BaseModel):
    """Where and how often a stage is tried; a constant of the method, overridden under `placement:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    queue: str = Field("cpu", pattern=r"^[a-z0-9-]+$")
    retries: int = Field(0, ge=0, le=10)
    retry_delay_s: int = Field(10, ge=0, le=3600)  # before the first retry; each later one waits twice as long
    timeout_s: int = Field(86_400, ge=1)  # seconds; a day: longer than any stage should take
    priority: int = Field(0, ge=-100, le=100)  # of the stages that could start, the one with the highest starts first


@dataclass(frozen=True)
class Input:
    noun: type[Artifact]
    many: bool  # a list of rows
    optional: bool


@dataclass(frozen=True)
class Method:
    verb: str
    name: str
    call: Callable[..., Artifact]
    params: type[Knobs]
    inputs: dict[str, Input]
    placement: Placement
    sources: Callable[[Any], list[str]]  # files of the project that a row reads besides its inputs
    plots: dict[str, dict[str, Any]]  # name of a CSV in the artifact -> how `dvc plots` draws it
    on_gpu: Callable[[Any], bool]  # whether a row of a method that imports torch for a GPU alone has a use for one
    own: Path | None = None  # the project, of a method of its own

    @property
    def module(self) -> str:
        return f"{OWN if self.own else 'pipelines'}.{self.verb}.{self.name}"


def methods(verb: str, root: Path | None = None) -> list[str]:
    """The methods of a verb: the files of its folder, and of methods/VERB in a project."""
    return sorted({path.stem for path in [*_files(Path(__file__).parent / verb), *own_methods(verb, root)]})


def own_methods(verb: str, root: Path | None) -> list[Path]:
    """The files of a project's own methods."""
    return _files(root / OWN / verb) if root else []


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if path.stem != "__init__")


def load(verb: str, name: str, root: Path | None = None) -> Method:
    """Imports one method, and nothing else.

    Args:
        root: the project, which may have methods of its own.

    Raises:
        Fault: there is none of that name, or the project's own is not what a method has to be.
    """
    known = methods(verb, root)
    if name not in known:
        raise Fault(f"{verb} has no method {name!r}; it has {', '.join(known)}.{nearest(name, known)}")
    own = next((path for path in own_methods(verb, root) if path.stem == name), None)
    if own and root:
        return _own(verb, own, root)
    return _method(verb, name, importlib.import_module(f"pipelines.{verb}.{name}"), None)


def _own(verb: str, file: Path, root: Path) -> Method:
    """A method of the project's own, whose faults are told to the one who writes it."""
    where = file.relative_to(root)
    if file.stem in methods(verb):
        raise Fault(f"{where}: Wordloom has a method of that name. Call the file otherwise")
    if str(root.resolve()) not in sys.path:
        sys.path.append(str(root.resolve()))  # processes that are started for run.map find it, too
    try:
        module = importlib.import_module(f"{OWN}.{verb}.{file.stem}")
    except Exception as err:  # whatever a file does as it is imported
        line = f" in line {err.lineno}" if isinstance(err, SyntaxError) else ""
        raise Fault(f"{where} cannot be imported: {type(err).__name__}{line}: {err}. methods/README.md has an example") from err
    if Path(str(module.__file__)).resolve() != file.resolve():
        raise Fault(f"{where} cannot be imported: this process has {module.__file__} under that name. Ask in a process of its own")
    missing = [what for what in (verb, "Params") if not callable(getattr(module, what, None))]
    if missing:
        raise Fault(f"{where} has no {' and no '.join(missing)}; a method has class Params(Knobs) and def {verb}(..., params, run)")
    try:
        made = _method(verb, file.stem, module, root)
    except Exception as err:
        raise Fault(
            f"{where}: {type(err).__name__}: {err}. The inputs of {verb}() are annotated with nouns, as methods/README.md shows"
        ) from err
    strange = [argument for argument, it in made.inputs.items() if it.noun not in VERBS.values()]
    if strange or not issubclass(made.params, Knobs):
        what = f"{verb}() takes {', '.join(strange)}, which is no noun" if strange else "Params is not made of Knobs"
        raise Fault(f"{where}: {what}. methods/README.md shows how a method looks")
    return made


def _method(verb: str, name: str, module: Any, own: Path | None) -> Method:
    call = getattr(module, verb)
    hints = get_type_hints(call)
    inputs = {
        argument: _input(hints[argument], parameter)
        for argument, parameter in inspect.signature(call).parameters.items()
        if argument not in ("params", "run")
    }
    placement = Placement(**getattr(module, "PLACEMENT", {}))
    sources: Callable[[Any], list[str]] = getattr(module, "sources", _no_sources)
    on_gpu: Callable[[Any], bool] = getattr(module, "on_gpu", _not_on_gpu)
    return Method(verb, name, call, module.Params, inputs, placement, sources, getattr(module, "PLOTS", {}), on_gpu, own)


def _no_sources(params: Any) -> list[str]:
    return []


def _not_on_gpu(params: Any) -> bool:
    return False


def _input(hint: Any, parameter: inspect.Parameter) -> Input:
    """`Tokens`, `list[Vectors]` or `Codings | None` -> what a row may name there."""
    optional = parameter.default is not inspect.Parameter.empty
    if get_origin(hint) is list:
        return Input(get_args(hint)[0], True, optional)
    kinds = [kind for kind in get_args(hint) or [hint] if kind is not type(None)]
    return Input(kinds[0], False, optional)

"""The table of the seven stages, and the methods of each: its folder's files are the list."""

import importlib
import inspect
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

    @property
    def module(self) -> str:
        return f"pipelines.{self.verb}.{self.name}"


def methods(verb: str) -> list[str]:
    """The methods of a verb: the files of its folder."""
    folder = Path(__file__).parent / verb
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def load(verb: str, name: str) -> Method:
    """Imports one method, and nothing else. Raises Fault when there is none of that name."""
    known = methods(verb)
    if name not in known:
        raise Fault(f"{verb} has no method {name!r}; it has {', '.join(known)}.{nearest(name, known)}")
    module = importlib.import_module(f"pipelines.{verb}.{name}")
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
    return Method(verb, name, call, module.Params, inputs, placement, sources, getattr(module, "PLOTS", {}), on_gpu)


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

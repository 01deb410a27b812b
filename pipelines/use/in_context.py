"""In context: sentences of somebody's own, cut as the text was that a model has read, and the vectors that their words have there.

reads   vectors   of `bilm`, and the tokens that its row of params.yaml names: their tokenizer.json cuts the sentences
"""

from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines import layout, params
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.use.cutting import tokenizer


class Sentence(NamedTuple):
    words: list[str]  # as the vocabulary has them; one that it has not as it is written
    known: np.ndarray  # (n,) bool
    vector: np.ndarray  # (n, D) float32


def sentences(root: Path, row: str, texts: Iterable[str]) -> Iterator[Sentence]:
    """Each text is read by itself, as one document; a model that has read longer ones knows more of a word in a longer one.

    Raises:
        Fault: the row is of another method, was trained on other tokens than are there, or on some that have no tokenizer.json.
    """
    made = params.read_row(root, "embed", row)
    if made.method.name != "bilm":
        raise Fault(f"embed.{row} is made by {made.method.name}; a vector that depends on the sentence comes from bilm. Name a row of it")
    from pipelines.embed.bilm import in_context

    vectors = Vectors(root / layout.artifact("vectors", row))
    tokens = Tokens(root / layout.artifact("tokens", made.inputs["tokens"][0]))
    words = tokens.words()
    if vectors.model()[0].get("words") != words:
        raise Fault(f"{vectors.name} was trained with another vocabulary than {tokens.name} has now. Run: dvc repro embed-{row}")
    library = tokenizer(root, made.inputs["tokens"][0])
    cut, again = tee((text, library.encode(text, add_special_tokens=False)) for text in texts)
    found = in_context(vectors.folder, (np.array(encoding.ids, np.int64) for _, encoding in again))
    for (text, encoding), vector in zip(cut, found, strict=True):
        known = np.array(encoding.ids, np.int64) != UNKNOWN_ID
        there = [words[i] if i != UNKNOWN_ID else text[slice(*place)] for i, place in zip(encoding.ids, encoding.offsets, strict=True)]
        yield Sentence(there, known, vector)

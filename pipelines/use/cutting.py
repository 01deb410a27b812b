"""Cutting: texts of somebody's own, cleaned and cut as a corpus and its tokens were."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines import layout, params
from pipelines.cleaning import Cleaning, steps
from pipelines.errors import Fault


class Cut(NamedTuple):
    """Texts as token ids: text i is values[offsets[i]:offsets[i + 1]], and its token j was written as written[i][j]."""

    values: np.ndarray  # int32
    offsets: np.ndarray  # int64
    written: list[list[str]]


def tokenizer(root: Path, row: str):
    """That of a row of tokenize, by the `tokenizers` library. Raises Fault where it has none."""
    from tokenizers import Tokenizer

    page = root / layout.artifact("tokens", row) / "tokenizer.json"
    if not page.exists():
        raise Fault(
            f"tokens/{row} has no tokenizer.json to cut a text with. Train on tokens of words (with a pattern as its own), "
            "whitespace, characters, bpe or wordpiece"
        )
    return Tokenizer.from_file(str(page))


class Cutter:
    """Cleans as the row of ingest says that the tokens come from, and cuts by their tokenizer.json. Raises Fault where there is none."""

    def __init__(self, root: Path, row: str):
        self.tokenizer = tokenizer(root, row)
        self.knobs = params.read_row(root, "ingest", params.read_row(root, "tokenize", row).inputs["corpus"][0]).knobs

    def cut(self, texts: Sequence[str]) -> Cut:
        clean = pa.array(texts, pa.large_string())
        if isinstance(self.knobs, Cleaning):
            for _, after in steps(clean, self.knobs):
                clean = after
        texts = clean.to_pylist()
        found = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        offsets = np.concatenate([[0], np.cumsum([len(encoding.ids) for encoding in found])]).astype(np.int64)
        written = [[text[slice(*place)] for place in encoding.offsets] for text, encoding in zip(texts, found, strict=True)]
        return Cut(np.concatenate([np.empty(0, np.int32), *(np.array(encoding.ids, np.int32) for encoding in found)]), offsets, written)

"""CoNLL: sentences with a tag a token, from files of columns, one token a line.

reads   source       files with columns between white space, the token in the first, its tag in the last; an empty line ends a sentence, and
                     lines of -DOCSTART- are left out
writes  corpus       a document = a sentence: its tokens with spaces between; label = its tags, as many, with spaces between. Splits as the
                     files are, else drawn by seed
source  Tjong Kim Sang, De Meulder 2003 (the format of CoNLL-2003, and of the shared tasks before it)

Tokenise it by method whitespace, which keeps the tokens as they are. Labels are texts here, so the gate is told not to count them:
gates: {corpus.ROW: {unseen_labels: 1.0}}.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from pipelines import sources as where_from
from pipelines import split_files
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.columns import decoded, ids, record
from pipelines.documents import gathered, write
from pipelines.method import Run
from pipelines.split_files import SplitFiles

DOCUMENT = "-DOCSTART-"  # stands where a new document of several sentences begins

sources = split_files.sources


class Params(SplitFiles):
    token_column: int = 1  # from 1 on; -1 is the last
    tag_column: int = -1
    control: bool = False  # a control character that is made a space would make two tokens of one
    divide: Literal["stratified", "random", "group", "time", "blocks"] = "random"  # few sentences have the same tags

    @model_validator(mode="after")
    def _are_columns(self) -> Self:
        if 0 in (self.token_column, self.tag_column) or self.token_column == self.tag_column:
            raise ValueError("token_column and tag_column are two different columns, counted from 1, or from the last, which is -1")
        return self

    @property
    def n_columns(self) -> int:
        """That a line must have."""
        return max(abs(self.token_column), abs(self.tag_column), 2)


def ingest(params: Params, run: Run) -> Corpus:
    files = split_files.files(params, run)
    records = (it for path, name, split in files for it in sentences(path, name, split, len(files) > 1, params))
    return write(gathered(records), params, run, named=params.given)


def sentences(path: Path, name: str, split: str | None, several: bool, params: Params) -> Iterator[dict[str, Any] | Reject]:
    tokens: list[str] = []
    tags: list[str] = []
    wrong: Reject | None = None
    start = 0
    for number, line in decoded(_with_an_end(where_from.lines(path, params.encoding)), path, params.encoding):
        columns = line.decode("utf-8", "surrogateescape").split()
        if columns and columns[0] != DOCUMENT:
            start = start if tokens or wrong else number
            if len(columns) < params.n_columns:
                excerpt = " ".join(columns)[:EXCERPT].encode("ascii", "replace").decode()
                reason = f"has {len(columns)} columns, where a token and its tag take {params.n_columns} or more; its sentence is left out"
                wrong = wrong or Reject(f"{name}: line {number}", reason, excerpt)
                continue
            tokens.append(columns[params.token_column - (params.token_column > 0)])
            tags.append(columns[params.tag_column - (params.tag_column > 0)])
        elif tokens or wrong:
            values = {"text": " ".join(tokens), "label": " ".join(tags), "split": split}
            yield wrong or record(values, f"{name}: line {start}", ids(start, name, several).replace("row-", "line-"))
            tokens, tags, wrong = [], [], None


def _with_an_end(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """An empty line after the last, since the last sentence may have none."""
    yield from lines
    yield 0, b""

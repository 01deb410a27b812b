"""Analogies: Athens is to Greece as Oslo is to which? Asked of vectors by adding and subtracting them.

reads   vectors, codings   one row of float32 numbers per word, the most frequent words first
writes  scores    accuracy, of the questions whose four words are among the first max_vocab, in all, by
                  kind and by section; accuracy_all, where a question that cannot be asked counts as
                  wrong; coverage, the share of questions asked
source  Mikolov, Chen, Corrado, Dean 2013 (the questions); Levy, Goldberg 2014 (3CosAdd, 3CosMul); Drozd, Gladkova, Matsuoka 2016
        (PairDistance)
shapes  V = max_vocab words, Q questions, D = vector_size
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.analogies import analogies
from pipelines.kernels.intervals import wilson
from pipelines.kernels.nearest import rows_of, unit
from pipelines.method import Knobs, Run
from pipelines.named_sets import gensims, lines_of, once
from pipelines.told_rows import refuse

CARRIED = "questions-words"  # by gensim


class Params(Knobs):
    questions: str = CARRIED  # or a file of yours: four words on a line, between tabs, commas or blanks; `: name` opens a section
    # how an answer is sought: near b - a + c; near b and c and far from a; or where c to it has the direction of a to b
    by: Annotated[list[Literal["3CosAdd", "3CosMul", "PairDistance"]], once("a way")] = Field(["3CosAdd"], min_length=1)
    max_vocab: int = Field(30_000, ge=4)  # V: answers are sought among so many; scores compare only at the same cap

    @field_validator("questions")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != CARRIED and not Path(name).suffix:
            raise ValueError(f"must be {CARRIED}, or a file such as questions.txt")
        return name


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return [] if params.questions == CARRIED else [params.questions]


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    section, questions = _read(params.questions, run)
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            right, asked = _ask(matrix, questions, params)
            for by, hits in right.items():
                figures = _figures(section, hits, asked, params.max_vocab, by)
                out.append(**columns({"of": matrix.name, **figure} for figure in figures))
                run.say(f"{matrix.name}: {hits.sum():,} of {asked.sum():,} questions right by {by}, {len(asked):,} in the file")
    return out.artifact


def _read(name: str, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """((Q,) section, (Q, 4) words). Raises Fault with all lines that are no question."""
    path = Path(name)
    if name == CARRIED:
        path = gensims("questions-words.txt")
    section, sections, questions, faults = path.stem, [], [], []
    try:
        lines = lines_of(path, 4, f"say questions: {CARRIED}")
    except Fault as fault:
        raise Fault(f"{run.name}: {told}" for told in fault.faults) from fault
    for i, line, cells in lines:
        if line.startswith(":"):
            section = cells[0][1:].strip()
        elif len(cells) == 4 and all(cells):
            sections.append(section)
            questions.append(cells)
        else:
            faults.append(f"{run.name}: {path}, line {i} is {line[:60]!r}; it has to be four words, or `: name of a section`")
    if not questions and not faults:
        faults = [f"{run.name}: {path} holds no question; a line has to be four words"]
    refuse(faults, str(path))
    return np.array(sections), np.array(questions)


def _ask(matrix: Matrix, questions: np.ndarray, params: Params) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """By each way (Q,) bool, whether the answer was right; and whether the question could be asked."""
    items = matrix.items()[: params.max_vocab]
    # the token for unknown words has a vector, and is no word that could be an answer
    words = [row for row, item in enumerate(items) if item != UNKNOWN]
    names = [items[row] for row in words]
    directions = unit(matrix.finite(matrix.memmap(len(items))[words], names))
    rows = rows_of(questions.ravel(), names).reshape(-1, 4)
    asked = (rows >= 0).all(axis=1)
    a, b, c, wanted = rows[asked].T
    right = {by: np.zeros(len(questions), bool) for by in params.by}
    for by, hits in right.items():
        hits[asked] = analogies(directions, a, b, c, by) == wanted
    return right, asked


def _figures(section: np.ndarray, right: np.ndarray, asked: np.ndarray, max_vocab: int, by: str) -> Iterator[dict]:
    """The totals first; a section without a question that was asked is left out. What is said of a way but the usual one names it."""
    way = "" if by == "3CosAdd" else f", by {by}"
    parts = {"all": np.ones(len(section), bool)}
    syntactic = np.char.startswith(section, "gram")
    if syntactic.any() and not syntactic.all():  # the published questions say `gram` of the grammatical ones
        parts |= {"semantic": ~syntactic, "syntactic": syntactic}
    parts |= {name: section == name for name in dict.fromkeys(section.tolist())}
    for on, part in parts.items():
        n, hits = int((part & asked).sum()), int((part & right).sum())
        if n:
            note = f"{n:,} of {part.sum():,} questions have four words among the first {max_vocab:,}; {by}"
            yield _share("accuracy", on + way, hits, n, note)
        if on == "all":
            yield _share("accuracy_all", on + way, hits, len(part), "a question that cannot be asked counts as wrong")
            yield {"metric": "coverage", "on": on + way, "value": n / len(part), "n": len(part)}


def _share(metric: str, on: str, hits: int, n: int, note: str) -> dict:
    low, high = wilson(hits, n)
    return {"metric": metric, "on": on, "value": hits / n, "low": low, "high": high, "n": n, "note": note}

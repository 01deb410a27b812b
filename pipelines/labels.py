"""What the classifiers share: labelled documents split by split, and how their predictions are written.

A document is of `one` class, of `several` (its label is their names with `|` between them, and `|` alone for none), or of one of
classes that are numbers and in `ordinal` order: ratings. Or its label is a `number`, and there are no classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.parquet import Writer
from pipelines.artifacts.predictions import SEPARATOR, SHOWN_FROM, Predictions, as_label, as_number, names_of
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.method import Run

Target = Literal["one", "several", "ordinal", "number"]
NO_CLASS = -1  # of a document without a label, or with one that no training document has


@dataclass(frozen=True)
class Split:
    """The documents of one split, in the tokens' order.

    Args:
        rows: (n,) int64, their places among all documents.
        values, offsets: int32 token ids end to end; document i is values[offsets[i]:offsets[i + 1]]. Empty of counts.
        class_ids: (n,) int64, a place in the list of classes, or NO_CLASS. A document whose label no
            training document has cannot be right: it counts as an error wherever accuracy is taken. Where documents
            may be of several classes `truth` says which, and this is 0 unless one of them is unknown. Where labels are
            numbers it is 0, and NO_CLASS of a document without one.
        truth: (n, C) float32, 1 for each of the several classes that a document is of; (n, 0) where they exclude each other.
        numbers: (n,) float64, the labels where these are numbers, NaN of a document without one; None where they are classes.
    """

    name: str
    rows: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    doc_ids: pa.Array
    labels: pa.Array
    class_ids: np.ndarray
    truth: np.ndarray
    numbers: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray:
        """(n,) bool"""
        return self.labels.is_valid().to_numpy(zero_copy_only=False)

    def __len__(self) -> int:
        return len(self.class_ids)

    def accuracy(self, probabilities: np.ndarray) -> float:
        """Share of the labelled documents whose most probable class is theirs, or all of whose several classes are told, and no other."""
        if self.truth.shape[1]:  # several
            right = ((probabilities >= SHOWN_FROM) == self.truth).all(axis=1) & (self.class_ids != NO_CLASS)
        else:
            right = probabilities.argmax(axis=1) == self.class_ids
        return float(right[self.labelled].mean())

    def r_squared(self, told: np.ndarray) -> float:
        """1 less the squared error of the labelled documents' numbers over that of always saying their mean; 0 where they are all the same.

        Args:
            told: (n,) numbers.
        """
        actual = self.numbers[self.labelled]
        error, spread = ((actual - told[self.labelled]) ** 2).sum(), ((actual - actual.mean()) ** 2).sum()
        return float(1 - error / spread) if spread else 0.0


def classes_of(source: Tokens | Counts, target: Target = "one") -> list[str]:
    """The classes of the training documents, sorted; `ordinal`: as numbers; `number`: none.

    Raises:
        Fault: a training document has no label; there are not two classes; of ordinal ones, one is no number. Of numbers, a label of
            train or valid is none.
    """
    label = _documents(source, "train")[1].column("label")
    if not len(label):
        raise Fault(f"{source.name}: no document is in split train, so nothing can be learned. Look at the split column of its corpus")
    faults = []
    if label.null_count:
        faults.append(f"{source.name}: {label.null_count} of {len(label)} training documents have no label. Put them in split unlabelled")
    classes = sorted(pc.unique(label).drop_null().to_pylist())
    if target == "number":
        faults += _no_numbers(source)
        classes = []
    if target == "several":
        classes = sorted({name for several in classes for name in names_of(several)})
    if target == "ordinal":
        numbers = {name: as_number(name) for name in classes}
        if others := [name for name, number in numbers.items() if number is None]:
            faults.append(
                f"{source.name}: {len(others)} of {len(classes)} classes are no numbers, first {others[0]!r}. "
                "target: ordinal needs numbers, as ratings are; or take target: one"
            )
        else:
            classes = sorted(classes, key=lambda name: numbers[name])
    if len(classes) == 1 and target != "several":
        faults.append(
            f"{source.name}: all {len(label)} training documents are of one class, {classes[0]!r}. A classifier needs two or more"
        )
    if faults:
        raise Fault(faults)
    return classes


def _no_numbers(source: Tokens | Counts) -> Iterator[str]:
    for split in ("train", "valid"):
        labels = _documents(source, split)[1].column("label").drop_null().to_pylist()
        if others := [label for label in labels if as_number(label) is None]:
            yield (
                f"{source.name}: {len(others)} of {len(labels)} labels of split {split} are no finite numbers, first {others[0]!r}. "
                "target: number needs numbers; correct them in the source, or take target: one"
            )


def documents(source: Tokens | Counts, n_train: int, run: Run, target: Target = "one") -> tuple[list[str], Split, Split, Split]:
    """The classes, and the documents of train, valid and test; of train as many as `fewer` draws.

    Raises:
        Fault: as `classes_of`, `check_held_out` and `fewer`; of numbers, those to learn from are all the same.
    """
    classes = classes_of(source, target)
    train, valid, test = (read(source, split, classes, target) for split in ("train", "valid", "test"))
    check_held_out(source, valid, test)
    train = fewer(train, n_train, run.seed)
    if train.numbers is not None and np.ptp(train.numbers) == 0:
        raise Fault(
            f"{source.name}: all {len(train)} documents to learn from have the same number, {as_label(train.numbers[0])}. "
            "A regression needs numbers that differ"
        )
    return classes, train, valid, test


def check_held_out(source: Tokens | Counts, valid: Split, test: Split) -> None:
    """Raises Fault where there is no document to predict."""
    if not (len(valid) or len(test)):
        raise Fault(
            f"{source.name}: no document is in split valid or test, so there is none to judge by, and none to predict. Where splits are drawn, a "
            "class of fewer than 3 documents may go to train whole: bring more of each class, join rare ones, or say divide: random in the row of "
            "ingest; or give the source a split column"
        )


def read(source: Tokens | Counts, split: str, classes: Sequence[str], target: Target = "one") -> Split:
    """The documents of one split. Those of test come without labels: no method sees one, so none can use it."""
    rows, table = _documents(source, split)
    labels = table.column("label").combine_chunks()
    if split == "test":
        labels = pa.nulls(len(labels), pa.string())
    known = pa.array([] if target == "several" else classes, pa.string())
    class_ids = pc.index_in(labels, known).fill_null(NO_CLASS).to_numpy(zero_copy_only=False).astype(np.int64)
    truth = np.zeros((len(labels), len(classes) if target == "several" else 0), np.float32)
    if target == "several":
        place = {name: i for i, name in enumerate(classes)}
        for row, several in enumerate(labels.to_pylist()):
            names = set(names_of(several or ""))
            truth[row, [place[name] for name in names if name in place]] = 1
            class_ids[row] = NO_CLASS if several is None or names - place.keys() else 0
    numbers = None
    if target == "number":
        found = (None if label is None else as_number(label) for label in labels.to_pylist())
        numbers = np.array([np.nan if number is None else number for number in found], np.float64)
        class_ids = np.where(np.isnan(numbers), NO_CLASS, 0)
    values, offsets = source.ids([split]) if isinstance(source, Tokens) else (np.empty(0, np.int32), np.zeros(1, np.int64))
    return Split(split, rows, values, offsets, table.column("doc_id").combine_chunks(), labels, class_ids, truth, numbers)


def fewer(split: Split, n: int, seed: int) -> Split:
    """n of its documents, drawn by seed, of each class the share that it has, one at least; all where n is 0.

    Where documents may be of several classes they are drawn by chance alone, and a rare class may be left with none. So are numbers.

    Raises:
        Fault: there are not so many, or more classes than that.
    """
    if not n:
        return split
    classes, n_of = np.unique(split.class_ids, return_counts=True)
    if n > len(split) or n < len(classes):
        raise Fault(
            f"{n} documents to learn from, of {len(split)} in split {split.name} and of {len(classes)} classes: "
            f"n_train must be from {len(classes)} to {len(split)}, or 0 for all"
        )
    rng = np.random.default_rng([seed, n])
    wanted = n_of * n / n_of.sum()
    take = np.maximum(np.floor(wanted).astype(int), 1)
    for i in np.argsort(take - wanted, kind="stable")[: max(n - take.sum(), 0)]:  # the largest remainders
        take[i] += 1
    while take.sum() > n:  # classes of less than one document were given one
        take[take.argmax()] -= 1
    drawn = [rng.permutation(np.flatnonzero(split.class_ids == name))[:k] for name, k in zip(classes, take, strict=True)]
    rows = np.sort(np.concatenate(drawn))
    lengths = np.diff(split.offsets)[rows] if len(split.values) else np.zeros(len(rows), np.int64)
    parts = [split.values[split.offsets[i] : split.offsets[i + 1]] for i in rows] if len(split.values) else []
    return Split(
        split.name, split.rows[rows], np.concatenate([np.empty(0, np.int32), *parts]), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        split.doc_ids.take(pa.array(rows)), split.labels.take(pa.array(rows)), split.class_ids[rows], split.truth[rows],
        None if split.numbers is None else split.numbers[rows],
    )  # fmt: skip


def write(out: Writer[Predictions], split: Split, classes: Sequence[str], probabilities: np.ndarray) -> None:
    """Rows of predictions.

    Args:
        probabilities: (n, classes) float32; where labels are numbers (n, 1), these.
    """
    if split.numbers is not None:
        _append(out, split, "number", [as_label(number) for number in probabilities[:, 0]], np.ones_like(probabilities))
    elif split.truth.shape[1]:
        several = probabilities >= SHOWN_FROM
        predicted = [SEPARATOR.join(classes[i] for i in np.flatnonzero(row)) for row in several]
        _append(out, split, "several", predicted, probabilities)
    else:
        _append(out, split, "one", pa.array(classes, pa.string()).take(pa.array(probabilities.argmax(axis=1))), probabilities)


def write_texts(out: Writer[Predictions], split: Split, texts: Sequence[str], probabilities: np.ndarray) -> None:
    """Rows of predictions that are texts: a label a token with spaces between, a spelling, what follows a prompt.

    Args:
        probabilities: (n,) float32, the model's own of its answer: of the whole, or of a token of it on average.
    """
    _append(out, split, "text", texts, np.asarray(probabilities, np.float32)[:, None])


def _append(out: Writer[Predictions], split: Split, answer: str, predicted, probabilities: np.ndarray) -> None:
    names, kinds = (pa.array([name] * len(split), pa.string()) for name in (split.name, answer))
    out.append(
        doc_id=split.doc_ids, split=names, answer=kinds, label=split.labels, predicted=predicted, probabilities=probabilities
    )  # fmt: skip


def write_classes(out: Writer[Predictions], classes: Sequence[str]) -> None:
    out.append("classes", class_id=np.arange(len(classes)), label=classes)


def publish(
    run: Run, splits: Sequence[Split], probabilities: Callable[[Split], np.ndarray], settings: dict, weights: dict[str, np.ndarray]
) -> Predictions:
    """Predictions of some splits, and the model that made them; `settings` holds the classes.

    Args:
        probabilities: of a split, what `write` takes.
    """
    with run.open(Predictions) as out:
        write_classes(out, settings["classes"])
        for split in splits:
            p = probabilities(split)
            write(out, split, settings["classes"], p)
            if (split.class_ids >= 0).any():
                what, value = ("accuracy", split.accuracy(p)) if split.numbers is None else ("r_squared", split.r_squared(p[:, 0]))
                run.say(f"{what} on {split.name} {value:.4f}")
        out.model(settings, weights)
    return out.artifact


def _documents(source: Tokens | Counts, split: str) -> tuple[np.ndarray, pa.Table]:
    """The places of a split's documents among all, and their doc_id, split and label."""
    table = source.documents() if isinstance(source, Counts) else source.read(columns=["doc_id", "split", "label"])
    mine = pc.equal(table.column("split"), split)
    return np.flatnonzero(mine.to_numpy()), table.filter(mine)

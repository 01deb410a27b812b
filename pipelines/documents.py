"""Documents: from the records of a source to a corpus, cleaned, without doubles, divided into splits.

What the ingest methods share. Each reads its source as record batches of RECORD and hands them to `write`,
which goes over them twice: once to clean them and learn their ids, labels and hashes, with the texts put
aside on disk; and once, when it is known who is dropped and who is in which split, to write the corpus.
In memory are a few batches for each process, the row group that is being written, and about a hundred bytes
for each document.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines.artifacts.corpus import RECORDS, SPLITS, Corpus
from pipelines.artifacts.parquet import Writer
from pipelines.cleaning import (
    CHANGES,
    N_HASHES,
    RECORD,
    SCHEME,
    SEED,
    UNKNOWN,
    Cleaned,
    Cleaning,
    Piece,
    Reject,
    cleaned,
    record_batch,
    without,
)
from pipelines.errors import Fault
from pipelines.kernels import splits as kernel
from pipelines.method import Progress, Run

ROWS = 4096  # records in a batch, unless their texts are long
BATCH_BYTES = 2**23  # of text in a batch
ALONE = 16  # batches that one process cleans sooner than others could be started
SHOWN = 3  # classes in a message
TRAIN, VALID, TEST, UNLABELLED = range(len(SPLITS))


class Skipped(NamedTuple):
    """What is counted alone: empty lines and the like, too many and too little for a reject each; and how many RECORDS were read."""

    step: str  # what they are called in the table cleaning
    n: int


Record = pa.RecordBatch | Reject | Skipped


class Documents(Cleaning):
    """Knobs of every source: how documents are cleaned and divided."""

    divide: Literal["stratified", "random", "group", "time", "blocks"] = "stratified"
    valid_share: float = Field(0.15, ge=0, lt=0.5)  # of the documents that have a label
    test_share: float = Field(0.15, ge=0, lt=0.5)

    @model_validator(mode="after")
    def _something_is_left(self) -> "Documents":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share together must be below 1, since the rest is train")
        return self


def gathered(records: Iterable[dict[str, Any] | Reject | Skipped]) -> Iterator[Record]:
    """Records one by one, as dicts of some of RECORD's columns, in batches."""
    held: list[dict[str, Any]] = []
    n_bytes = 0
    for record in records:
        if not isinstance(record, dict):
            yield record
            continue
        held.append(record)
        n_bytes += len(record.get("text") or "")
        if len(held) == ROWS or n_bytes > BATCH_BYTES:
            yield pa.RecordBatch.from_pylist(held, schema=RECORD)
            held, n_bytes = [], 0
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=RECORD)


def write(records: Iterable[Record], params: Documents, run: Run, named: bool = True, total: int | None = None) -> Corpus:
    """The corpus of a source.

    Args:
        records: batches of RECORD, in the source's order, and what could not be read, or was nothing.
        named: the ids are the source's own. Else they tell only of a place in it, and the draw of splits goes by
            the texts, so that it is the same whatever the order of the source.
        total: how many records there are, where that is known.

    Raises:
        Fault: there is no document, or they cannot be divided as the row says.
    """
    with run.scratch() as folder, run.open(Corpus) as out:
        path = folder / "documents.arrow"
        tally = Counter[tuple[str, int]]()
        with run.progress(total, "documents") as bar:
            index = put_aside(cleaned_batches(without_skipped(records, tally), params, run), out, path, bar)
        once = index.drop_repeated_ids()  # of all that were put aside
        split = divided(index, params, named, run)
        kept = np.ones(len(split), bool)
        for step, dropped in drops(index, split, kept, params, named, run):
            tally.update((step, part) for part in split[dropped].tolist())
            kept[dropped] = False
        for place, step in enumerate(CHANGES):
            changed = kept & (index["changes"] & (1 << place) != 0)
            tally.update((step, part) for part in split[changed].tolist())
        write_kept(path, once, kept, split, index, out)
        for (step, part), n in sorted(tally.items()):
            out.append("cleaning", step=[step], split=[SPLITS[part]], n_documents=[n])
            run.say(f"{step}: {n:,} documents of {SPLITS[part]}" if step != RECORDS else f"{n:,} records read")
        if index.n_rejects:
            run.say(f"{index.n_rejects:,} records rejected, the first {index.first_reject}")
    return out.artifact


def write_kept(path: Path, once: np.ndarray, kept: np.ndarray, split: np.ndarray, index: "Index", out: Writer[Corpus]) -> None:
    """The second time: those that were put aside, as far as they are kept.

    Args:
        once: of all of them, whether this is the first of its id.
        kept, split: of the first of each id.
    """
    row = np.cumsum(once) - 1
    start = 0
    for batch in taken_up(path):
        here = slice(start, start := start + batch.num_rows)
        without(batch, rejects := [], pa.array(~once[here]), "has an id that stands before")
        index.reject(rejects, out)
        mine = once[here] & kept[row[here]]
        names = pa.array(SPLITS).take(pa.array(split[row[here]][mine]))
        columns = {name: batch.column(name).filter(pa.array(mine)) for name in ("text", "label", "group")}
        out.append(doc_id=batch.column("id").filter(pa.array(mine)), split=names, **columns)


# the first time over the source: cleaned, and put aside


class Index:
    """What is known of each document while its text lies on disk: columns, an entry a document.

    id, text, group: (n, 2) uint64 hashes, of the text in its normalised form; a group of zeros is none.
    label: int32, a place in `labels`, or UNKNOWN. split: int8, a place in SPLITS, or UNKNOWN: to be drawn.
    time: float64 or NaN. tie: uint64, a hash of text as it is, label and group. changes: uint16, a bit for each of CHANGES. minhash: (n, 128) uint32, where it is asked for.
    """

    def __init__(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}
        self.labels: dict[str, int] = {}
        self.n_rejects = 0
        self.first_reject = ""

    def __getitem__(self, name: str) -> np.ndarray:
        if len(self.parts[name]) > 1:
            self.parts[name] = [np.concatenate(self.parts[name])]
        return self.parts[name][0]

    def append(self, columns: dict[str, np.ndarray]) -> None:
        for name, values in columns.items():
            self.parts.setdefault(name, []).append(values)

    def drop_repeated_ids(self) -> np.ndarray:
        """Keeps the first document of each id; gives which those are, of all."""
        once = kernel.first(kernel.same(self["id"]))
        if not once.all():
            self.parts = {name: [self[name][once]] for name in list(self.parts)}
        return once

    def reject(self, rejects: list[Reject], out: Writer[Corpus]) -> None:
        if rejects:
            self.first_reject = self.first_reject or f"{rejects[0].where}: {rejects[0].reason}"
            self.n_rejects += len(rejects)
            where, reason, excerpt = (list(column) for column in zip(*rejects, strict=True))
            out.append("rejects", where=where, reason=reason, excerpt=excerpt)


def without_skipped(records: Iterable[Record], tally: Counter[tuple[str, int]]) -> Iterator[pa.RecordBatch | Reject]:
    for record in records:
        if isinstance(record, Skipped):
            tally[record.step, UNLABELLED] += record.n
        else:
            yield record


def cleaned_batches(records: Iterable[pa.RecordBatch | Reject], params: Documents, run: Run) -> Iterator[Cleaned]:
    """Each batch cleaned, in the source's order; on all processes, once there are enough for that."""
    source = pieces(records)
    first = list(islice(source, ALONE if run.threads > 1 and not run.cluster else 0))
    if len(first) < ALONE and first:
        yield from (cleaned(piece, params) for piece in first)
    else:
        yield from run.map(cleaned, chain(first, source), params)


def pieces(records: Iterable[pa.RecordBatch | Reject]) -> Iterator[Piece]:
    rejects: list[Reject] = []
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
        if isinstance(record, pa.RecordBatch) or len(rejects) == ROWS:
            yield Piece(rejects, record_batch(0) if isinstance(record, Reject) else record)
            rejects = []
    if rejects:
        yield Piece(rejects, record_batch(0))


def put_aside(done: Iterable[Cleaned], out: Writer[Corpus], path: Path, bar: Progress) -> Index:
    """Writes the batches to `path` and the rejects to the corpus. Raises Fault when there is no document."""
    index = Index()
    schema = pa.schema([RECORD.field(name) for name in ("id", "text", "label", "group", "where")])
    n = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as sink:
        for rejects, batch, columns in done:
            index.reject(rejects, out)
            coded = batch.column("label").dictionary_encode()
            codes = [index.labels.setdefault(label, len(index.labels)) for label in coded.dictionary.to_pylist()]
            label = np.array([*codes, UNKNOWN], np.int32)[coded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)]
            index.append({**columns, "label": label})
            sink.write_batch(batch.select(schema.names))
            n += batch.num_rows
            bar.advance(batch.num_rows + len(rejects))
    if not n:
        told = f"; {index.n_rejects:,} of its records were rejected, the first {index.first_reject}" if index.n_rejects else ""
        raise Fault(f"the source has no document{told}")
    return index


def taken_up(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as source:
        for i in range(source.num_record_batches):
            yield source.get_batch(i)


# between the two: who is where, and who is dropped


def drawn_by(index: Index, named: bool, seed: int) -> np.ndarray:
    """What orders the documents of a draw: their ids, or their texts; copies of a text by all that else is in them."""
    if named:
        return kernel.keys(index["id"][:, 0], seed)
    return kernel.ranks(kernel.keys(index["text"][:, 0], seed), index["tie"])


def divided(index: Index, params: Documents, named: bool, run: Run) -> np.ndarray:
    """The place in SPLITS of each document, int8: as the source gives it, or drawn by seed. Raises Fault."""
    split = index["split"].copy()
    has_label = index["label"] != UNKNOWN
    given = split != UNKNOWN
    key = drawn_by(index, named, run.seed)
    if given.any():
        missing = ~given & has_label
        if missing.any():
            raise Fault(
                f"{missing.sum():,} of {len(split):,} documents have a label and no split, and others have one. Give all a split, or none"
            )
        split[~given] = UNLABELLED
        if (split == VALID).any() or not params.valid_share:
            return split
        part = np.flatnonzero((split == TRAIN) & has_label)  # to choose settings on, test being for the end
        shares = {VALID: params.valid_share}
    else:
        split[:] = UNLABELLED
        part = np.flatnonzero(has_label)
        shares = {VALID: params.valid_share, TEST: params.test_share}
    if not len(part):
        return split
    if params.divide == "group":
        group = index["group"][part]
        none = ~group.any(axis=1)
        if none.any():
            raise Fault(f"divide is group, and {none.sum():,} of {len(part):,} documents have none. Name the column as `group`, or fill it")
        drawn = kernel.grouped(kernel.keys(group[:, 0], run.seed), shares)
    elif params.divide == "time":
        time = index["time"][part]
        if np.isnan(time).any():
            raise Fault(f"divide is time, and {np.isnan(time).sum():,} of {len(part):,} documents have none. Name the column as `time`")
        drawn = kernel.latest(time, key[part], shares)
    elif params.divide == "blocks":
        drawn = kernel.blocks(len(part), run.seed, shares)
    else:
        strata = index["label"][part] if params.divide == "stratified" else np.zeros(len(part), np.int32)
        drawn = kernel.drawn(key[part], strata, shares)
        if params.divide == "stratified" and params.valid_share:
            say_who_is_too_rare(strata, drawn, list(index.labels), len(shares) + 1, run)
    split[part] = drawn
    if not (split == TRAIN).any():
        raise Fault(
            f"no document is left to train on: of {len(part):,} with a label, all are in valid or test. Lower valid_share or test_share"
        )
    return split


def say_who_is_too_rare(strata: np.ndarray, drawn: np.ndarray, labels: list[str], n_wanted: int, run: Run) -> None:
    """Which classes have no document in valid, since they have fewer than one for each part."""
    rare = np.setdiff1d(strata, strata[drawn == VALID])
    if len(rare):
        first = ", ".join(repr(labels[i]) for i in rare[:SHOWN])
        run.say(
            f"{len(rare):,} of {len(np.unique(strata)):,} classes have fewer than {n_wanted} documents, too few to be in valid, first {first}. "
            "Bring more of them, join them, or say divide: random"
        )


def drops(index: Index, split: np.ndarray, kept: np.ndarray, params: Documents, named: bool, run: Run) -> Iterator[tuple[str, np.ndarray]]:
    """(step, places of the documents that it drops) one after the other; each looks at what those before it have kept."""
    if params.min_characters > 1:
        yield "min_characters", np.flatnonzero(kept & (index["changes"] & (1 << CHANGES.index("min_characters")) != 0))
    same = kernel.same(index["text"])
    if params.duplicates:
        there = np.flatnonzero(kept)
        asked = np.isin(split[there], [SPLITS.index(name) for name in params.duplicates])
        yield "duplicates", there[asked & ~kernel.first(same[there] * len(SPLITS) + split[there])]
    if params.leaks:
        there = np.flatnonzero(kept)
        yield "leaks", there[kernel.held_out(same[there], split[there], TEST, VALID)]
    if params.near_leaks:
        there = np.flatnonzero(kept)
        yield "near_leaks", there[near(index["minhash"][there], split[there], params.near_leaks)]
    if params.limit:
        there = np.flatnonzero(kept)
        # another draw than that of the splits, so that they keep their shares; no run has such a seed
        key = drawn_by(index, named, run.seed + 2**32)
        yield "limit", there[kernel.beyond(params.limit, key[there], index["label"][there])]


def near(minhash: np.ndarray, split: np.ndarray, similarity: float) -> np.ndarray:
    """Which documents of train, unlabelled and valid resemble one that is held out from them."""
    from datasketch import LeanMinHash, MinHashLSH

    def sketch(row: int) -> LeanMinHash:
        return LeanMinHash(seed=SEED, hashvalues=minhash[row], scheme=SCHEME)

    found = np.zeros(len(split), bool)
    for held, others in ((TEST, (VALID, TRAIN, UNLABELLED)), (VALID, (TRAIN, UNLABELLED))):
        index = MinHashLSH(threshold=similarity, num_perm=N_HASHES)
        for row in np.flatnonzero(split == held).tolist():
            index.insert(row, sketch(row))
        for row in np.flatnonzero(np.isin(split, others)).tolist():
            like = index.query(sketch(row))
            found[row] |= any((minhash[row] == minhash[other]).mean() >= similarity for other in like)
    return found

"""Documents: from the records of a source to a corpus, cleaned, without doubles, divided into splits.

What the ingest methods share. Each reads its source as record batches of RECORD and hands them to `write`,
which goes over them twice: once to clean them and learn their ids, labels and hashes, with the texts put
aside on disk; and once, when it is known who is dropped and who is in which split, to write the corpus.
In memory are a few batches for each process, the row group that is being written, and about a hundred bytes
for each document.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pipelines.artifacts.corpus import RECORDS, SPLITS, Corpus, hashes, normalised
from pipelines.artifacts.parquet import Writer
from pipelines.errors import Fault, nearest
from pipelines.kernels import splits as kernel
from pipelines.method import Knobs, Progress, Run

RECORD = pa.schema([
    ("id", pa.string()),
    ("text", pa.large_string()),
    ("label", pa.string()),
    ("split", pa.string()),  # null: it is drawn
    ("group", pa.string()),
    ("time", pa.float64()),  # anything that can be ordered
    ("where", pa.string()),  # file and line or row, for people
])  # fmt: skip
ROWS = 4096  # records in a batch, unless their texts are long
BATCH_BYTES = 2**23  # of text in a batch
EXCERPT = 80  # characters
ALONE = 16  # batches that one process cleans sooner than others could be started
NONE = ("", "nan", "none", "null", "na", "n/a", "<na>")  # of a label, in lower case: there is none
TRAIN, VALID, TEST, UNLABELLED = range(len(SPLITS))
UNKNOWN = -1


class Reject(NamedTuple):
    """A record that is no document."""

    where: str
    reason: str
    excerpt: str = ""


class Skipped(NamedTuple):
    """What is counted alone: empty lines and the like, too many and too little for a reject each; and how many RECORDS were read."""

    step: str  # what they are called in the table cleaning
    n: int


Record = pa.RecordBatch | Reject | Skipped


class Documents(Knobs):
    """How documents are cleaned and divided: knobs of every source. Cleaning goes in the order in which it stands here."""

    html: bool = False  # tags and comments out, a line break where a block ends; &amp; is &
    nfkc: bool = False  # Unicode's compatible form: the ligature fi is two letters, a full-width A is A
    control: bool = True  # control characters and byte order marks out, line breaks and tabs kept
    headers: bool = False  # the head of a mail or a news article, up to the first empty line
    quotes: bool = False  # lines of somebody else's text in an answer: > ..., and "N. N. writes:"
    mask_urls: bool = False  # a web address becomes <url>
    mask_emails: bool = False  # an e-mail address becomes <email>
    min_characters: int = Field(1, ge=1)  # a shorter document is rejected
    max_characters: int = Field(0, ge=0)  # of a longer one the start is kept; 0 keeps all
    # Twice the same text, letters and digits compared: what follows the first in its split is dropped. Not from valid
    # and test, where it would be another test than everybody else's.
    duplicates: list[Literal["train", "valid", "test", "unlabelled"]] = Field([])
    leaks: bool = True  # what stands in valid or test is dropped from train and unlabelled; what stands in test from valid
    # as `leaks`, for texts whose sets of five words in a row have at least this Jaccard similarity, by MinHash; 0 is off
    near_leaks: float = Field(0.0, ge=0, lt=1)
    limit: int = Field(0, ge=0)  # documents kept of each label, drawn by seed; 0 keeps all

    divide: Literal["stratified", "random", "group", "time", "blocks"] = "stratified"
    valid_share: float = Field(0.15, ge=0, lt=0.5)  # of the documents that have a label
    test_share: float = Field(0.15, ge=0, lt=0.5)

    @model_validator(mode="after")
    def _something_is_left(self) -> "Documents":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share together must be below 1, since the rest is train")
        return self


def record_batch(n: int, **columns: Any) -> pa.RecordBatch:
    """`n` records; a column that is not given is null."""
    arrays = []
    for field in RECORD:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(n, field.type))
        elif isinstance(values, (pa.Array, pa.ChunkedArray)):
            values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            arrays.append(values.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD)


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
        _without(batch, rejects := [], pa.array(~once[here]), "has an id that stands before")
        index.reject(rejects, out)
        mine = once[here] & kept[row[here]]
        names = pa.array(SPLITS).take(pa.array(split[row[here]][mine]))
        columns = {name: batch.column(name).filter(pa.array(mine)) for name in ("text", "label", "group")}
        out.append(doc_id=batch.column("id").filter(pa.array(mine)), split=names, **columns)


# the first time over the source: cleaned, and put aside


class Piece(NamedTuple):
    """What goes to a process at a time: a batch, and what the reader rejected before it."""

    rejects: list[Reject]
    batch: pa.RecordBatch


class Cleaned(NamedTuple):
    """A batch as it goes on disk, and what is kept of it in memory."""

    rejects: list[Reject]
    batch: pa.RecordBatch
    columns: dict[str, np.ndarray]


class Index:
    """What is known of each document while its text lies on disk: columns, an entry a document.

    id, text, group: (n, 2) uint64 hashes, of the text in its normalised form; a group of zeros is none.
    label: int32, a place in `labels`, or UNKNOWN. split: int8, a place in SPLITS, or UNKNOWN: to be drawn.
    time: float64 or NaN. changes: uint16, a bit for each of CHANGES. minhash: (n, 128) uint32, where it is asked for.
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


# what is done to a batch; runs in a process of its own

BLOCK = "address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|td|th|tr|ul"
INLINE = (
    "a|abbr|b|bdi|bdo|big|body|button|caption|center|cite|code|col|del|dfn|em|font|head|html|i|img|input|ins|kbd|label|link|mark|meta|nobr|"
    "option|q|s|samp|select|small|span|strike|strong|sub|sup|tbody|tfoot|thead|title|tt|u|var"
)
URL = r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]"
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
HEADER = r"\A(?:[A-Za-z][A-Za-z-]*:[^\n]*\n(?:[ \t]+[^\n]*\n)*)+\s*\n"
QUOTE = r"(?m)^(?:[ \t]*[>|].*|In article .*|Quoted from .*|.*(?:writes|wrote|says|said) ?:[ \t]*|.*writes in .*)$\n?"


CONTROL = r"[\x{feff}\x{200b}\x01-\x08\x0b-\x1f\x7f-\x{9f}]"


def without_html(texts: pa.Array) -> pa.Array:
    """Breaks and blocks become a new line, known tags nothing; <grin> and the like are the author's words."""
    texts = pc.replace_substring_regex(texts, r"(?is)<!--.*?-->|<(?:script|style)\b.*?</(?:script|style)\s*>", "")
    texts = pc.replace_substring_regex(texts, rf"(?i)[ \t\n]*(?:</?(?:{BLOCK})(?:\s[^<>]*)?/?>\s*)+", "\n")
    texts = pc.replace_substring_regex(texts, rf"(?i)</?(?:{INLINE})(?:\s[^<>]*)?/?>", "")
    if pc.any(pc.match_substring(texts, "&")).as_py():
        texts = pa.array([unescape(text) for text in texts.to_pylist()], texts.type)
    return texts


def without_control(texts: pa.Array) -> pa.Array:
    """Line ends as \n; a byte order mark or a zero-width space is nothing, any other control character a space."""
    if not pc.any(pc.match_substring_regex(texts, CONTROL)).as_py():  # the most frequent case, and the fastest
        return texts
    texts = pc.replace_substring_regex(texts, r"\r\n?", "\n")
    texts = pc.replace_substring_regex(texts, r"[\x{feff}\x{200b}]", "")
    return pc.replace_substring_regex(texts, r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]", " ")


# step -> what it makes of the texts, in the order in which it is done
STEPS: dict[str, Any] = {
    "html": without_html,
    "nfkc": lambda texts: pc.utf8_normalize(texts, "NFKC"),
    "control": without_control,
    "headers": lambda texts: pc.replace_substring_regex(texts, HEADER, ""),
    "quotes": lambda texts: pc.replace_substring_regex(texts, QUOTE, ""),
    "mask_urls": lambda texts: pc.replace_substring_regex(texts, URL, "<url>"),
    "mask_emails": lambda texts: pc.replace_substring_regex(texts, EMAIL, "<email>"),
}
CHANGES = [*STEPS, "max_characters", "label_trimmed", "label_none", "min_characters"]


def cleaned(piece: Piece, params: Documents) -> Cleaned:
    """A batch cleaned, without what is no document, and what the index needs of it."""
    batch, rejects = piece.batch, list(piece.rejects)
    batch = _without(batch, rejects, pc.fill_null(pc.equal(batch.column("id"), ""), True), "has no id")
    batch = _without(batch, rejects, pc.is_null(batch.column("text")), "has no text")
    for name in ("text", "id", "label", "group"):
        nul = pc.fill_null(pc.match_substring(batch.column(name), "\0"), False)
        batch = _without(batch, rejects, nul, f"holds a NUL character in its {name}, as no text does")
    batch = in_known_splits(batch, rejects)

    text, changed = batch.column("text"), {}
    for step, change in STEPS.items():
        if getattr(params, step):
            before, text = text, change(text)
            changed[step] = pc.not_equal(before, text)
    if params.max_characters:
        before, text = text, pc.utf8_slice_codeunits(text, 0, params.max_characters)
        changed["max_characters"] = pc.not_equal(before, text)
    label = pc.utf8_trim_whitespace(batch.column("label"))
    none = pc.is_in(pc.utf8_lower(label), pa.array(NONE))
    changed["label_trimmed"] = pc.and_not(pc.not_equal(label, batch.column("label")), none)
    changed["label_none"] = pc.and_(none, pc.not_equal(label, ""))
    group = batch.column("group")
    columns = {name: batch.column(name) for name in RECORD.names}
    columns |= {"text": text, "label": pc.if_else(none, None, label), "group": pc.if_else(pc.equal(group, ""), None, group)}
    bits = np.zeros(batch.num_rows, np.uint16)
    for place, step in enumerate(CHANGES):
        if step in changed:
            bits |= changed[step].fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint16) << place
    batch = record_batch(batch.num_rows, **columns)

    length = pc.utf8_length(pc.utf8_trim_whitespace(text)).to_numpy(zero_copy_only=False)
    bits |= (length < params.min_characters).astype(np.uint16) << CHANGES.index("min_characters")
    bits = bits[length > 0]
    batch = _without(batch, rejects, pa.array(length == 0), "is empty")
    plain = normalised(batch.column("text"))
    seen = {
        "id": hashes(batch.column("id")),
        "text": hashes(plain),
        "group": hashes(batch.column("group")),
        "split": split_of(batch).fill_null(UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int8),
        "time": batch.column("time").fill_null(np.nan).to_numpy(zero_copy_only=False),
        "changes": bits,
    }
    if params.near_leaks:
        seen["minhash"] = minhashes(plain)
    return Cleaned(rejects, batch, seen)


def split_of(batch: pa.RecordBatch) -> pa.Array:
    """The place in SPLITS that each record names, null where there is none."""
    return pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(batch.column("split"))), pa.array(SPLITS))


def in_known_splits(batch: pa.RecordBatch, rejects: list[Reject]) -> pa.RecordBatch:
    """Without the records of a split that is none; an empty cell is no split, to be drawn."""
    split = batch.column("split")
    wrong = pc.and_(pc.is_null(split_of(batch)), pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(split), ""), False))
    for name in pc.unique(split.filter(wrong)).to_pylist():
        reason = f"has split {name!r}; a split is one of {', '.join(SPLITS)}.{nearest(name, SPLITS)}"
        batch = _without(batch, rejects, pc.fill_null(pc.equal(batch.column("split"), name), False), reason)
    return batch


def _without(batch: pa.RecordBatch, rejects: list[Reject], wrong: pa.BooleanArray, reason: str) -> pa.RecordBatch:
    """The batch without the rows that are wrong; those go to `rejects`."""
    if not pc.any(wrong).as_py():
        return batch
    out = batch.filter(wrong)
    excerpts = pc.utf8_slice_codeunits(out.column("text").fill_null(""), 0, EXCERPT).to_pylist()
    rejects += [Reject(where or "", reason, excerpt) for where, excerpt in zip(out.column("where").to_pylist(), excerpts, strict=True)]
    return batch.filter(pc.invert(wrong))


SHINGLE = 5  # words in a row
N_HASHES = 128
SEED, SCHEME = 1, "affine32"  # of the hash functions; not the run's seed, so that near is near in every run


def minhashes(texts: pa.Array) -> np.ndarray:
    """(n, N_HASHES) uint32: of each text's set of SHINGLE words in a row (Broder 1997); all of a text with fewer words."""
    from datasketch import MinHash

    made, blank = np.empty((len(texts), N_HASHES), np.uint32), MinHash(N_HASHES, SEED, scheme=SCHEME)
    for row, text in enumerate(texts.to_pylist()):
        words, sketch = text.split(), blank.copy()
        sketch.update_batch({" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))})
        made[row] = sketch.hashvalues
    return made


# between the two: who is where, and who is dropped


def divided(index: Index, params: Documents, named: bool, run: Run) -> np.ndarray:
    """The place in SPLITS of each document, int8: as the source gives it, or drawn by seed. Raises Fault."""
    split = index["split"].copy()
    has_label = index["label"] != UNKNOWN
    given = split != UNKNOWN
    key = kernel.keys((index["id"] if named else index["text"])[:, 0], run.seed)
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
    split[part] = drawn
    if not (split == TRAIN).any():
        raise Fault(
            f"no document is left to train on: of {len(part):,} with a label, all are in valid or test. Lower valid_share or test_share"
        )
    return split


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
        key = kernel.keys(index["id" if named else "text"][there, 0], run.seed + 2**32)
        yield "limit", there[kernel.beyond(params.limit, key, index["label"][there])]


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

"""Corpus: the documents as they came in, each with its split.

table corpus     doc_id, text, label or null, split, group or null; one row per document
table rejects    where, reason, excerpt; one row per record of the source that is in no split
table cleaning   step, split, n_documents; what cleaning changed or dropped
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.artifacts import drift
from pipelines.artifacts.characters import CONTROL, LETTER, REPLACEMENT, SPACE, code_points, kinds, per_text, words_only
from pipelines.artifacts.parquet import Artifact, Table, column
from pipelines.artifacts.suite import Measure, Thresholds, expect, expect_measure

SPLITS = ("train", "valid", "test", "unlabelled")


PROFILE = [
    "doc_id", "split", "label", "label_missing", "label_unseen", "n_characters", "letters", "few_letters", "n_replaced", "n_control", "n_mojibake",
    "same_text", "exactly", "duplicate", "leaks_into", "other_label", "same_as", "excerpt",
]  # fmt: skip
HELD_OUT = {"test": ("train", "unlabelled", "valid"), "valid": ("train", "unlabelled")}  # what must not stand in them
ROWS = 256  # texts in memory at a time: few enough for the processor to keep their characters at hand
DRAWN = 5_000_000  # characters of a split, of documents drawn by seed, that words are compared by
BUCKETS = 2048  # that words are hashed into, so that two corpora are compared by the same names
EXCERPT = 60  # characters, to show
LETTERS = 0.5  # of a text in a language, share of its characters that are letters
# UTF-8 that was read as Latin-1 or Windows-1252: é is Ã and ©, a dash is â, € and something
MOJIBAKE = "[ÂÃ][\\x{80}-\\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€"


class CorpusThresholds(Thresholds):
    """Shares are of the documents, unless they say of what."""

    rejects: float = Field(0.01, ge=0, le=1)  # of the source's records that are in no split
    leaks: float = Field(0.0, ge=0, le=1)  # that stand in a held-out split, too
    duplicates: float = Field(0.01, ge=0, le=1)  # that stand before in their split
    other_labels: float = Field(0.001, ge=0, le=1)  # whose text has another label elsewhere
    unseen_labels: float = Field(0.0, ge=0, le=1)  # of valid and test, with a label that train does not have
    balance: float = Field(0.1, ge=0, le=1)  # the smallest class of train, as a share of what it had if all were of one size
    replaced: float = Field(0.001, ge=0, le=1)  # with a character that no encoding could read
    control: float = Field(0.001, ge=0, le=1)  # with a control character that is no tab and no line break
    mojibake: float = Field(0.001, ge=0, le=1)  # with UTF-8 that was read as another encoding
    few_letters: float = Field(0.02, ge=0, le=1)  # less than half of whose characters are letters
    short: float = Field(0.05, ge=0, le=1)  # of fewer than short_characters
    short_characters: int = Field(10, ge=0)
    longest: int = Field(1_000_000, ge=1)  # characters
    lengths: float = Field(0.25, ge=0)  # PSI of the lengths of two splits
    words: float = Field(0.3, ge=0, le=1)  # Jensen-Shannon distance of the words of two splits
    new_words: float = Field(0.2, ge=0, le=1)  # of a split's words, that are not among those of train


# in the table cleaning: how many records were read, by a source that makes a document of many, or many of one
RECORDS = "records"


class Corpus(Artifact):
    noun = "corpus"
    tables: ClassVar = {
        "corpus": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("text", pa.string(), "the document"),
            column("label", pa.string(), "its class", nullable=True),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("group", pa.string(), "what it was taken from, an article or a film", nullable=True),
        ),
        "rejects": Table(
            column("where", pa.string(), "file and line or row of the source"),
            column("reason", pa.string(), "why it is no document"),
            column("excerpt", pa.string(), "the start of what stood there"),
        ),
        "cleaning": Table(
            column("step", pa.string(), "the switch of the row that did it"),
            column("split", pa.string(), "where the documents are, or would have been"),
            column("n_documents", pa.int64(), "changed, or dropped where the step drops", "documents"),
        ),
    }
    key: ClassVar = ["doc_id", "split"]
    plots: ClassVar = ["n_characters", "letters"]
    thresholds = CorpusThresholds

    @classmethod
    def expectations(cls, t: CorpusThresholds) -> list[dict[str, Any]]:
        same, text = ("same_as", "excerpt"), ("excerpt",)
        return [
            expect("table_row_count_to_be_between", "there is at least one document", min_value=1),
            expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
            expect("column_values_to_be_in_set", "a split is one of train, valid, test, unlabelled", column="split", value_set=list(SPLITS)),
            expect("column_values_to_be_between", "a document has text in it; leave empty ones out of the source", column="n_characters", min_value=1),
            expect("column_values_to_be_in_set", "a document has a label, or is in the split unlabelled", column="label_missing", value_set=[False]),
            expect("column_values_to_be_in_set", "train has every label of valid and test; else nobody can learn it", "unseen_labels",
                   column="label_unseen", value_set=[False], mostly=1 - t.unseen_labels, show=("label",)),
            expect("column_values_to_not_be_in_set", "no document of another split stands in test; leaks: true drops those that do, warn: [leaks] lets them be", "leaks",
                   column="leaks_into", value_set=["test"], mostly=1 - t.leaks, show=same),
            expect("column_values_to_not_be_in_set", "no document of train or unlabelled stands in valid; leaks: true drops those that do, warn: [leaks] lets them be", "leaks",
                   column="leaks_into", value_set=["valid"], mostly=1 - t.leaks, show=same),
            expect("column_values_to_be_in_set", "a text is in its split once; duplicates: [train, unlabelled] drops the others", "duplicates",
                   "warn", column="duplicate", value_set=[False], mostly=1 - t.duplicates, show=same),
            expect("column_values_to_be_in_set", "the same text has the same label", "other_labels", "warn",
                   column="other_label", value_set=[False], mostly=1 - t.other_labels, show=("label", *same)),
            expect("column_values_to_be_between", "all bytes could be read as text; convert the source to UTF-8", "replaced",
                   column="n_replaced", max_value=0, mostly=1 - t.replaced, show=text),
            expect("column_values_to_be_between", "texts hold no control characters; control: true takes them out", "control", "warn",
                   column="n_control", max_value=0, mostly=1 - t.control, show=text),
            expect("column_values_to_be_between", "the encoding was guessed right: no Ã© for é", "mojibake", "warn",
                   column="n_mojibake", max_value=0, mostly=1 - t.mojibake, show=text),
            expect("column_values_to_be_in_set", "a text in a language is mostly letters; of walks, events and bases that is not asked", "few_letters",
                   "warn", column="few_letters", value_set=[False], mostly=1 - t.few_letters, show=("letters", *text)),
            expect("column_values_to_be_between", "few documents are very short", "short", "warn",
                   column="n_characters", min_value=t.short_characters, mostly=1 - t.short, show=text),
            expect("column_max_to_be_between", "no document is as long as a book", "longest", "warn", column="n_characters", max_value=t.longest),
            expect_measure("rejects", "the source's records could be read; share of those that could not", at_most=t.rejects),
            expect_measure("balance", "every class of train has documents enough; smallest class beside one of even size", "warn", at_least=t.balance),
            expect_measure("lengths", "documents of all splits are about as long; the largest PSI", "warn", at_most=t.lengths),
            expect_measure("words", "all splits use about the same words; the largest Jensen-Shannon distance", "warn", at_most=t.words),
            expect_measure("new_words", "train knows most words of the other splits; the largest share that it does not", "warn", at_most=t.new_words),
        ]  # fmt: skip

    def profile(self) -> pd.DataFrame:
        """A row per document.

        label_missing, label_unseen (train has no such label); n_characters, without space around; letters, the share of
        its characters that are; few_letters, where it is text in a language and has less than half; n_replaced (U+FFFD),
        n_control, n_mojibake. same_text and exactly: the same number for the same text, normalised or as it is. duplicate:
        it stands before in its split; leaks_into: the held-out split that it stands in, test before valid; other_label: it
        has another label elsewhere; same_as: the doc_id of the other document. excerpt: how the text begins.
        """
        parts = []
        texts, raw = [], []
        for batch in self.batches(rows=ROWS):
            text = batch.column("text")
            kind, offsets = code_points(text)
            kind = kinds()[kind]
            n_visible = np.maximum(np.diff(offsets) - per_text(kind == SPACE, offsets), 1)
            columns = {name: batch.column(name) for name in ("doc_id", "split", "label")} | {
                "label_missing": pc.and_(pc.not_equal(batch.column("split"), "unlabelled"), pc.is_null(batch.column("label"))),
                "n_characters": pc.utf8_length(pc.utf8_trim_whitespace(text)),
                "letters": per_text(kind == LETTER, offsets) / n_visible,
                "n_replaced": per_text(kind == REPLACEMENT, offsets),
                "n_control": per_text(kind == CONTROL, offsets),
                "n_mojibake": pc.count_substring_regex(text, MOJIBAKE),
                "excerpt": pc.utf8_slice_codeunits(text, 0, EXCERPT),
            }
            parts.append(pa.table(columns))
            texts.append(hashes(normalised(text)))
            raw.append(hashes(text))
        if not parts:
            return pd.DataFrame(columns=PROFILE)
        frame = pa.concat_tables(parts).to_pandas()
        # a source that makes a document of many records, or many of one, has sequences: walks, events, bases
        frame["few_letters"] = (frame["letters"] < LETTERS) & (self.n_records() is None)
        frame["same_text"], frame["exactly"] = _numbers(texts), _numbers(raw)
        return _compared(frame)[PROFILE]

    def measures(self, profile: pd.DataFrame) -> dict[str, Measure]:
        rejects = self.read("rejects")
        n = self.n_records() or len(profile) + len(rejects)
        sizes = profile.loc[(profile["split"] == "train") & profile["label"].notna(), "label"].value_counts()
        balance = float(sizes.min() / sizes.mean()) if len(sizes) > 1 else None
        smallest = [{"label": label, "documents": int(size)} for label, size in sizes[::-1].head(10).items()]
        words = self.words(profile)
        return {
            "rejects": Measure(len(rejects) / n if n else None, rejects.slice(0, 10).to_pylist()),
            "balance": Measure(balance, smallest),
            **_lengths(profile),
            **_words(words),
        }

    def n_records(self) -> int | None:
        """How many were read, of a source that says so; None of one whose records are its documents."""
        return pc.sum(self.read("cleaning").filter(pc.field("step") == RECORDS).column("n_documents")).as_py()

    def facts(self, profile: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
        return {"splits": _splits(profile), "the same text again": _same_texts(profile)}

    def distributions(self, profile: pd.DataFrame) -> dict[str, dict[str, int]]:
        """Words of all splits together, hashed: no word of the corpus goes into what is committed."""
        return {"words": dict(sorted(_hashed(sum(self.words(profile).values(), Counter())).items()))}

    def words(self, profile: pd.DataFrame) -> dict[str, Counter[str]]:
        """Split -> its words and how often each was seen, in DRAWN characters of its documents."""
        drawn = np.zeros(len(profile), bool)
        split, length = profile["split"].to_numpy(), profile["n_characters"].to_numpy()
        rng = np.random.default_rng(1)
        for name in SPLITS:
            rows = rng.permutation(np.flatnonzero(split == name))
            before = np.cumsum(length[rows]) - length[rows]
            drawn[rows[before < DRAWN]] = True
        found: dict[str, Counter[str]] = {name: Counter() for name in SPLITS if (split == name).any()}
        start = 0
        for batch in self.batches(["split", "text"], ROWS):
            here = pa.array(drawn[start : start + batch.num_rows])
            start += batch.num_rows
            texts = normalised(batch.column("text").filter(here)).to_pylist()
            for name, text in zip(batch.column("split").filter(here).to_pylist(), texts, strict=True):
                if name in found:
                    found[name].update(text.split())
        return found


def _numbers(parts: list[np.ndarray]) -> np.ndarray:
    """The same number for the same hash."""
    return np.unique(np.concatenate(parts).view("u8,u8").ravel(), return_inverse=True)[1]


def _compared(frame: pd.DataFrame) -> pd.DataFrame:
    """With what each document is beside the others."""
    split, text, label, doc_id = (frame[name].to_numpy() for name in ("split", "same_text", "label", "doc_id"))
    labelled = frame["label"].notna().to_numpy()
    of_train = frame.loc[(split == "train") & labelled, "label"].unique()
    # a corpus without labels in train is not there to learn classes from
    unseen = np.isin(split, list(HELD_OUT)) & labelled & ~frame["label"].isin(of_train).to_numpy() & bool(len(of_train))
    firsts: dict[str, pd.Series] = {}  # split -> text -> first row of it
    for name in SPLITS:
        rows = np.flatnonzero(split == name)
        number, first = np.unique(text[rows], return_index=True)
        firsts[name] = pd.Series(rows[first], number)
    twin = np.full(len(frame), -1)
    codes = np.unique(np.stack([text[labelled], pd.factorize(label[labelled])[0]], 1), axis=0)[:, 0]
    mixed = codes[np.flatnonzero(np.diff(codes, prepend=-1) == 0)]  # a text that comes with more than one label
    other = labelled & np.isin(text, mixed)
    of_text: dict[int, list[int]] = {}
    for row in np.flatnonzero(other).tolist():
        of_text.setdefault(text[row], []).append(row)
    for alike in of_text.values():
        for one in alike:
            twin[one] = next(same for same in alike if label[same] != label[one])
    duplicate = np.zeros(len(frame), bool)
    leaks_into = np.full(len(frame), "no", object)
    for name, first in firsts.items():
        rows = np.flatnonzero(split == name)
        there = first.loc[text[rows]].to_numpy()
        duplicate[rows] = there != rows
        twin[rows[there != rows]] = there[there != rows]
    for held in reversed(HELD_OUT):  # test last, so that it stays
        rows = np.flatnonzero(np.isin(split, HELD_OUT[held]) & np.isin(text, firsts[held].index))
        leaks_into[rows] = held
        twin[rows] = firsts[held].loc[text[rows]]
    same_as = np.where(twin >= 0, doc_id[twin], "")
    return frame.assign(label_unseen=unseen, duplicate=duplicate, leaks_into=leaks_into, other_label=other, same_as=same_as)


def _pairs() -> Iterator[tuple[str, str]]:
    for split in SPLITS:
        yield split, split
    for held, others in HELD_OUT.items():
        for other in others:
            yield other, held


def _same_texts(profile: pd.DataFrame) -> list[dict[str, Any]]:
    """How many texts, and documents that have one of them, are twice in a split, or in another split; as they are, and normalised."""
    found = []
    for split, other in _pairs():
        line: dict[str, Any] = {"documents of": split, "that stand in": "the same, before" if split == other else other}
        for name, said in (("exactly", "as they are"), ("same_text", "normalised")):
            here = profile.loc[profile["split"] == split, name]
            again = here[here.duplicated()] if split == other else here[here.isin(profile.loc[profile["split"] == other, name])]
            line |= {f"documents, {said}": len(again), f"texts, {said}": int(again.nunique())}
        if line["documents, normalised"]:
            found.append(line)
    return found


def _splits(profile: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for name in SPLITS:
        rows = profile[profile["split"] == name]
        if len(rows):
            labels = rows["label"].value_counts()
            length = rows["n_characters"]
            found.append({
                "split": name, "documents": len(rows), "classes": len(labels),
                "smallest class": int(labels.min()) if len(labels) else "", "largest class": int(labels.max()) if len(labels) else "",
                "median characters": float(length.median()), "longest": int(length.max()),
            })  # fmt: skip
    return found


def _lengths(profile: pd.DataFrame) -> dict[str, Measure]:
    lengths = {name: rows.to_numpy() for name, rows in profile.groupby("split")["n_characters"]}
    train = lengths.get("train", np.empty(0))
    borders = drift.edges(train)
    found = [
        {"split": name, "PSI": round(drift.psi(drift.binned(train, borders), drift.binned(rows, borders)), 4), "median characters": float(np.median(rows))}
        for name, rows in lengths.items()
        if name != "train" and min(len(rows), len(train)) >= drift.FEWEST
    ]  # fmt: skip
    return {"lengths": Measure(max((line["PSI"] for line in found), default=None), found)}


def _hashed(words: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, count in words.items():
        found[f"{zlib.crc32(word.encode()) % BUCKETS:03x}"] += count
    return found


def _words(words: dict[str, Counter[str]]) -> dict[str, Measure]:
    train = words.get("train", Counter())
    far: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    for name, counts in words.items():
        if name == "train" or min(counts.total(), train.total()) < drift.FEWEST_WORDS:
            continue
        apart, _ = drift.distance_of(*(_hashed(each) for each in (train, counts)))
        far.append({"split": name, "distance": round(apart, 4)})
        unknown = Counter({word: count for word, count in counts.items() if word not in train})
        share = unknown.total() / counts.total()
        new.append({"split": name, "share": round(share, 4), "most frequent": ", ".join(word for word, _ in unknown.most_common(8))})
    return {
        "words": Measure(max((line["distance"] for line in far), default=None), far),
        "new_words": Measure(max((line["share"] for line in new), default=None), new),
    }


def normalised(texts: pa.Array) -> pa.Array:
    """The letters and digits of each text, lower-case, words apart by one space: what counts as the same text. Large strings.

    A text without any, such as a smile, is itself.
    """
    texts = texts.cast(pa.large_string())
    if not len(texts):
        return texts
    plain = _normalised_ascii(texts)
    other = pc.invert(pc.fill_null(pc.string_is_ascii(texts), True))
    if pc.any(other).as_py():
        plain = pc.replace_with_mask(plain, other, _normalised(texts.filter(other)))
    return pc.if_else(pc.equal(plain, ""), pc.utf8_trim_whitespace(texts), plain)


def _normalised(texts: pa.Array) -> pa.Array:
    plain = pc.utf8_lower(pc.utf8_normalize(texts, "NFKC"))
    return pa.array(words_only(plain), texts.type)


# byte -> the letter or digit that it is, in lower case, or a space
PLAIN = bytes(ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else 32 for byte in range(256))


def _normalised_ascii(texts: pa.Array) -> pa.Array:
    """The same for texts of ASCII, five times as fast."""
    valid, offsets, letters = texts.buffers()
    plain = pa.Array.from_buffers(
        texts.type, len(texts), [valid, offsets, pa.py_buffer(bytes(letters or b"").translate(PLAIN))], offset=texts.offset
    )
    return pc.ascii_trim_whitespace(pc.binary_join(pc.ascii_split_whitespace(plain), pa.scalar(" ", texts.type)))


def hashes(values: pa.Array) -> np.ndarray:
    """(n, 2) uint64: 128 bits of BLAKE2 of each value; zeros of a null."""
    digests = [
        bytes(16) if value is None else hashlib.blake2b(value, digest_size=16).digest()
        for value in values.cast(pa.large_binary()).to_pylist()
    ]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)

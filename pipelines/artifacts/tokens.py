"""Tokens: documents as numbers, beside the vocabulary that gives the numbers their meaning.

table tokens   doc_id, split, label or null, token_ids; one row per document, in the corpus' order
table vocab    token_id, token, count; token_id counts up from 0, and 0 is the unknown token
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.artifacts import drift
from pipelines.artifacts.corpus import SPLITS
from pipelines.artifacts.parquet import Artifact, Table, column, list_of
from pipelines.artifacts.suite import Measure, Thresholds, expect, expect_measure

UNKNOWN_ID = 0
UNKNOWN = "<unk>"

VOCAB = Table(
    column("token_id", pa.int32(), "row of the vocabulary, from 0"),
    column("token", pa.string(), "the token itself, unique"),
    column("count", pa.int64(), "sightings in the splits that made the vocabulary", "tokens"),
)


FREQUENT = 1000  # tokens that splits and runs are compared by; all others count as one
OTHER = "all other tokens"


class TokensThresholds(Thresholds):
    empty: float = Field(0.0, ge=0, le=1)  # share of documents without a token
    unknown: float = Field(0.5, ge=0, le=1)  # share of a split's tokens
    mostly_unknown: float = Field(0.05, ge=0, le=1)  # share of documents, of which more than half is unknown
    miscounted: int = Field(0, ge=0)  # tokens
    words: float = Field(0.3, ge=0, le=1)  # Jensen-Shannon distance of the tokens of two splits


class Tokens(Artifact):
    noun = "tokens"
    tables: ClassVar = {
        "tokens": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("label", pa.string(), "its class", nullable=True),
            column("token_ids", list_of(pa.int32()), "rows of vocab, in reading order", "token_id"),
        ),
        "vocab": VOCAB,
    }
    key: ClassVar = ["doc_id", "split"]
    plots: ClassVar = ["n_tokens", "unknown_share"]
    thresholds = TokensThresholds

    @classmethod
    def expectations(cls, t: TokensThresholds) -> list[dict[str, Any]]:
        return [
            expect("table_row_count_to_be_between", "there is at least one document", min_value=1),
            expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
            expect("column_values_to_be_in_set", "a split is one of train, valid, test, unlabelled", column="split", value_set=list(SPLITS)),
            expect("column_values_to_be_between", "a document has a token; leave it out of the source, or let the pattern match more", "empty",
                   column="n_tokens", min_value=1, mostly=1 - t.empty),
            expect("column_values_to_be_between", "token_ids are rows of vocab", column="n_outside", max_value=0),
            expect("column_values_to_be_between", "few documents are mostly unknown tokens", "mostly_unknown", "warn",
                   column="unknown_share", max_value=0.5, mostly=1 - t.mostly_unknown, show=("n_tokens",)),
            expect_measure("unknown", "most tokens of every split are known; lower min_count, or raise max_vocab; the largest share that is not",
                           at_most=t.unknown),
            expect_measure("vocabulary", "every token is in the vocabulary once, at the place of its token_id; how many are not", threshold="", at_most=0),
            expect_measure("miscounted", "the vocabulary's counts are the sightings in some of the splits; tokens of which they are not",
                           at_most=t.miscounted),
            expect_measure("words", "all splits use tokens about as often; the largest Jensen-Shannon distance", "warn", at_most=t.words),
        ]  # fmt: skip

    def vocab(self) -> pa.Table:
        """The vocabulary, in token_id order."""
        return self.read("vocab")

    def words(self) -> list[str]:
        """token_id -> token."""
        return self.read("vocab", ["token"]).column("token").to_pylist()

    def documents(self, splits: Sequence[str], rows: int = 65_536) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Documents of some splits, a batch at a time.

        Yields:
            (values, offsets): int32 token ids end to end, and int64 offsets of n + 1 entries;
            document i is values[offsets[i]:offsets[i + 1]].
        """
        for batch in self.batches(["split", "token_ids"], rows):
            ids = batch.column("token_ids").filter(pc.is_in(batch.column("split"), pa.array(list(splits))))
            yield (
                ids.flatten().to_numpy(zero_copy_only=False),
                np.concatenate([[0], np.cumsum(ids.value_lengths().to_numpy(zero_copy_only=False))]).astype(np.int64),
            )

    def ids(self, splits: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All documents of some splits at once, as `documents` gives them; 4 bytes a token."""
        parts = list(self.documents(splits))
        values = np.concatenate([np.empty(0, np.int32), *(values for values, _ in parts)])
        lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(offsets) for _, offsets in parts)])
        return values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def known_counts(self, splits: Sequence[str]) -> np.ndarray:
        """(V,) int64, how often each token stands in documents of some splits; 0 for the unknown one."""
        counts = np.zeros(self.n_rows("vocab"), np.int64)
        for values, _ in self.documents(splits):
            counts += np.bincount(values, minlength=len(counts))
        counts[UNKNOWN_ID] = 0
        return counts

    def profile(self) -> pd.DataFrame:
        """doc_id, split, label, n_tokens, unknown_share, n_outside (ids that vocab does not have)."""
        n_vocab = self.n_rows("vocab")
        parts = []
        for batch in self.batches():
            ids = batch.column("token_ids")
            n_tokens = ids.value_lengths().to_numpy(zero_copy_only=False)
            values = ids.flatten().to_numpy(zero_copy_only=False)
            document = np.repeat(np.arange(len(n_tokens)), n_tokens)
            unknown = np.bincount(document[values == UNKNOWN_ID], minlength=len(n_tokens))
            outside = np.bincount(document[(values < 0) | (values >= n_vocab)], minlength=len(n_tokens))
            frame = batch.select(["doc_id", "split", "label"]).to_pandas()
            parts.append(frame.assign(n_tokens=n_tokens, unknown_share=unknown / np.maximum(n_tokens, 1), n_outside=outside))
        columns = ["doc_id", "split", "label", "n_tokens", "unknown_share", "n_outside"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def measures(self, profile: pd.DataFrame) -> dict[str, Measure]:
        vocab = self.vocab().to_pandas()
        sightings = self.sightings()
        displaced = vocab[(vocab["token_id"] != np.arange(len(vocab))) | vocab["token"].duplicated(keep=False)]
        n_tokens = {name: int(counts.sum()) for name, counts in sightings.items()}
        unknown: list[dict[str, Any]] = [
            {"split": name, "share": round(counts[UNKNOWN_ID] / max(n_tokens[name], 1), 4), "tokens": n_tokens[name]}
            for name, counts in sightings.items()
        ]
        train = _frequent(sightings["train"]) if n_tokens.get("train") else np.zeros(1)
        far: list[dict[str, Any]] = [
            {"split": name, "distance": round(drift.distance(train, _frequent(counts)), 4)}
            for name, counts in sightings.items()
            if name != "train" and min(counts.sum(), train.sum()) >= drift.FEWEST_WORDS
        ]
        return {
            "unknown": Measure(max((line["share"] for line in unknown), default=None), unknown),
            "vocabulary": Measure(len(displaced), displaced.head(10).to_dict("records")),
            "miscounted": _miscounted(vocab, sightings),
            "words": Measure(max((line["distance"] for line in far), default=None), far),
        }

    def facts(self, profile: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
        found = []
        for name, rows in profile.groupby("split"):
            lengths = rows["n_tokens"]
            found.append({
                "split": name, "documents": len(rows), "tokens": int(lengths.sum()),
                "median tokens": float(lengths.median()), "longest": int(lengths.max()),
            })  # fmt: skip
        return {"splits": found, "vocabulary": [{"tokens": self.n_rows("vocab")}]}

    def distributions(self, profile: pd.DataFrame) -> dict[str, dict[str, int]]:
        """The FREQUENT most frequent tokens, of all splits together."""
        counts = sum(self.sightings().values(), np.zeros(self.n_rows("vocab"), np.int64))
        words = self.words()
        first = np.argsort(-counts, kind="stable")[:FREQUENT]
        found = {words[i]: int(counts[i]) for i in first if counts[i]}
        return {"words": {**found, OTHER: int(counts.sum()) - sum(found.values())}}

    def sightings(self) -> dict[str, np.ndarray]:
        """Split -> (V,) int64, how often each token_id is in it; of the splits that are there."""
        n_vocab = self.n_rows("vocab")
        found: dict[str, np.ndarray] = {}
        for batch in self.batches(["split", "token_ids"]):
            splits = batch.column("split")
            for name in SPLITS:
                ids = batch.column("token_ids").filter(pc.equal(splits, name))
                if len(ids):
                    values = ids.flatten().to_numpy(zero_copy_only=False)
                    counts = np.bincount(values[(values >= 0) & (values < n_vocab)], minlength=n_vocab)
                    found[name] = found.get(name, 0) + counts
        return found


def _frequent(counts: np.ndarray) -> np.ndarray:
    """Of the first tokens of the vocabulary, which are the most frequent, and of all others together."""
    return np.append(counts[:FREQUENT], counts[FREQUENT:].sum()).astype(float)


def _miscounted(vocab: pd.DataFrame, sightings: dict[str, np.ndarray]) -> Measure:
    """Tokens whose count is not what is seen in those splits that explain the counts best."""
    count = vocab["count"].to_numpy()
    if not count.any():  # a vocabulary that came from elsewhere, without its counts
        return Measure(None)
    best: tuple[int, np.ndarray, str] | None = None
    for size in range(len(sightings), 0, -1):
        for names in combinations(sightings, size):
            seen = sum((sightings[name] for name in names), np.zeros(len(count), np.int64))
            n_wrong = int((seen != count).sum())
            if best is None or n_wrong < best[0]:
                best = n_wrong, seen, ", ".join(names)
    if best is None:
        return Measure(None)
    n_wrong, seen, explained_by = best
    wrong = vocab.assign(seen=seen, splits=explained_by)[seen != count]
    return Measure(n_wrong, wrong.head(10).to_dict("records"))

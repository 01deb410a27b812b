"""Tokens: documents as numbers, beside the vocabulary that gives the numbers their meaning.

table tokens   doc_id, split, label or null, token_ids; one row per document, in the corpus' order
table vocab    token_id, token, count; token_id counts up from 0, and 0 is the unknown token
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.corpus import SPLITS
from pipelines.artifacts.parquet import Artifact, Table, column, expect, list_of

UNKNOWN_ID = 0
UNKNOWN = "<unk>"

VOCAB = Table(
    column("token_id", pa.int32(), "row of the vocabulary, from 0"),
    column("token", pa.string(), "the token itself, unique"),
    column("count", pa.int64(), "sightings in the splits that made the vocabulary", "tokens"),
)


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
    expectations: ClassVar = [
        expect("table_row_count_to_be_between", "there is at least one document", min_value=1),
        expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
        expect("column_values_to_be_in_set", "a split is one of train, valid, test, unlabelled", column="split", value_set=list(SPLITS)),
        expect(
            "column_values_to_be_between",
            "a document has a token; leave it out of the source, or let the pattern match more",
            column="n_tokens",
            min_value=1,
        ),
        expect("column_values_to_be_between", "token_ids are rows of vocab", column="n_outside", max_value=0),
        expect(
            "column_mean_to_be_between",
            "at most half of a document's tokens are unknown, on average; lower min_count, or raise max_vocab",
            column="unknown_share",
            max_value=0.5,
        ),
    ]

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

"""What the report says of texts: documents and labels of each split, lengths in tokens, tokens that share a bucket.

Texts are not read: of a corpus its splits and labels, of tokens their numbers.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from pipelines.artifacts.corpus import SPLITS, Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.reporting.stages import read_csv


def splits(corpus: Corpus) -> dict[str, Any]:
    """Documents and labels of each split."""
    labels = pd.concat([batch.to_pandas() for batch in corpus.batches(["split", "label"])])
    found = []
    for split in (name for name in SPLITS if (labels["split"] == name).any()):
        counts = labels.loc[labels["split"] == split, "label"].value_counts()
        found.append({
            "split": split, "documents": int((labels["split"] == split).sum()), "labelled": int(counts.sum()),
            "classes": len(counts), "largest": int(counts.max()) if len(counts) else 0, "smallest": int(counts.min()) if len(counts) else 0,
        })  # fmt: skip
    return {"splits": found, "classes": sorted(labels["label"].dropna().unique())}


def token_facts(tokens: Tokens) -> dict[str, Any]:
    """Tokens of each split, how long its documents are, and the share of tokens that the vocabulary does not know."""
    lengths: dict[str, list[np.ndarray]] = {}
    unknown = dict.fromkeys(SPLITS, 0)
    for batch in tokens.batches(["split", "token_ids"]):
        for split in pc.unique(batch.column("split")).to_pylist():
            ids = batch.column("token_ids").filter(pc.equal(batch.column("split"), split))
            lengths.setdefault(split, []).append(ids.value_lengths().to_numpy(zero_copy_only=False))
            unknown[split] += int((ids.flatten().to_numpy(zero_copy_only=False) == UNKNOWN_ID).sum())
    found = []
    for split in (name for name in SPLITS if name in lengths):
        n = np.concatenate(lengths[split])
        total = int(n.sum())
        found.append({
            "split": split, "tokens": total, "median": float(np.median(n)), "longest": int(n.max()), "unknown": unknown[split] / max(total, 1),
        })  # fmt: skip
    return {"splits": found, "vocabulary": tokens.n_rows("vocab")}


def collisions(counts: Counts) -> dict[str, int] | None:
    """Of tokens hashed into buckets, as the method `documents` counts them; None where each has a column of its own."""
    rows = read_csv(counts.folder / "collisions.csv")
    return {key: int(value) for key, value in rows[0].items()} if rows else None

"""Small tokens for tests, written out as lists of token ids; id 0 is the unknown token."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run

# the ways to train that skip-gram and CBOW have
WORD2VEC = [
    {},
    {"loss": "hierarchical"},
    {"loss": "softmax"},
    {"loss": "nce"},
    {"engine": "gensim"},
    {"engine": "gensim", "loss": "hierarchical"},
]


def tokens_of(folder: Path, documents: Sequence[Sequence[int]], n_vocab: int | None = None, splits: Sequence[str] | None = None) -> Tokens:
    """Tokens of documents that are all of `train`, unless `splits` names the split of each; words are w1, w2, ..."""
    ids = np.array([i for document in documents for i in document], np.int32)
    n_vocab = n_vocab or int(ids.max(initial=0)) + 1
    offsets = np.concatenate([[0], np.cumsum([len(document) for document in documents])]).astype(np.int64)
    with Run(folder).open(Tokens) as out:
        out.append(
            doc_id=[f"d{i}" for i in range(len(documents))], split=list(splits or ["train"] * len(documents)),
            label=[None] * len(documents), token_ids=(ids, offsets),
        )  # fmt: skip
        words = [UNKNOWN, *(f"w{i}" for i in range(1, n_vocab))]
        out.append("vocab", token_id=np.arange(n_vocab), token=words, count=np.bincount(ids, minlength=n_vocab))
    return out.artifact


def two_topics(n_documents: int, seed: int) -> list[list[int]]:
    """Documents of twelve words each, from words 1 to 5 or from 6 to 10 alone."""
    rng = np.random.default_rng(seed)
    return [(rng.integers(1, 6, 12) + 5 * (i % 2)).tolist() for i in range(n_documents)]


def topic_cosines(made: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """Of the words of `two_topics`: cosines of two of one topic (a word with itself among them), and of two of different ones."""
    vectors = made.matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    return cosine[alike], cosine[~alike]


def labelled(folder, documents, words):
    """Tokens of `words`, the first of them unknown; documents: (split, label, token ids)."""
    with Run(folder).open(Tokens) as out:
        out.append("vocab", token_id=range(len(words)), token=words, count=[0] + [1] * (len(words) - 1))
        out.append(
            doc_id=[f"d{i}" for i in range(len(documents))], split=[d[0] for d in documents],
            label=[d[1] for d in documents], token_ids=[list(d[2]) for d in documents],
        )  # fmt: skip
    return out.artifact

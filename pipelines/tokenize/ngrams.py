"""N-grams of words: every run of n_min to n_max words is a token, its words joined by a space.

reads   corpus    the documents, all splits
writes  tokens    token_ids per document, by where an n-gram starts and then by its length; vocab by count
source  Shannon 1948; as the bags of scikit-learn's CountVectorizer(ngram_range=...)
shapes  V n-grams kept, and <unk> before them with id 0

Each distinct n-gram is in memory until all is counted.
"""

from collections.abc import Iterator

import pyarrow as pa
from pydantic import Field

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run


class Params(vocabulary.Worded, vocabulary.Lengths):
    n_min: int = Field(1, ge=1)  # words
    n_max: int = Field(2, ge=1)


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    advice = f"n_min, which is {params.n_min}, pattern"
    return vocabulary.tokenize(corpus, params, run, cut, params, piece="n-gram", advice=advice)


def cut(texts: pa.Array, params: Params):
    return vocabulary.number(
        grams(vocabulary.words_of(text, params.pattern, params.lower), params.n_min, params.n_max) for text in texts.to_pylist()
    )


def grams(words: list[str], n_min: int, n_max: int) -> Iterator[str]:
    for start in range(len(words)):
        for end in range(start + n_min, min(start + n_max, len(words)) + 1):
            yield " ".join(words[start:end])

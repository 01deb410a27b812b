"""Whitespace: sequences that are tokens already, such as walks over a graph, or codes of events in time.

reads   corpus    the documents, all splits; tokens with white space between them
writes  tokens    token_ids per document, in the corpus' order; vocab by count, then alphabetically; tokenizer.json
source  none; as word2vec reads its input (Mikolov 2013)
shapes  V tokens kept, and <unk> before them with id 0
"""

from collections.abc import Sequence

import pyarrow as pa
from pydantic import Field

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run


class Params(vocabulary.Kept):
    min_count: int = Field(1, ge=1)  # tokens that were made on purpose are kept, however rare


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    tokens = vocabulary.tokenize(corpus, params, run, cut, piece="token", advice="the corpus")
    # Python counts the separators of ASCII as white space, Unicode does not
    vocabulary.write_tokenizer(tokens, [], [vocabulary.split(r"[\s\x{1c}-\x{1f}]+", "Removed")], decoder=None)
    return tokens


def cut(texts: pa.Array):
    return vocabulary.number(text.split() for text in texts.to_pylist())


def decode(ids: Sequence[int], vocab: Sequence[str]) -> str:
    """The text, with single spaces."""
    return " ".join(vocab[i] for i in ids)

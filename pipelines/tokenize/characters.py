"""Characters: each code point of the text is a token, white space too.

reads   corpus    the documents, all splits
writes  tokens    token_ids per document, in the corpus' order; vocab by count, then by code point; tokenizer.json
source  none; Zhang, Zhao, LeCun 2015 classify text from characters
shapes  V characters kept, and <unk> before them with id 0
"""

from collections.abc import Sequence

import pyarrow as pa
from pydantic import Field

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run


class Params(vocabulary.Kept):
    lower: bool = False  # by Python's Unicode; the library that reads tokenizer.json may know some letters more
    min_count: int = Field(1, ge=1)


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    tokens = vocabulary.tokenize(corpus, params, run, cut, params.lower, piece="character", advice="the corpus")
    lower = [vocabulary.LOWERCASE] if params.lower else []
    vocabulary.write_tokenizer(tokens, lower, [vocabulary.split(r"[\s\S]", "Isolated")], decoder="Fuse")
    return tokens


def cut(texts: pa.Array, lower: bool):
    # each character by itself: the S at the end of a Greek word has no form of its own
    return vocabulary.number(text.replace("Σ", "σ").lower() if lower else text for text in texts.to_pylist())


def decode(ids: Sequence[int], vocab: Sequence[str]) -> str:
    """The text as it was, or in lower case, where no character is unknown."""
    return "".join(vocab[i] for i in ids)

"""Phrases: words that stand together more often than chance has it become one token, joined by _.

reads   corpus    the documents, all splits; pairs are counted in vocab_splits alone
writes  tokens    token_ids per document, in the corpus' order; vocab by count, then alphabetically
source  Mikolov 2013 (scoring default), Bouma 2009 (npmi); pairs are scored and joined by gensim
shapes  V words and phrases kept, and <unk> before them with id 0
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run

if TYPE_CHECKING:
    from gensim.models.phrases import FrozenPhrases


class Params(vocabulary.Worded):
    scoring: Literal["default", "npmi"] = "default"
    threshold: float = 10.0  # a pair that scores less stays two words; gensim's value. npmi: -1 to 1
    phrase_min_count: int = Field(5, ge=1)  # so does a pair that is seen less often
    passes: int = Field(1, ge=1, le=4)  # a second one joins phrases, too: up to four words
    connector_words: list[str] = Field([])  # may stand inside a phrase and do not count for its score: bank_of_america

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.scoring == "npmi" and not -1 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; npmi is between -1 and 1, and 0.5 a fair start")
        return self


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    models: list[FrozenPhrases] = []
    for _ in range(params.passes):
        models.append(find(sentences(corpus, params, models), params))
        run.say(f"pass {len(models)} finds {len(models[-1].phrasegrams):,} phrases")
    return vocabulary.tokenize(corpus, params, run, cut, params, models, piece="word", advice="pattern")


def find(documents: Iterator[list[str]], params: Params) -> "FrozenPhrases":
    from gensim.models.phrases import Phrases

    # a delimiter that no word has: gensim takes phrases apart by it to score them, and a word may have _ in it
    model = Phrases(
        documents, min_count=params.phrase_min_count, threshold=params.threshold, scoring=params.scoring,
        connector_words=frozenset(params.connector_words), delimiter="\0",
    ).freeze()  # fmt: skip
    model.delimiter, model.phrasegrams = "_", {phrase.replace("\0", "_"): score for phrase, score in model.phrasegrams.items()}
    return model


def sentences(corpus: Corpus, params: Params, models: list["FrozenPhrases"]) -> Iterator[list[str]]:
    for batch in corpus.batches(["split", "text"], vocabulary.ROWS):
        yield from documents_of(batch.column("text").filter(pa.array(vocabulary.counts_for(batch.column("split"), params))), params, models)


def cut(texts: pa.Array, params: Params, models: list["FrozenPhrases"]):
    return vocabulary.number(documents_of(texts, params, models))


def documents_of(texts: pa.Array, params: Params, models: list["FrozenPhrases"]) -> Iterator[list[str]]:
    for text in texts.to_pylist():
        words = vocabulary.words_of(text, params.pattern, params.lower)
        for model in models:
            words = model[words]
        yield words

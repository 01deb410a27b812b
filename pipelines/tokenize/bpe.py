"""BPE: the pair of symbols seen most often becomes one symbol, again and again, from single bytes on.

reads   corpus    the documents, all splits; pairs are counted in vocab_splits alone
writes  tokens    token_ids per document, in the corpus' order; vocab in the order of merging; tokenizer.json
source  Sennrich, Haddow, Birch 2016; on bytes as in GPT-2 (Radford 2019); trained and applied by the `tokenizers` library
shapes  V = vocab_size tokens: <unk>, the 256 bytes, and what was merged from them

No text is unknown: each is made of bytes.
"""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipelines import subwords
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.method import Run
from pipelines.subwords import sources as sources

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


class Params(subwords.Params):
    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.tokenizer and self.vocab_size <= len(ALPHABET):
            raise ValueError(f"vocab_size is {self.vocab_size}; it must be above {len(ALPHABET)}, for each byte and <unk> are tokens")
        return self


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    return subwords.tokenize(corpus, params, run, "BPE", train)


def train(corpus: Corpus, params: Params) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if params.lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocab_size, min_frequency=params.min_count, special_tokens=[UNKNOWN],
        initial_alphabet=ALPHABET, show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(subwords.texts(corpus, params), trainer)
    return tokenizer


def decode(ids: Sequence[int], vocab: Sequence[str]) -> str:
    """The text as it was, or in lower case."""
    return decoders.ByteLevel().decode([vocab[i] for i in ids])

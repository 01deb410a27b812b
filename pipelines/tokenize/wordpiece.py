"""WordPiece: words fall into the longest pieces that the vocabulary has; a piece inside a word begins with ##.

reads   corpus    the documents, all splits; pairs are counted in vocab_splits alone
writes  tokens    token_ids per document, in the corpus' order; vocab in the order of merging; tokenizer.json
source  Wu 2016 and BERT (Devlin 2019), whose normalisation it has; trained and applied by the `tokenizers` library
shapes  V = vocab_size tokens: <unk>, each character of the alphabet at a word's start and inside it, and what was merged

A word with a character that is not in the alphabet is unknown.
"""

from collections import Counter

import numpy as np
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipelines import subwords
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.subwords import sources as sources

N_CODE_POINTS = 0x110000


class Params(subwords.Params):
    lower: bool = True  # accents are removed, too, as in BERT
    alphabet_size: int = Field(1000, ge=1)  # keep so many of the most frequent characters; the library's value


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    return subwords.tokenize(corpus, params, run, "WordPiece", train)


def train(corpus: Corpus, params: Params) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=params.lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    letters = alphabet(corpus, params, tokenizer.normalizer)
    n_needed = 1 + 2 * len(letters)
    if params.vocab_size < n_needed:
        raise Fault(
            f"vocab_size is {params.vocab_size}; {corpus.name} needs {n_needed} for <unk> and its {len(letters)} characters, at a word's "
            "start and inside it. Raise vocab_size, or lower alphabet_size"
        )
    # named beforehand, since the trainer numbers pieces as it meets them, in another order each time
    first = [UNKNOWN, *letters, *(f"##{letter}" for letter in letters)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=params.vocab_size, min_frequency=params.min_count, special_tokens=first,
        initial_alphabet=letters, limit_alphabet=len(letters), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(subwords.texts(corpus, params), trainer)
    return tokenizer


def alphabet(corpus: Corpus, params: Params, normalizer: normalizers.Normalizer) -> list[str]:
    """The most frequent characters, after normalisation, sorted."""
    counts = np.zeros(N_CODE_POINTS, np.int64)
    for part in subwords.texts(corpus, params):
        counts += np.bincount(np.frombuffer("".join(part).encode("utf-32-le"), np.uint32), minlength=N_CODE_POINTS)
    seen: Counter[str] = Counter()
    for point in np.flatnonzero(counts).tolist():
        for letter in normalizer.normalize_str(chr(point)):
            seen[letter] += int(counts[point])
    letters = [letter for letter in seen if not letter.isspace()]
    return sorted(sorted(letters, key=lambda letter: (-seen[letter], letter))[: params.alphabet_size])

"""Skip-gram and CBOW by gensim, for rows that say `engine: gensim`.

gensim trains in one thread, whatever the row's `threads` says: with more, races decide the numbers and no
two runs agree. It is given documents, not a corpus_file, since from a file it takes batches longer than the
10,000 tokens that it has room for, and drops the rest. No window reaches over a cut of 10,000 tokens.
There is no training curve: gensim sums the loss of all epochs in one float32, which stands still from about
3e7 on, and leaves out the pairs that it is most wrong about.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Progress, Run
from pipelines.word2vec import Word2vecKnobs, words_of

LONGEST = 10_000  # tokens of a document at a time; gensim has room for no more
ROWS = 1024  # documents that are read at a time


def embed(method: str, tokens: Tokens, params: Word2vecKnobs, run: Run) -> Vectors:
    """Raises Fault for a loss that gensim has not."""
    if params.loss not in ("negative", "hierarchical") or params.least_gain:
        raise Fault(f"{run.name}: gensim has the losses negative and hierarchical, and no least_gain. Say engine: own")
    from gensim.models.word2vec import Word2Vec

    words = words_of(tokens, params.splits, run)
    tree, n_tokens = params.loss == "hierarchical", int(words.counts.sum())
    model = Word2Vec(
        sg=int(method == "skipgram"), hs=int(tree), vector_size=params.vector_size, window=params.window,
        negative=0 if tree else params.negative, ns_exponent=params.noise_exponent, sample=params.sample, alpha=params.lr,
        min_alpha=params.min_lr, epochs=params.epochs, seed=run.seed, workers=1, min_count=1, sorted_vocab=0,
    )  # fmt: skip
    # the "words" are token ids: gensim takes anything that can be a key of a dict, and keeps the order it is given
    model.build_vocab_from_freq(dict(zip(words.ids.tolist(), words.counts.tolist(), strict=True)))
    with run.progress(n_tokens * params.epochs, "tokens") as bar:
        model.train(Documents(tokens, params.splits, bar), total_words=n_tokens, epochs=params.epochs)
    with run.open(Vectors) as out:
        out.append(item=tokens.vocab().column("token").take(words.ids), count=words.counts, vector=model.wv.vectors)
        weights = {"nodes": model.syn1[: len(words.ids) - 1]} if tree else {"context": model.syn1neg}
        out.model({"model": method, **params.model_dump()}, weights)
    return out.artifact


class Documents:
    """The documents as gensim wants them: lists of known token ids, at most LONGEST each, as often as it asks."""

    def __init__(self, tokens: Tokens, splits: list[str], bar: Progress):
        self.tokens, self.splits, self.bar = tokens, splits, bar

    def __iter__(self) -> Iterator[list[int]]:
        for values, offsets in self.tokens.documents(self.splits, ROWS):
            for start, stop in itertools.pairwise(offsets):
                document = values[start:stop]
                known = np.asarray(document[document != UNKNOWN_ID]).tolist()
                for at in range(0, len(known), LONGEST):
                    yield known[at : at + LONGEST]
                self.bar.advance(len(known))

"""gensim in the place of kernels/word2vec.py, for rows that say `engine: gensim`: skip-gram, CBOW, fastText, doc2vec.

It is given the same text, vocabulary, n-grams and tags, and what it learned is put where our descent would have left
it. So the artifact is the same, and whatever reads it. What differs:

- gensim trains in one thread, whatever the row's `threads` says: with more, races decide the numbers and no two runs
  agree. It is given documents, not a corpus_file, since from a file it takes batches longer than the 10,000 tokens that
  it has room for, and drops the rest. No window reaches over a cut of 10,000 tokens.
- Each pair draws noise words of its own, one pair is learned after the other, and vectors begin in a range twice as wide:
  `noise` and `batch_size` say nothing.
- The loss of an epoch is that of some pairs after it, held against noise as ours are: gensim's own sums all epochs in one
  float32, which stands still from about 3e7 on. Its trees are others than ours, so of `hierarchical` there is none. It has no
  checkpoint: what was killed begins anew.
- fastText's skip-gram divides the sum of a word and its n-grams by the number of the n-grams alone while it trains. The
  vectors that are written are means, with either engine.
- doc2vec's dm_concat learns a word of gensim's own for the places beyond a document's ends, where ours has zeros; it is
  in no artifact.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pipelines.errors import Fault
from pipelines.kernels import word2vec as kernel
from pipelines.method import Progress, Run
from pipelines.word2vec import Piece, Word2vecKnobs, Words

LONGEST = 10_000  # tokens of a document at a time; gensim has room for no more


def train(
    stream: Callable[[], Iterator[Piece]], words: Words, weights: kernel.Weights, params: Word2vecKnobs, run: Run, hidden: int,
    parts: kernel.Parts, words_too: bool, after: Callable[[int], None],
) -> Any:  # fmt: skip
    """Overwrites the weights with what gensim learns from the text; as word2vec.train otherwise.

    Args:
        after: called at the end of each epoch, which counts from 1, when the weights are gensim's.

    Returns:
        gensim's model, for `infer`.
    """
    tree = params.loss == "hierarchical"
    n_words, size, n_tokens = len(words.ids), params.vector_size, int(words.counts.sum())
    model = _untrained(weights, params, run, hidden, parts, words_too)
    # the "words" are their rows: where gensim is given numbers that are not, it takes the counts of other words for theirs
    model.build_vocab_from_freq(dict(enumerate(words.counts.tolist())))
    if len(parts.first):  # the n-grams of each word, as their rows in the table of those that there are
        rows = (parts.row - n_words).astype(np.uint32)
        model.wv.buckets_word = [rows[own + 1 : end] for own, end in itertools.pairwise(parts.first)]
    outputs = weights.outputs.reshape(len(weights.outputs), -1, kernel.padded(size))[:, :, :size]

    def fetch() -> None:
        learned = [model.wv.vectors_vocab, model.wv.vectors_ngrams] if len(parts.first) else [model.wv.vectors[:n_words]]
        weights.words[:, :size] = np.concatenate(learned)
        if len(weights.documents):
            weights.documents[:, :size] = model.dv.vectors
        outputs[:] = (model.syn1 if tree else model.syn1neg)[: len(outputs)].reshape(outputs.shape)

    with run.progress(n_tokens * params.epochs, "tokens") as bar:
        model.train(Documents(stream, words, bar), total_words=n_tokens, epochs=params.epochs, callbacks=[_each_epoch(fetch, after)])
    return model


def _each_epoch(fetch: Callable[[], None], after: Callable[[int], None]) -> Any:
    from gensim.models.callbacks import CallbackAny2Vec

    class Each(CallbackAny2Vec):
        epoch = 0

        def on_epoch_end(self, _: Any) -> None:
            self.epoch += 1
            fetch()
            after(self.epoch)

    return Each()


def check(params: Word2vecKnobs, run: Run, hidden: int) -> None:
    """Raises Fault where gensim has not what the row asks for."""
    if params.loss not in ("negative", "hierarchical") or params.least_gain:
        raise Fault(f"{run.name}: gensim has the losses negative and hierarchical, and no least_gain. Say engine: own")
    if params.loss == "hierarchical" and hidden == kernel.CONCAT:
        raise Fault(f"{run.name}: gensim's tree for dm_concat holds a word that is not in the text. Say loss: negative, or engine: own")


def infer(
    model: Any,
    stream: Callable[[], Iterator[Piece]],
    words: Words,
    documents: np.ndarray,
    params: Word2vecKnobs,
    epochs: int,
    bar: Progress,
) -> None:
    """As gensim's infer_vector, which begins where the interpreter's hash of the text says, and reads 10,000 tokens: descends in `documents`."""
    from gensim.models.doc2vec import train_document_dbow, train_document_dm, train_document_dm_concat

    descend = train_document_dbow if model.dbow else train_document_dm_concat if model.dm_concat else train_document_dm
    vectors = np.ascontiguousarray(documents[:, : params.vector_size])
    for lr in np.linspace(params.lr, params.min_lr, epochs):
        for part in Documents(stream, words, bar):
            descend(
                model, part.words, part.tags, lr, learn_words=False, learn_hidden=False,
                doctag_vectors=vectors, doctags_lockf=np.ones(1, np.float32),
            )  # fmt: skip
    documents[:, : params.vector_size] = vectors


def _untrained(weights: kernel.Weights, params: Word2vecKnobs, run: Run, hidden: int, parts: kernel.Parts, words_too: bool) -> Any:
    from gensim.models import Doc2Vec, FastText, Word2Vec  # takes seconds to import

    tree = params.loss == "hierarchical"
    knobs = {
        "hs": int(tree), "negative": 0 if tree else params.negative, "vector_size": params.vector_size, "window": params.window,
        "ns_exponent": params.noise_exponent, "sample": params.sample if params.sample < 1 else 0,  # 1 is a count to gensim
        "alpha": params.lr, "min_alpha": params.min_lr, "epochs": params.epochs, "seed": run.seed, "workers": 1, "min_count": 1,
        "sorted_vocab": 0,
    }  # fmt: skip
    if hidden in (kernel.SKIPGRAM, kernel.CBOW):
        knobs["sg"] = int(hidden == kernel.SKIPGRAM)
        if not len(parts.first):
            return Word2Vec(**knobs)
        # its own hash is the same, and a table of all buckets, most of which no word has, is not needed
        n_grams = len(weights.words) - len(parts.first) + 1
        return FastText(**knobs, bucket=n_grams, max_n=6 if n_grams else 0)
    model = Doc2Vec(**knobs, dm=int(hidden != kernel.DBOW), dm_concat=int(hidden == kernel.CONCAT), dbow_words=int(words_too))
    model.dv.index_to_key = list(range(len(weights.documents)))
    return model


class Documents:
    """The text as gensim wants it, as often as it asks: the rows of its known words, at most LONGEST at a time, and tags where there are such."""

    def __init__(self, stream: Callable[[], Iterator[Piece]], words: Words, bar: Progress):
        self.stream, self.words, self.bar = stream, words, bar

    def __iter__(self) -> Iterator[Any]:
        from gensim.models.doc2vec import TaggedDocument

        for piece in self.stream():
            rows = self.words.place[piece.values]
            for i, (start, stop) in enumerate(itertools.pairwise(piece.offsets)):
                document = rows[start:stop]
                known = document[document >= 0].tolist()
                for at in range(0, len(known), LONGEST):
                    part = known[at : at + LONGEST]
                    yield TaggedDocument(part, [int(piece.tags[i])]) if len(piece.tags) else part
                self.bar.advance(len(known))

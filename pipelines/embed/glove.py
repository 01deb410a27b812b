"""GloVe: word vectors from weighted co-occurrence counts.

reads   counts    (row, col, count), one row per pair that was seen
writes  vectors   one float32 vector per word that is in a pair, in the vocabulary's order, the unknown
                  token left out; the model holds word and context vectors and biases of the same rows
source  Pennington, Socher, Manning 2014; f is eq. 9, the loss is eq. 8, halved and a mean over pairs as
        the authors' glove.c prints it; AdaGrad with clipped gradients as there
shapes  V words, P pairs, D = vector_size. In memory: 16 V D bytes, and 12 bytes a pair; more than 268 million pairs lie in a
        file of 12 bytes a pair beside the output, of which memory holds what it has room for
"""

import math

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels import glove as kernel
from pipelines.method import Knobs, Run

HELD = 2**28  # pairs in memory: 3.2 GB
PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # D
    x_max: float = Field(100.0, gt=0)  # a count from here on has full weight; the paper's value, 10 serves small corpora
    alpha: float = Field(0.75, gt=0, le=1)  # exponent of f, not a learning rate
    lr: float = Field(0.05, gt=0)  # AdaGrad; the paper calls it eta
    epochs: int = Field(25, ge=1)  # glove.c's default; the paper took 50 below 300 numbers, 100 above
    least_gain: float = Field(0.0, ge=0, lt=1)  # ends after an epoch that lowers the loss by a smaller share than this; 0: never
    add_context: bool = True  # a word's vector is the sum of its two, as in the paper; else the word vector alone


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    counts.words_only()
    n_vocab, n_pairs = counts.n_rows("vocab"), counts.n_rows()
    if not n_pairs:
        raise Fault(f"{counts.name}: it has no pairs, there is nothing to train on. Look at the stage that made it")
    with run.scratch() as aside:
        pairs = kernel.deal(counts.blocks, n_vocab, int(run.rng.integers(2**63)), aside if n_pairs > HELD else None)
        state = _descend(pairs, n_vocab, params, run)
        met = kernel.met(pairs, n_vocab)
    return _write(counts, met, state, params, run)


def _descend(pairs: kernel.Pairs, n_vocab: int, params: Params, run: Run) -> kernel.State:
    state, epoch = _begin_or_resume(n_vocab, params, run)
    n_pairs = len(pairs.row)
    with run.progress(n_pairs * params.epochs, "pairs") as bar:
        bar.begin(n_pairs * epoch)
        while epoch < params.epochs and not run.stalled(params.least_gain):
            epoch += 1
            loss = 0.0
            for diagonal in np.random.default_rng([run.seed, epoch]).permutation(kernel.BLOCKS):
                loss += kernel.train(pairs, diagonal, state, params.x_max, params.alpha, params.lr) / n_pairs
                bar.advance(n_pairs / kernel.BLOCKS)
            if not math.isfinite(loss):
                raise Fault(_diverged(run, params, epoch, loss))
            run.log(epoch=epoch, loss=loss)
            run.checkpoint.save(state._asdict(), {"epoch": epoch, "curve": run.curve})
    return state


def _begin_or_resume(n_vocab: int, params: Params, run: Run) -> tuple[kernel.State, int]:
    """(state, epochs done) of the last checkpoint, or of a fresh start."""
    found = run.checkpoint.load()
    if found is None:
        return kernel.begin(n_vocab, params.vector_size, run.rng), 0
    arrays, kept = found
    run.curve[:] = kept["curve"]
    run.say(f"goes on after epoch {kept['epoch']}")
    return kernel.State(**arrays), kept["epoch"]


def _diverged(run: Run, params: Params, epoch: int, loss: float) -> str:
    last = f"the last good loss is {run.curve[-1]['loss']:.4g}, of epoch {epoch - 1}" if run.curve else "no epoch was finished"
    return f"{run.name}: the loss is not a number any more ({loss:.4g}) in epoch {epoch} with lr {params.lr:.4g}; {last}. Lower lr (0.05 is usual)"


def _write(counts: Counts, met: np.ndarray, state: kernel.State, params: Params, run: Run) -> Vectors:
    place = kernel.places(counts.n_rows("vocab"))
    # a word without a pair still has the numbers that it began with: no vector
    word_ids = np.flatnonzero(met[place] & (np.arange(len(place)) != UNKNOWN_ID))
    if len(word_ids) < len(place) - 1:
        run.say(f"{len(place) - 1 - len(word_ids):,} words are in no pair and get no vector")
    vocab = counts.vocab().take(word_ids)
    weights = {name: getattr(state, name)[place[word_ids]] for name in ("word", "context", "word_bias", "context_bias")}
    with run.open(Vectors) as out:
        vector = weights["word"] + weights["context"] if params.add_context else weights["word"]
        out.append(item=vocab.column("token"), count=vocab.column("count"), vector=vector)
        out.model({"model": "glove", **params.model_dump()}, weights)
    return out.artifact

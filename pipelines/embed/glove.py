"""GloVe: word vectors from weighted co-occurrence counts.

reads   counts    (row, col, count), one row per pair that was seen
writes  vectors   one float32 vector per word that is in a pair, in the vocabulary's order, the unknown
                  token left out; the model holds word and context vectors and biases of the same rows
source  Pennington, Socher, Manning 2014; f is eq. 9, the loss is eq. 8, halved and a mean over pairs as
        the authors' glove.c prints it; AdaGrad with clipped gradients as there
shapes  V words, P pairs, D = vector_size. In memory: 16 V D bytes, and 12 bytes a pair; more than 268 million pairs lie in a
        file of 12 bytes a pair beside the output, of which memory holds what it has room for

A GPU takes all pairs of a diagonal of squares in one step: kernels/glove_torch.py. It has to hold them, at 16 bytes a pair.
"""

import math

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.kernels import glove as kernel
from pipelines.method import Knobs, Run

HELD = 2**28  # pairs in memory: 3.2 GB
GPU_BLOCKS = 256
PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # D
    x_max: float = Field(100.0, gt=0)  # a count from here on has full weight; the paper's value, 10 serves small corpora
    alpha: float = Field(0.75, gt=0, le=1)  # exponent of f, not a learning rate
    lr: float = Field(0.05, gt=0)  # AdaGrad; the paper calls it eta
    epochs: int = Field(25, ge=1)  # glove.c's default; the paper took 50 below 300 numbers, 100 above
    least_gain: float = Field(0.0, ge=0, lt=1)  # ends when three epochs lower the loss by a smaller share than this; 0: never
    blocks: int = Field(0, ge=0, le=4096)  # words are dealt out to, and pairs to squares of them, at most one a pair; 0: 16, on a GPU 256
    add_context: bool = True  # a word's vector is the sum of its two, as in the paper; else the word vector alone


def on_gpu(params: Params) -> bool:
    return True


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    counts.words_only()
    n_vocab, n_pairs = counts.n_rows("vocab"), counts.n_rows()
    if not n_pairs:
        raise Fault(f"{counts.name}: it has no pairs, there is nothing to train on. Look at the stage that made it")
    seed = int(run.rng.integers(2**63))
    state, epoch, n_blocks = _begin_or_resume(n_vocab, n_pairs, params, run)
    with run.scratch() as aside:
        pairs = kernel.deal(counts.checked, n_vocab, seed, aside if n_pairs > HELD else None, n_blocks)
        place = kernel.places(n_vocab, n_blocks)
        # a word without a pair keeps the numbers that it began with: no vector
        word_ids = np.flatnonzero(kernel.met(pairs, n_vocab)[place] & (np.arange(n_vocab) != UNKNOWN_ID))
        if len(word_ids) < 2:
            raise too_few_words(f"{counts.name}: its pairs", len(word_ids))
        run.say_if_wide(params.vector_size, len(word_ids))
        _descend(pairs, state, epoch, params, run)
    return _write(counts, word_ids, place, state, params, run)


def _descend(pairs: kernel.Pairs, state: kernel.State, epoch: int, params: Params, run: Run) -> None:
    n_pairs, knobs = len(pairs.row), (params.x_max, params.alpha, params.lr)
    untrained, device = kernel.untrained(pairs, params.x_max, params.alpha), None
    if run.device != "cpu":
        from pipelines.kernels import glove_torch  # torch takes seconds to import

        device = glove_torch.Descent(pairs, state, *knobs, run.device)
    with run.progress(n_pairs * params.epochs, "pairs") as bar:
        bar.begin(n_pairs * epoch)
        while epoch < params.epochs and not run.stalled(params.least_gain):
            epoch += 1
            loss = 0.0
            for step, diagonal in enumerate(np.random.default_rng([run.seed, epoch]).permutation(pairs.n_blocks), 1):
                loss += (device.train(diagonal) if device else kernel.train(pairs, diagonal, state, *knobs)) / n_pairs
                bar.advance(n_pairs / pairs.n_blocks)
                ends = step == pairs.n_blocks
                if ends or not device:  # a GPU is asked once an epoch: each time it would be waited for
                    at = f"epoch {epoch}, after {step} of {pairs.n_blocks} diagonals"
                    run.hold(float(loss), untrained, at, params.lr, 0.05, ends and epoch == params.epochs)
            run.log(epoch=epoch, loss=float(loss))
            if device:
                device.fetch(state)
            run.checkpoint.save(state._asdict(), {"epoch": epoch, "blocks": pairs.n_blocks, "curve": run.curve})


def _begin_or_resume(n_vocab: int, n_pairs: int, params: Params, run: Run) -> tuple[kernel.State, int, int]:
    """(state, epochs done, blocks, which say whose rows they are) of the last checkpoint, or of a fresh start."""
    found = run.checkpoint.load()
    if found is None:
        n_blocks = params.blocks or (kernel.BLOCKS if run.device == "cpu" else GPU_BLOCKS)
        most = max(kernel.BLOCKS, math.isqrt(n_pairs))
        if n_blocks > most:  # each square costs a visit an epoch, also where no pair is in it
            run.say(f"blocks is {most:,}, and not {n_blocks:,}: there are {n_pairs:,} pairs, and each square shall have one on average")
            n_blocks = most
        return kernel.begin(n_vocab, params.vector_size, run.rng), 0, n_blocks
    arrays, kept = found
    run.curve[:] = kept["curve"]
    run.say(f"goes on after epoch {kept['epoch']}")
    return kernel.State(**arrays), kept["epoch"], kept["blocks"]


def _write(counts: Counts, word_ids: np.ndarray, place: np.ndarray, state: kernel.State, params: Params, run: Run) -> Vectors:
    if len(word_ids) < len(place) - 1:
        run.say(f"{len(place) - 1 - len(word_ids):,} words are in no pair and get no vector")
    vocab = counts.vocab().take(word_ids)
    weights = {name: getattr(state, name)[place[word_ids]] for name in ("word", "context", "word_bias", "context_bias")}
    with run.open(Vectors) as out:
        vector = weights["word"] + weights["context"] if params.add_context else weights["word"]
        out.append(item=vocab.column("token"), count=vocab.column("count"), vector=vector)
        out.model({"model": "glove", **params.model_dump()}, weights)
    return out.artifact

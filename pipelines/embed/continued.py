"""Continued: vectors that were trained elsewhere, trained on with skip-gram or CBOW on a text of one's own.

reads   vectors   where it begins: of any method, or pretrained
        tokens    the text that they are adapted to
writes  vectors   one float32 vector per word of the text, in the vocabulary's order; after them, unless `keep` is off, the
                  words that the text does not have, as they were. The model holds the context vectors of the text's words
source  Mikolov, Sutskever, Chen, Corrado, Dean 2013 from a warm start; the use for a domain: Faruqui, Dodge 2014 name it
shapes  V words of the text, D numbers as the vectors have. In memory: 8 V D bytes, all the vectors, a piece of text, and
        the changes of a batch (at most 256 MB)

Context vectors are taken over where the vectors' model has them, else they begin at 0; new words begin at random.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels import word2vec as kernel
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(word2vec.Word2vecKnobs):
    vector_size: int = Field(0, ge=0)  # 0: that of the vectors, which it has to be
    loss: Literal["negative", "nce", "softmax"] = "negative"  # a tree of other words would not fit
    engine: Literal["own"] = "own"  # gensim begins with vectors of its own
    form: Literal["skipgram", "cbow"] = "skipgram"
    keep: bool = True  # the words that the text does not have


def embed(vectors: Vectors, tokens: Tokens, params: Params, run: Run) -> Vectors:
    size = vectors.size
    if params.vector_size not in (0, size):
        raise Fault(f"{run.name}: vector_size is {params.vector_size}, and {vectors.name} has {size} numbers a row. Leave vector_size out")
    words = word2vec.words_of(tokens, params.splits, run)
    names = tokens.vocab().column("token").take(words.ids).to_pylist()
    old = {item: row for row, item in enumerate(vectors.items())}
    here = np.array([row for row, name in enumerate(names) if name in old], np.int64)
    there = np.array([old[names[row]] for row in here], np.int64)
    if not len(here):
        raise Fault(f"{run.name}: no word of {tokens.name} has a vector in {vectors.name}. Are both cut and cased alike?")
    run.say(f"{len(here):,} of {len(names):,} words begin where {vectors.name} has them")
    before = vectors.finite(vectors.matrix())
    start = word2vec.begin(len(names), size, run.rng)
    start[here, :size] = before[there]
    contexts = word2vec.outputs(words, params, start.shape[1])
    known = vectors.model()[1].get("context") if (vectors.folder / "model.json").exists() else None
    if known is not None and known.shape == before.shape:
        contexts[here, :size] = vectors.finite(known)[there]
    weights = kernel.Weights(start, start[:0], contexts)
    hidden = kernel.CBOW if params.form == "cbow" else kernel.SKIPGRAM
    word2vec.train(lambda: word2vec.pieces(tokens, params.splits), words, weights, params, run, hidden)
    with run.open(Vectors) as out:
        out.append(item=names, count=words.counts, vector=start[:, :size])
        if params.keep:
            rest = np.setdiff1d(np.arange(len(before)), there)
            out.append(**{name: values.take(pa.array(rest)) for name, values in vectors.named().items()}, vector=before[rest])
        out.model({"model": "continued", **params.model_dump()}, {"context": np.ascontiguousarray(contexts[:, :size])})
    return out.artifact

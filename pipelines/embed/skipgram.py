"""Skip-gram: vectors from which a word tells each of the words around it.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order; the model holds the
                  context vectors of the same rows, or for the loss `hierarchical` those of the tree's inner nodes
source  Mikolov, Sutskever, Chen, Corrado, Dean 2013; hierarchical softmax: Morin, Bengio 2005; nce: Mnih, Teh 2012;
        shared noise words: Ji, Satish, Li, Dubey 2016
shapes  V words, D = vector_size. In memory: 8 V D bytes, a piece of text, and the changes of a batch (at most 256 MB)

The bytes are the same for any number of threads. `engine: gensim` trains with gensim 4.4 instead, in one thread.
"""

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.kernels.word2vec import SKIPGRAM
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
on_gpu = word2vec.on_gpu


class Params(word2vec.Word2vecKnobs):
    pass


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    return word2vec.words_alone("skipgram", tokens, params, run, SKIPGRAM)

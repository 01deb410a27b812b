"""Compiles the numba kernels once, at install: `python -m pipelines.kernels`. What is compiled is kept beside them."""

import numpy as np

from pipelines.kernels import cooccur, glove


def warm() -> None:
    """Calls every kernel with arrays of the types that the methods give it."""
    values, offsets = np.arange(8, dtype=np.int32) % 3, np.array([0, 4, 8])
    for array in (values, values.copy()):
        array.setflags(write=array is not values)  # what Arrow lends must not be written to: another type to numba
        text = cooccur.join(array, offsets, 0)
    blocks = list(cooccur.count(text, 3, np.ones(2), True, True))
    pairs = glove.deal(lambda: blocks, 3, 0)
    glove.train(pairs, 0, glove.begin(3, 2, np.random.default_rng(0)), 10, 0.75, 0.05)


if __name__ == "__main__":
    warm()

"""a is to b as c is to which? The row of the highest score, of all vectors but the three.

The questions of a set are made of few words. Each way to score is made of the cosines of a, of b and of c with every row, so
those are worked out once for each word of a block of questions, and not once for each question.

source  Mikolov, Chen, Corrado, Dean 2013 (3CosAdd); Levy, Goldberg 2014, eq. 4 (3CosMul) and eq. 3, which Drozd, Gladkova,
        Matsuoka 2016 call PairDistance
shapes  Q questions, V rows of D numbers, W words of a block
"""

import numba
import numpy as np

from pipelines.kernels.nearest import EPSILON

Array = np.ndarray

CELLS = 16_000_000  # cosines held at once: 64 MB
SHORTEST = 1e-6  # squared distance of two rows that count as apart


def analogies(vectors: Array, a: Array, b: Array, c: Array, by: str = "3CosAdd") -> Array:
    """The answers.

    Args:
        vectors: (V, D) float32, length 1.
        a, b, c: (Q,) int64 rows of `vectors`.
        by: one of WAYS.

    Returns:
        (Q,) int64 rows of `vectors`, never one of the question's own.
    """
    return _answers(vectors, np.stack([a, b, c]), by)


def _answers(vectors: Array, asked: Array, by: str) -> Array:
    words, place = np.unique(asked, return_inverse=True)
    half = asked.shape[1] // 2
    if half and len(words) * len(vectors) > CELLS:
        return np.concatenate([_answers(vectors, part, by) for part in (asked[:, :half], asked[:, half:])])
    return WAYS[by](vectors[words] @ vectors.T, asked, place.reshape(asked.shape))


def add(cosines: Array, asked: Array, place: Array) -> Array:
    """By the cosine with b - a + c, but for the length of that, which is the same for all answers."""
    return _add(cosines, asked, place)


def multiply(cosines: Array, asked: Array, place: Array) -> Array:
    """By the likeness to b times that to c, over that to a; cosines are moved to [0, 1]."""
    return _multiply((cosines + 1) / 2, asked, place, np.float32(EPSILON))


def direct(cosines: Array, asked: Array, place: Array) -> Array:
    """By the cosine of the way from c to the answer with that from a to b, but for the length of the second."""
    return _direct(cosines, asked, place, np.float32(SHORTEST))


WAYS = {"3CosAdd": add, "3CosMul": multiply, "PairDistance": direct}


@numba.njit(cache=True, parallel=True)
def _add(cosines, asked, place):
    answer = np.empty(asked.shape[1], np.int64)
    for q in numba.prange(len(answer)):
        answer[q] = _highest(cosines[place[1, q]] - cosines[place[0, q]] + cosines[place[2, q]], asked[:, q])
    return answer


@numba.njit(cache=True, parallel=True)
def _multiply(likeness, asked, place, epsilon):
    answer = np.empty(asked.shape[1], np.int64)
    for q in numba.prange(len(answer)):
        score = likeness[place[1, q]] * likeness[place[2, q]] / (likeness[place[0, q]] + epsilon)
        answer[q] = _highest(score, asked[:, q])
    return answer


@numba.njit(cache=True, parallel=True)
def _direct(cosines, asked, place, shortest):
    answer = np.empty(asked.shape[1], np.int64)
    for q in numba.prange(len(answer)):
        to_b, to_a, to_c = cosines[place[1, q]], cosines[place[0, q]], cosines[place[2, q]]
        at_c = to_b[asked[2, q]] - to_a[asked[2, q]]
        length = np.sqrt(np.maximum(np.float32(2) - np.float32(2) * to_c, shortest))
        answer[q] = _highest((to_b - to_a - at_c) / length, asked[:, q])
    return answer


@numba.njit
def _highest(score, left_out):
    for row in left_out:
        score[row] = -np.inf
    return score.argmax()

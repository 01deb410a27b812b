"""Analogies and likeness, of a row's vectors: a is to b as c is to which word, and how alike two words are.

source  3CosAdd: Mikolov, Chen, Corrado, Dean 2013; 3CosMul: Levy, Goldberg 2014, whose cosines are moved to [0, 1] and whose epsilon is 0.001
"""

from typing import Literal

import numpy as np

from pipelines.kernels.nearest import EPSILON, unit
from pipelines.use.space import Near, Space


def analogy(space: Space, a: str, b: str, c: str, k: int = 10, method: Literal["add", "mul"] = "add") -> Near:
    """The k words that are to c as b is to a; none of the three is among them.

    Returns:
        Words and scores, the highest first: of `add` the cosine with b - a + c, of vectors of length 1; of `mul` the product of
        the likenesses to b and c divided by that to a, about 0 to 1 where c and b are no opposites of the answer.

    Raises:
        Fault: with all words that have no vector.
    """
    asked = space.ask([a, b, c])
    if method == "add":
        away, towards, start = unit(asked.vector)
        score = space.cosines((towards - away + start)[None])
    else:
        like = (space.cosines(asked.vector) + 1) / 2
        score = (like[1] * like[2] / (like[0] + EPSILON))[None]
    return space.nearest(score, k, asked.row[None])[0]


def similar(space: Space, a: str, b: str) -> float:
    """Their cosine. Raises Fault with the words that have no vector."""
    x, y = unit(space.ask([a, b]).vector)
    return float(np.clip(x @ y, -1, 1))

import numpy as np
import pytest

from pipelines.kernels import analogies as kernel
from pipelines.kernels.analogies import analogies
from pipelines.kernels.nearest import unit


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


# Levy, Goldberg 2014, eq. 1, 4 and 3, of an answer w to: a is to b as c is to w
PLAIN = {
    "3CosAdd": lambda w, a, b, c: cosine(w, b - a + c),
    "3CosMul": lambda w, a, b, c: (cosine(w, b) + 1) / 2 * (cosine(w, c) + 1) / 2 / ((cosine(w, a) + 1) / 2 + 0.001),
    "PairDistance": lambda w, a, b, c: cosine(w - c, b - a),
}


@pytest.mark.parametrize("by", PLAIN)
def test_answers_are_those_of_the_plain_definition_and_never_a_word_of_the_question(monkeypatch, by):
    monkeypatch.setattr(kernel, "CELLS", 1300)  # cosines of 21 words
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(60, 6)))
    a, b, c = np.stack([rng.permutation(60)[:3] for _ in range(40)]).T
    answer = analogies(vectors, a, b, c, by)
    for i in range(40):
        left = np.setdiff1d(np.arange(60), [a[i], b[i], c[i]])
        score = np.full(60, -np.inf)
        score[left] = [PLAIN[by](vectors[w], vectors[a[i]], vectors[b[i]], vectors[c[i]]) for w in left]
        assert answer[i] == score.argmax()
        assert answer[i] not in (a[i], b[i], c[i])


@pytest.mark.parametrize("by", PLAIN)
def test_no_question_has_no_answer_and_rows_that_lie_together_are_none_of_a_question_s_own(by):
    none = np.empty(0, np.int64)
    same = unit(np.ones((5, 3)))
    assert analogies(same, none, none, none, by).tolist() == []
    assert analogies(same, *np.array([[0], [1], [2]]), by).tolist() == [3]

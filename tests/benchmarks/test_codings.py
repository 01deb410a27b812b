"""The table at equal bytes: a coding has the size that was reckoned for it, and who is ahead is told rightly."""

from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import codings
from benchmarks.codings import ROWS, Budget, D, fitting, front, kept, picture, table, winners
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import cost
from pipelines.method import Run

N = 600


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Vectors:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) * np.linspace(3, 0.3, D)
    with Run(tmp_path_factory.mktemp("codings") / "vectors").open(Vectors) as out:
        out.append(item=[f"w{i}" for i in range(N)], count=np.arange(N, 0, -1), vector=x.astype(np.float32))
        out.model({"model": "given"}, {})
    return out.artifact


@pytest.mark.parametrize("name", ROWS)
def test_a_coding_has_the_size_that_was_reckoned(vectors, tmp_path, monkeypatch, name):
    module, shapes = ROWS[name]
    for shape in {1: shapes[0], 2: shapes[len(shapes) // 8]}.values():
        knobs = shape.knobs | ({"epochs": 1} if "epochs" in module.Params.model_fields else {})
        out = tmp_path / str(shape.item)
        item, decoder = cost(module.compress(vectors, module.Params(**knobs), Run(out, f"compress/{name}", seed=1)))
        assert item == shape.item
        if name == "transform_coding":  # how many components have bits hangs on the vectors
            assert decoder >= shape.decoder
        else:
            assert decoder == shape.decoder


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("budget", codings.BYTES)
def test_all_that_fits_takes_at_least_half_of_the_budget_and_the_longest_is_first(budget, alone):
    for name in ROWS:
        sizes = [shape.item + (not alone) * shape.decoder / 70_000 for shape in fitting(name, Budget(budget, alone), 70_000)]
        assert all(budget / 2 <= size <= budget for size in sizes)
        assert sizes == sorted(sizes, key=round, reverse=True)


def one(name: str, size: float, decoder: float, **scores: float) -> dict:
    found = dict.fromkeys(codings.TESTS, 0.1) | scores
    return {"name": name, "budget": 8, "bytes": size, "decoder": decoder, "scores": {test: (score, 0.01) for test, score in found.items()}}


WHOLE = one("vectors as they are", 1200, 0, IMDb=0.8)


def test_what_is_kept_is_the_mean_share_of_the_six_scores():
    assert kept(WHOLE, WHOLE) == 1
    assert kept(one("half", 4, 1, IMDb=0.4), WHOLE) == pytest.approx(5.5 / 6)


def test_the_front_is_who_is_not_beaten_in_bytes_and_in_what_is_kept():
    small, better = [one("small", 4, 1)], [one("better", 6, 1, IMDb=0.4)]
    worse, fat = [one("worse", 6, 2, IMDb=0.3)], [one("fat", 4, 4, IMDb=0.5)]
    assert front([small, better, worse, fat], WHOLE, alone=False) == [small, better, fat]
    assert front([small, better, fat], WHOLE, alone=True) == [fat]  # the smallest with small
    assert front([small, worse], WHOLE, alone=False) == [small, worse]
    assert front([worse, fat], WHOLE, alone=False) == [fat]  # as large, and keeps more
    assert front([[one("first", 4, 1)], small], WHOLE, alone=False) == [[one("first", 4, 1)], small]  # as good as each other
    lucky = [one("lucky", 6, 1, IMDb=0.5), one("lucky", 6, 1, IMDb=0.2)]
    assert front([lucky, better], WHOLE, alone=False) == [better]  # by the mean of its seeds


def test_the_picture_names_who_is_ahead():
    small, large = one("small", 4, 1, IMDb=0.4), {**one("large", 12, 1, IMDb=0.5), "budget": 16}
    drawn = ElementTree.fromstring(picture([[small], [large]], WHOLE, alone=False))
    written = [it.text for it in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert written.count("small") == 4  # the least bytes in each of the four
    assert written.count("large") >= 2  # all six, and IMDb


def test_who_is_ahead_is_told_by_the_mean_of_the_seeds():
    lucky = [one("lucky", 4, 1, MEN=0.9), one("lucky", 4, 1, MEN=0.1)]
    steady = [one("steady", 4, 1, MEN=0.6), one("steady", 4, 1, MEN=0.6)]
    good = [one("good", 4, 1, IMDb=0.8, Google=0.9)] * 2
    larger = [{**one("larger", 12, 1, MEN=0.7), "budget": 16}]
    of = [line.strip("| ").split(" | ") for line in winners([lucky, steady, good, larger], WHOLE).splitlines()]
    assert of[0][1:3] == ["all six", "MEN"]
    assert [line[:3] for line in of[2:]] == [["8", "good", "steady"], ["16", "larger (one seed)", "larger (one seed)"]]
    head, _, line = (line.strip("| ").split(" | ") for line in table([[{**it, "variance": 0.5} for it in steady]], WHOLE).splitlines())
    shown = dict(zip(head, line, strict=False))
    assert (shown["with the decoder"], shown["variance"], shown["seeds"]) == ("5.0", "0.500", "2")
    assert shown["MEN"].startswith("0.600 ± ")

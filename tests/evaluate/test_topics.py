"""Topics: coherence worked out by hand, and units whose words are known."""

import csv

import numpy as np
import pytest
from scipy.sparse import csr_array

from pipelines.artifacts.codings import Codings
from pipelines.compress import binary, scalar_quantisation, sparse_l1, stacked
from pipelines.embed import bags
from pipelines.errors import Fault
from pipelines.evaluate.topics import Params, coherence, evaluate, npmi, unit_topics
from pipelines.method import Run
from tests.matrices import counts_of, vectors_of

WORDS = ["<unk>", *(f"sea{i}" for i in range(4)), *(f"farm{i}" for i in range(4))]


def two_topics(n=60, seed=0):
    """Documents of three of the four words of the sea, or of the farm."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((n, 9))
    for i in range(n):
        dense[i, 1 + 4 * (i % 2) + rng.permutation(4)[:3]] = rng.integers(1, 4, 3)
    return dense


def make_bags(folder, dense=None, **knobs):
    dense = two_topics() if dense is None else dense
    counts = counts_of(folder / "c", dense, WORDS, [(f"d{i}", "train", None) for i in range(len(dense))])
    return bags.embed(counts, bags.Params(vector_size=8, **knobs), Run(folder / "bags"))


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def table(scores):
    with (scores.folder / "topics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_npmi_worked_out_by_hand():
    """Of 8 documents: together in, the first in, the second in."""
    worked = {
        (2, 4, 4): 0,  # ln(1/4 / (1/2 1/2)) = 0, as chance would have it
        (2, 2, 2): 1,  # ln(1/4 / (1/4 1/4)) / -ln(1/4) = ln 4 / ln 4
        (2, 2, 4): 0.5,  # ln(1/4 / (1/4 1/2)) / ln 4 = ln 2 / ln 4
        (1, 4, 4): -1 / 3,  # ln(1/8 / (1/2 1/2)) / ln 8 = -ln 2 / (3 ln 2)
        (0, 4, 4): -1,
        (0, 0, 4): -1,
        (8, 8, 8): 1,
    }
    assert npmi(*np.array(list(worked)).T, 8) == pytest.approx(list(worked.values()))


def test_coherence_is_the_mean_over_the_pairs_of_a_topics_words():
    # a: documents 0 to 3, b: 0 and 1, c: 0, 1 and 4, 5; a with b 1/2, a with c 0, b with c 1/2 by the above
    there = np.zeros((8, 4))
    there[:4, 0] = there[:2, 1] = there[[0, 1, 4, 5], 2] = 1
    assert coherence(np.array([[0, 1, 2], [2, 0, 3]]), csr_array(there)) == pytest.approx([1 / 3, (0 - 1 - 1) / 3])


def test_the_words_of_a_unit_are_those_of_the_largest_weights_of_a_linear_decoder():
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(3, 12)).astype(np.float32), rng.exponential(size=(50, 3))
    topics = unit_topics(x, lambda h: h @ weight + 7, 4, "c")
    assert topics.tolist() == np.argsort(-weight, axis=1)[:, :4].tolist()


def test_a_unit_of_both_signs_is_read_from_the_end_where_its_codings_lie_further_out():
    weight = np.array([[1.0, 2.0, -3.0, -4.0]], np.float32)
    x = np.array([[-9.0]] + [[1.0]] * 9)
    assert unit_topics(x, lambda h: h @ weight, 2, "c").tolist() == [[3, 2]]
    assert unit_topics(-x, lambda h: h @ weight, 2, "c").tolist() == [[1, 0]]


def test_a_unit_that_is_the_same_for_all_documents_is_no_topic():
    x = np.array([[0.0, 1.0], [0.0, 2.0]])
    assert unit_topics(x, lambda h: h @ np.eye(2, dtype=np.float32), 1, "c").tolist() == [[1]]
    with pytest.raises(Fault, match="c: all its codings are the same, so it has no topics"):
        unit_topics(x * 0, lambda h: h, 1, "c")


def test_autoencoders_lda_and_nmf_find_the_topics_that_documents_were_made_of(tmp_path):
    vectors = make_bags(tmp_path, (two_topics() > 0) * 1.0)
    knobs = {"sizes": [2], "epochs": 100, "batch_size": 20, "lr": 0.02}
    codings = sparse_l1.compress(vectors, sparse_l1.Params(**knobs), Run(tmp_path / "units", seed=1))
    deep = stacked.compress(vectors, stacked.Params(**(knobs | {"sizes": [6, 2]})), Run(tmp_path / "deep", seed=1))
    scores = evaluate(vectors, [codings, deep], Params(n_words=4), Run(tmp_path / "out", seed=1))
    found = {}
    for line in table(scores):  # the most coherent first
        found.setdefault(line["of"], []).append(frozenset(line["words"].split()))
    sea, farm = frozenset(WORDS[1:5]), frozenset(WORDS[5:])
    assert set(found) == {"codings/units", "codings/deep", "scikit-learn/lda-2", "scikit-learn/nmf-2"}
    assert set(found["scikit-learn/lda-2"]) == set(found["scikit-learn/nmf-2"]) == {sea, farm}
    # one unit and a bias tell two topics apart; what the other then says is for chance
    assert found["codings/units"][0] in (sea, farm)
    assert found["codings/deep"][0] in (sea, farm)
    seen = figures(scores)
    row = seen["codings/units", "coherence"]
    assert row["low"] <= row["value"] <= row["high"]
    assert (row["on"], row["n"]) == ("vectors/bags", 2)
    assert row["note"] == "NPMI of the first 4 words, counted over 60 documents of vectors/bags, a document as a whole"
    assert seen["scikit-learn/nmf-2", "coherence"]["value"] > 0.3
    assert seen["scikit-learn/nmf-2", "diversity"]["value"] == 1


def as_codings(folder, vectors, times=1):
    with Run(folder).open(Codings) as out:
        out.append(item=vectors.items(), coding=vectors.matrix()[:, :2] * times, error=np.zeros(vectors.n_rows()))
        weights = {"mean": np.zeros(8, np.float32), "scale": np.float32(1), "encoder.0.weight": np.eye(2, 8, dtype=np.float32)}
        weights |= {"encoder.0.bias": np.zeros(2, np.float32), "decoder.0.weight": np.eye(8, 2, dtype=np.float32)}
        network = {"activation": None, "code": None, "loss": "squared", "tied": False}
        out.model({"model": "autoencoder", "sizes": [8, 2], **network}, weights | {"decoder.0.bias": np.zeros(8, np.float32)})
    return out.artifact


def test_coherence_may_be_counted_over_other_documents(tmp_path):
    vectors = make_bags(tmp_path)
    codings = as_codings(tmp_path / "units", vectors)
    dense = np.array([[0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], float)  # in 2, in 3 of 4, always together
    other = counts_of(
        tmp_path / "o", dense, ["<unk>", vectors.model()[0]["columns"][0], "else"], [(f"x{i}", "train", None) for i in range(4)]
    )
    scores = evaluate(vectors, [codings], Params(n_words=2, rivals=False), Run(tmp_path / "out"), other)
    row = figures(scores)["codings/units", "coherence"]
    assert row["value"] == -1  # its second word is nowhere
    assert "counted over 4 documents of counts/o" in row["note"]
    whole = counts_of(tmp_path / "p", two_topics(), WORDS, [(f"d{i}", "train", None) for i in range(60)])
    same = [
        figures(evaluate(vectors, [codings], Params(n_words=4, rivals=False), Run(tmp_path / name), counts))
        for name, counts in (("s", whole), ("t", None))
    ]
    assert same[0]["codings/units", "coherence"]["value"] == pytest.approx(same[1]["codings/units", "coherence"]["value"])


def test_what_cannot_be_topics_is_a_fault(tmp_path):
    vectors = make_bags(tmp_path)
    codings = as_codings(tmp_path / "units", vectors)
    plain = vectors_of(tmp_path / "plain", vectors.items(), vectors.matrix())
    with pytest.raises(
        Fault, match=r"vectors/plain: its columns have no names, so topics have no words\. Name a row of embed, method bags"
    ):
        evaluate(plain, [codings], Params(), Run(tmp_path / "a"))
    with pytest.raises(Fault, match=r"vectors/bags: it has 8 columns, and n_words is 10\. Lower n_words"):
        evaluate(vectors, [codings], Params(), Run(tmp_path / "b"))
    fewer = make_bags(tmp_path / "f", two_topics()[:20])
    with pytest.raises(Fault, match=r"codings/units: its items are not those of vectors/bags\. Name the vectors that it was made from"):
        evaluate(fewer, [codings], Params(n_words=4), Run(tmp_path / "d"))
    with pytest.raises(Fault, match="counts/w: its rows are tokens"):
        evaluate(vectors, [codings], Params(n_words=4), Run(tmp_path / "e"), counts_of(tmp_path / "w", np.eye(9), WORDS))


def test_codes_are_no_topics(tmp_path):
    v = make_bags(tmp_path)
    codes = scalar_quantisation.compress(v, scalar_quantisation.Params(bits=1), Run(tmp_path / "c"))
    with pytest.raises(Fault, match="codings/c: its numbers only name entries of codebooks"):
        evaluate(v, [codes], Params(n_words=4), Run(tmp_path / "s"))


def test_bits_are_no_topics(tmp_path):
    v = make_bags(tmp_path)
    bits = binary.compress(v, binary.Params(n_bits=8, epochs=1), Run(tmp_path / "b"))
    with pytest.raises(Fault, match=r"codings/b: its codings are bits, .* Name a row of another network, or of pca"):
        evaluate(v, [bits], Params(n_words=4), Run(tmp_path / "s"))


def test_codings_wider_than_the_bags_have_rivals_as_wide(tmp_path):
    v = make_bags(tmp_path)
    wide = sparse_l1.compress(v, sparse_l1.Params(sizes=[12], epochs=2), Run(tmp_path / "wide", seed=1))
    seen = figures(evaluate(v, [wide], Params(n_words=2, max_iter=2), Run(tmp_path / "out", seed=1)))
    assert {of: row["n"] for (of, metric), row in seen.items() if of.startswith("scikit") and metric == "coherence"} == {
        "scikit-learn/lda-12": 12,
        "scikit-learn/nmf-12": 12,
    }


def test_codings_that_are_no_numbers_are_no_topics(tmp_path):
    v = make_bags(tmp_path)
    codings = as_codings(tmp_path / "units", v, np.nan)
    with pytest.raises(Fault, match=r"codings/units: 60 codings hold a number that is not finite, first 'd0'"):
        evaluate(v, [codings], Params(n_words=4), Run(tmp_path / "s"))

"""Node classification: the top-k protocol, by hand and against scikit-learn, and what tables of labels are refused."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import ttest_1samp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from pipelines.errors import Fault
from pipelines.evaluate.node_classification import Params, _f1, evaluate, sources
from pipelines.kernels.classification import likeliest
from pipelines.method import Run
from tests.matrices import files, vectors_of


def communities(n=90, size=5, seed=0):
    """Nodes of one or two of three communities, with vectors that lie near them."""
    rng = np.random.default_rng(seed)
    truth = np.eye(3, dtype=bool)[np.arange(n) % 3]
    truth[::4, 0] = True
    x = truth @ rng.normal(size=(3, size)) + rng.normal(size=(n, size))
    return x.astype(np.float32), truth


def names(truth):
    return ["|".join(np.array(["a", "b", "c"])[row]) for row in truth]


def figures(scores):
    return {(row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def table(scores):
    with (scores.folder / "node_classification.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def nodes(tmp_path):
    x, truth = communities()
    ids = [f"{i:02d}" for i in range(len(x))]
    (tmp_path / "labels.tsv").write_text("node\tlabel\n" + "".join(f"{i}\t{name}\n" for i, name in zip(ids, names(truth), strict=True)))
    return vectors_of(tmp_path / "v", ids, x), x, truth, str(tmp_path / "labels.tsv")


def test_the_rule_of_the_k_likeliest_by_hand():
    # four nodes of a; a and b; c; b. What is told: a; a and c (b is the least likely); b; b
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]], bool)
    scores = np.array([[3, 1, 2], [9, 1, 2], [-3, -1, -2], [0, 0.1, 0]])
    told = likeliest(scores, truth.sum(axis=1))
    assert told.astype(int).tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 0]]
    # hits: 2 of a, 1 of b, 0 of c, of five told and five there
    assert _f1(truth, told) == pytest.approx({"micro_f1": 3 / 5, "macro_f1": (1 + 2 / 4 + 0) / 3})


def test_every_draw_is_what_scikit_learn_gives_by_the_same_protocol(tmp_path, nodes):
    vectors, x, truth, labels = nodes
    params = Params(labels=labels, shares=[0.3, 0.8], n_draws=3, tol=1e-6)
    scores = evaluate([vectors], params, Run(tmp_path / "out", seed=7))
    wanted = []
    for number in (1, 2, 3):
        order = np.random.default_rng([7, number]).permutation(len(x))
        for n in (27, 72):
            learned, scored = order[:n], order[n:]
            model = OneVsRestClassifier(LogisticRegression(tol=1e-6, max_iter=1000)).fit(x[learned], truth[learned].astype(int))
            p, told = model.predict_proba(x[scored]), np.zeros((len(scored), 3), int)
            for row, k in enumerate(truth[scored].sum(axis=1)):
                told[row, np.argsort(p[row])[-k:]] = 1
            wanted.append([f"{f1_score(truth[scored], told, average=how):.4f}" for how in ("micro", "macro")])
    assert [[line["micro_f1"], line["macro_f1"]] for line in table(scores)] == wanted
    row = figures(scores)["micro_f1", "80 % of labels"]
    values = np.array([float(found[0]) for found in wanted[1::2]])
    assert row["value"] == pytest.approx(values.mean(), abs=1e-4)
    assert (row["low"], row["high"]) == pytest.approx(np.clip(ttest_1samp(values, 0).confidence_interval(0.95), 0, 1), abs=1e-3)
    assert row["n"] == 18
    assert row["note"] == ("72 nodes learned from, drawn 3 times, the interval over draws; 3 classes, how many of them a node has is given")


def test_several_rows_of_a_node_are_the_same_as_one_with_all_its_classes(tmp_path, nodes):
    vectors, _, truth, labels = nodes
    rows = [f"{i:02d} {'abc'[c]}\n" for i, row in enumerate(truth) for c in np.flatnonzero(row)]
    (tmp_path / "rows.txt").write_text("".join(reversed(rows)))
    a, b = (
        evaluate([vectors], Params(labels=source, n_draws=2), Run(tmp_path / name / "out", seed=1))
        for name, source in (("a", labels), ("b", str(tmp_path / "rows.txt")))
    )
    assert files(a) == files(b)


def test_labels_that_come_with_the_vectors_serve_where_no_table_is_named(tmp_path, nodes):
    _, x, truth, labels = nodes
    vectors = vectors_of(tmp_path / "own" / "v", [f"{i:02d}" for i in range(len(x))], x, names(truth))
    a = evaluate([vectors], Params(n_draws=2), Run(tmp_path / "a" / "out", seed=1))
    b = evaluate([vectors], Params(n_draws=2, labels=labels), Run(tmp_path / "b" / "out", seed=1))
    assert files(a) == files(b)


def test_two_processes_give_the_same_bytes_as_one(tmp_path, nodes):
    vectors, _, _, labels = nodes
    params = Params(labels=labels, n_draws=3, shares=[0.5])
    a, b = (evaluate([vectors], params, Run(tmp_path / str(n) / "out", seed=2, threads=n)) for n in (1, 2))
    assert files(a) == files(b)


def test_only_nodes_that_all_vectors_have_are_scored_and_the_note_counts_the_others(tmp_path, nodes):
    vectors, x, _, labels = nodes
    fewer = vectors_of(tmp_path / "fewer", [f"{i:02d}" for i in range(80)], x[:80])
    scores = evaluate([vectors, fewer], Params(labels=labels, n_draws=2, shares=[0.5]), Run(tmp_path / "out", seed=1))
    rows = scores.read().to_pylist()
    assert {row["n"] for row in rows} == {40}
    assert all(row["note"].endswith("; 10 labelled ones have no vector") for row in rows)
    same = {(row["metric"], row["on"], row["value"]) for row in rows}
    assert len(same) == 2  # the same vectors in the same draws


def test_what_cannot_be_learned_is_a_fault(tmp_path, nodes):
    vectors, *_ = nodes
    run = Run(tmp_path / "out")
    (tmp_path / "other.csv").write_text("node,label\nx1,a\nx2,b\n")
    with pytest.raises(Fault, match=r"other.csv labels 2 nodes, first 'x1', 'x2'; 0 of them have a vector in vectors/v, whose first items"):
        evaluate([vectors], Params(labels=str(tmp_path / "other.csv")), run)
    (tmp_path / "one.csv").write_text("node,label\n00,a\n01,a\n")
    with pytest.raises(Fault, match=r"one.csv says of all 2 nodes that they are 'a'\. A classifier needs two classes or more"):
        evaluate([vectors], Params(labels=str(tmp_path / "one.csv")), run)
    (tmp_path / "bad.csv").write_text("node,label\n00,a\n\n01,a,b\n02\n")
    with pytest.raises(Fault) as fault:
        evaluate([vectors], Params(labels=str(tmp_path / "bad.csv")), run)
    assert fault.value.faults == [
        "bad.csv, line 4 is '01,a,b', 3 cells; it has to be node, label",
        "bad.csv, line 5 is '02', 1 cells; it has to be node, label",
    ]
    with pytest.raises(Fault, match=r"vectors/v, whose own labels are read, labels 0 nodes, first none"):
        evaluate([vectors], Params(), run)
    with pytest.raises(ValidationError, match="must not name a share twice"):
        Params(shares=[0.5, 0.5])
    assert sources(Params(labels="mine/labels.tsv")) == ["mine/labels.tsv"]
    assert sources(Params(labels="data:graph/labels.tsv")) == sources(Params()) == []


CORA = Path(os.environ.get("WORDLOOM_DATA", "none")) / "graph" / "cora_labels.parquet"


@pytest.mark.skipif(not CORA.is_file(), reason="WORDLOOM_DATA names no folder with graph/cora_labels.parquet in it")
def test_the_topics_of_cora_are_read_as_they_lie_there(tmp_path):
    rng = np.random.default_rng(0)
    vectors = vectors_of(tmp_path / "v", [str(i) for i in range(2708)], rng.normal(size=(2708, 4)))
    scores = evaluate([vectors], Params(labels="data:graph/cora_labels.parquet", shares=[0.5], n_draws=2), Run(tmp_path / "out"))
    row = figures(scores)["micro_f1", "50 % of labels"]
    assert row["n"] == 1354
    assert "7 classes" in row["note"]
    assert row["value"] < 0.35  # vectors of chance reach the share of the largest topic at best

import csv

import numpy as np
import pytest

from pipelines.artifacts.counts import Counts
from pipelines.cooccur import windowed
from pipelines.cooccur.documents import Params as Bags
from pipelines.cooccur.documents import cooccur as bags
from pipelines.errors import Fault
from pipelines.evaluate.probe import Params, evaluate
from pipelines.method import Run
from tests.texts import labelled, tokens_of

WORDS = ["<unk>", "ice", "steam", "solid", "gas", "water", "fashion"]


def make_counts(folder, pairs, words=WORDS):
    with Run(folder).open(Counts) as out:
        out.append(row=[i for i, _ in pairs], col=[j for _, j in pairs], count=list(pairs.values()))
        out.append("vocab", token_id=range(len(words)), token=words, count=[0] + [9] * (len(words) - 1))
    return out.artifact


# near ice 100 words in all, near steam 200
NEAR = {(1, 3): 19, (1, 4): 6.5, (1, 5): 30, (1, 6): 44.5, (2, 3): 4, (2, 4): 156, (2, 5): 40, (5, 1): 30}


def figures(scores):
    return {(row["metric"], row["on"]): row["value"] for row in scores.read().to_pylist()}


def table(scores):
    with (scores.folder / "probe.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_probe_is_as_probable_as_its_share_of_what_stands_near_the_word(tmp_path):
    scores = evaluate(make_counts(tmp_path / "c", NEAR), Params(), Run(tmp_path / "out"))
    assert figures(scores) == pytest.approx({
        ("probability", "solid | ice"): 0.19, ("probability", "solid | steam"): 0.02, ("probability_ratio", "solid | ice / steam"): 9.5,
        ("probability", "gas | ice"): 0.065, ("probability", "gas | steam"): 0.78, ("probability_ratio", "gas | ice / steam"): 1 / 12,
        ("probability", "water | ice"): 0.3, ("probability", "water | steam"): 0.2, ("probability_ratio", "water | ice / steam"): 1.5,
        ("probability", "fashion | ice"): 0.445, ("probability", "fashion | steam"): 0,  # so there is no ratio
        ("words_known", "vocab"): 1,
    })  # fmt: skip
    assert table(scores)[0] == {"probe": "solid", "first": "0.19", "second": "0.02", "ratio": "9.5"}
    assert table(scores)[3] == {"probe": "fashion", "first": "0.445", "second": "0", "ratio": ""}


def test_rows_are_found_in_any_block_of_the_matrix(tmp_path, monkeypatch):
    documents = [[1, 3, 1, 5], [2, 4, 2, 5, 4]] * 20
    counts = windowed.cooccur(tokens_of(tmp_path / "t", documents, 7), windowed.Params(window=2), Run(tmp_path / "c"))
    dense = counts.sparse().toarray()
    monkeypatch.setattr(Counts, "blocks", lambda self, n=3, blocks=Counts.blocks: blocks(self, 3))
    found = figures(evaluate(counts, Params(words=["w1", "w2"], probes=["w5", "w3"]), Run(tmp_path / "out")))
    assert found["probability", "w5 | w2"] == pytest.approx(dense[2, 5] / dense[2].sum())
    assert found["probability_ratio", "w5 | w1 / w2"] == pytest.approx(dense[1, 5] / dense[1].sum() / (dense[2, 5] / dense[2].sum()))
    assert ("probability_ratio", "w3 | w1 / w2") not in found


def test_words_that_are_not_there_are_counted_and_told(tmp_path):
    counts = make_counts(tmp_path / "c", NEAR)
    scores = evaluate(counts, Params(probes=["solid", "liquid", "<unk>"]), Run(tmp_path / "out"))
    known = scores.read().to_pylist()[-1]
    assert (known["metric"], known["value"], known["note"]) == ("words_known", 0.6, "not in the vocabulary: liquid, <unk>")
    alone = evaluate(counts, Params(words=["snow", "hail"]), Run(tmp_path / "none"))
    assert {metric for metric, _ in figures(alone)} == {"words_known"}
    half = evaluate(counts, Params(words=["snow", "steam"]), Run(tmp_path / "half"))
    assert ("probability", "gas | steam") in figures(half)
    assert not any("snow" in on for _, on in figures(half))


def test_what_it_writes_passes_the_gate_of_scores(tmp_path):
    scores = evaluate(make_counts(tmp_path / "c", NEAR), Params(), Run(tmp_path / "out"))
    profile = scores.profile()
    assert profile["in_range"].all()
    assert profile["name"].is_unique
    assert (profile["n_not_finite"] == 0).all()


def test_documents_near_words_are_refused(tmp_path):
    tokens = labelled(tmp_path / "t", [("train", "a", [1, 2])], WORDS)
    with pytest.raises(Fault, match="its rows are documents; this method needs words near words"):
        evaluate(bags(tokens, Bags(), Run(tmp_path / "b")), Params(), Run(tmp_path / "out"))


def test_counts_that_are_no_numbers_are_a_fault(tmp_path):
    with Run(tmp_path / "c").open(Counts) as out:
        out.append(row=np.int32([1, 2]), col=np.int32([3, 4]), count=np.float32([np.nan, 1]))
        out.append("vocab", token_id=range(len(WORDS)), token=WORDS, count=[0] + [9] * (len(WORDS) - 1))
    with pytest.raises(Fault, match="counts/c: 1 counts are no number above 0, first nan of row 1, col 3"):
        evaluate(out.artifact, Params(), Run(tmp_path / "out"))

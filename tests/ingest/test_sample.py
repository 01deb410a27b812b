"""The Wikipedia articles inside gensim, as a corpus with a task."""

import bz2
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import layout
from pipelines.errors import Fault
from pipelines.ingest.sample import Params, articles, draw_blocks, ingest
from pipelines.method import Run
from tests.dumps import dump, page


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return ingest(Params(), Run(tmp_path_factory.mktemp("sample") / "sample", seed=1))


@pytest.fixture(scope="module")
def frame(corpus):
    return corpus.read().to_pandas()


def test_it_is_103_articles_and_four_hundred_thousand_words(frame):
    assert frame["group"].nunique() == 103  # of 106; the other three are lists without a sentence
    assert 400_000 < frame["text"].str.split().str.len().sum() < 430_000


def test_the_task_has_dozens_of_classes_each_with_passages_to_learn_from_and_to_be_asked(frame):
    labelled = frame[frame["label"].notna()]
    per_class = labelled.groupby("label")["split"].value_counts().unstack()
    assert 20 <= len(per_class) <= 50
    assert per_class["train"].min() >= 30
    assert per_class[["valid", "test"]].min().min() >= 9


def test_only_an_article_of_enough_passages_has_a_label_and_it_is_its_title(frame):
    sizes = frame.groupby("group").size()
    labelled = frame[frame["label"].notna()]
    assert set(labelled["group"]) == set(sizes[sizes >= Params().min_passages].index)
    assert (labelled["label"] == labelled["group"]).all()


def test_valid_and_test_are_one_block_each_and_what_is_beside_them_is_not_trained_on(frame):
    n_checked = 0
    for _, article in frame[frame["group"].isin(frame["label"].dropna())].groupby("group", sort=False):
        runs = [split for split, _ in itertools.groupby(article["split"])]
        assert runs.count("valid") == runs.count("test") == 1
        assert all("unlabelled" in pair for pair in itertools.pairwise(runs)), runs
        n_checked += 1
    assert n_checked >= 20


def test_every_passage_passes_the_gate_and_is_named_by_its_place_in_the_article(corpus, frame):
    profile = corpus.profile()
    assert profile["doc_id"].is_unique
    assert not profile["label_missing"].any()
    assert profile["n_characters"].min() >= 20
    assert profile["n_replaced"].max() == 0
    assert frame["doc_id"].iloc[0] == "Anarchism/0000"
    assert frame["text"].iloc[0].startswith("Anarchism is a political philosophy that advocates self-governed societies")


def test_no_markup_is_left(frame):
    leftover = re.compile(r"\[\[|\]\]|\{\{|\}\}|''|==|</?(?:ref|br|div)|&(?:amp|nbsp|lt);|File:|Category:|https?://|\(\s*[,;)]| ,")
    assert frame[frame["text"].str.contains(leftover)]["text"].tolist() == []


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    again = ingest(Params(), Run(tmp_path / "again", seed=1))
    assert layout.hash_path(again.folder) == layout.hash_path(corpus.folder)


def test_the_seed_decides_the_blocks_and_nothing_else(frame, tmp_path):
    other = ingest(Params(), Run(tmp_path / "other", seed=2)).read().to_pandas()
    assert other[["doc_id", "text", "group"]].equals(frame[["doc_id", "text", "group"]])
    assert (other["split"] != frame["split"]).mean() > 0.1


# what is made of a page


def dump_of(tmp_path, *pages):
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(dump(*pages).encode()))
    return path


def test_redirects_and_pages_that_are_no_articles_are_left_out(tmp_path):
    dump = dump_of(tmp_path, page("A", "Text."), page("B", "#REDIRECT [[A]]"), page("Talk:A", "Talk.", "1"), page("C", "More."))
    assert list(articles(dump)) == [("A", "Text."), ("C", "More.")]


def test_a_dump_that_is_cut_short_or_missing_is_a_fault(tmp_path):
    dump = dump_of(tmp_path, *(page(f"A{i}", f"Text {i * 7919}.") for i in range(50)))
    dump.write_bytes(dump.read_bytes()[:-40])
    with pytest.raises(Fault, match="cannot be read.*Install gensim again"):
        list(articles(dump))
    with pytest.raises(Fault, match="is missing; it is part of gensim"):
        list(articles(tmp_path / "none.bz2"))


@given(n=st.integers(20, 200), gap=st.integers(0, 3), valid=st.floats(0.05, 0.3), test=st.floats(0.05, 0.3), seed=st.integers(0, 99))
def test_blocks_have_the_asked_size_are_unbroken_and_keep_their_distance(n, gap, valid, test, seed):
    params = Params(valid_share=valid, test_share=test, gap=gap)
    if n - round(valid * n) - round(test * n) <= 4 * gap:
        return
    splits = draw_blocks(n, params, np.random.default_rng(seed))
    assert len(splits) == n
    assert splits.count("valid") == max(1, round(valid * n))
    assert splits.count("test") == max(1, round(test * n))
    assert splits.count("train") >= 1
    place = {part: [i for i, split in enumerate(splits) if split == part] for part in ("train", "valid", "test")}
    for part in ("valid", "test"):
        assert place[part][-1] - place[part][0] + 1 == len(place[part])
    between = [abs(a - b) for x, y in itertools.combinations(place, 2) for a in place[x] for b in place[y]]
    assert min(between) > gap


def test_blocks_come_to_lie_anywhere_in_the_article():
    rng = np.random.default_rng(0)
    drawn = [draw_blocks(40, Params(), rng) for _ in range(400)]
    assert {splits[0] for splits in drawn} == {splits[-1] for splits in drawn} == {"train", "valid", "test", "unlabelled"}


def test_an_article_with_nothing_left_to_train_on_is_a_fault():
    with pytest.raises(Fault, match="article of 10 passages has none left to train on: valid takes 2, test 2, each gap 3"):
        draw_blocks(10, Params(gap=3), np.random.default_rng(0))

"""Words and their misspellings."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.errors import Fault
from pipelines.ingest.misspelled import Params, ingest, neighbours, slip
from pipelines.kernels.answers import edit_distances
from pipelines.method import Run
from tests.texts import labelled

WORDS = ["harbour", "captain", "farmer", "sheep", "storm", "field", "horse", "barley", "wagon", "river"]
TEXT = " ".join(WORDS)


def corpus_of(tmp_path, content=TEXT, name="out", seed=1, **knobs):
    (tmp_path / "words.txt").write_text(content)
    return ingest(Params(source=str(tmp_path / "words.txt"), **knobs), Run(tmp_path / name, seed=seed))


def test_a_document_is_a_misspelling_and_its_label_the_word(tmp_path):
    frame = corpus_of(tmp_path, two=0.0).read().to_pandas()
    assert len(frame) == 50
    assert set(frame["label"]) == set(WORDS)
    assert not set(frame["text"]) & set(WORDS)
    assert frame["text"].is_unique
    assert set(edit_distances(frame["text"].to_list(), frame["label"].to_list())) <= {1, 2}  # two in the wrong order are two edits


def test_no_word_is_in_two_splits(tmp_path):
    frame = corpus_of(tmp_path, valid_share=0.2, test_share=0.2).read().to_pandas()
    assert (frame.groupby("label")["split"].nunique() == 1).all()
    assert frame.groupby("split")["label"].nunique().to_dict() == {"train": 6, "valid": 2, "test": 2}


def test_the_seed_decides_the_slips(tmp_path):
    made = [corpus_of(tmp_path, name=name, seed=seed).read()["text"].to_pylist() for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert made[0] == made[1] != made[2]


def test_each_slip_is_one_of_four_kinds_and_all_occur():
    rng, kinds = np.random.default_rng(0), {}
    for _ in range(4000):
        made = slip("harbour", rng)
        if len(made) == 6:
            kind = "less"
            assert any(made == "harbour"[:i] + "harbour"[i + 1 :] for i in range(7))
        elif len(made) == 8:
            kind = "more"
            (at, *_) = [i for i in range(8) if made[:i] + made[i + 1 :] == "harbour"]
            assert any(made[i] in "harbour"[j] + neighbours("harbour"[j]) for i in (at, at + 1) if i < 8 for j in (i - 1, i) if 0 <= j < 7)
        else:
            (*differ,) = [i for i in range(7) if made[i] != "harbour"[i]]
            kind = "swapped" if len(differ) == 2 else "another"
            if kind == "swapped":
                i, j = differ
                assert (j, made[i], made[j]) == (i + 1, "harbour"[j], "harbour"[i])
            else:
                assert made[differ[0]] in neighbours("harbour"[differ[0]])
        kinds[kind] = kinds.get(kind, 0) + 1
    assert all(900 < n < 1100 for n in kinds.values()), kinds
    assert len(kinds) == 4


def test_keys_are_neighbours_as_on_the_keyboard():
    assert set(neighbours("g")) == set("tyfhvb")
    assert set(neighbours("q")) == set("wa")
    assert neighbours("é") == ""
    assert all(a in neighbours(b) for a in "qwertyuiopasdfghjklzxcvbnm" for b in neighbours(a))


def test_words_are_counted_in_a_text_and_the_rare_and_short_ones_left_out(tmp_path):
    made = corpus_of(tmp_path, "The harbour, the HARBOUR; a storm. None none none", min_count=2, per_word=1)
    assert made.read()["label"].to_pylist() == ["harbour"]  # none is what a label is that is none


def test_a_misspelling_shorter_than_a_word_may_be_is_a_document(tmp_path):
    made = corpus_of(tmp_path, "storm", min_letters=5, per_word=8, valid_share=0.0, test_share=0.0)
    assert made.read()["text"].to_pandas().str.len().min() == 4


def test_the_words_of_tokens_serve_as_well(tmp_path):
    tokens = labelled(tmp_path / "t", [("train", None, [1, 2])], ["<unk>", "harbour", "storm", "u2", "sea"])
    made = ingest(Params(), Run(tmp_path / "out", seed=1), tokens=tokens)
    assert set(made.read()["label"].to_pylist()) == {"harbour", "storm"}


def test_words_come_from_one_place(tmp_path):
    with pytest.raises(Fault, match="words come from a source, or from tokens"):
        ingest(Params(), Run(tmp_path / "out"))


def test_no_word_is_a_fault_that_says_what_to_lower(tmp_path):
    with pytest.raises(Fault, match="of 2 words none has 4 characters and 1 sightings. Lower min_letters"):
        corpus_of(tmp_path, "a sea")


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="must be a regular expression"):
        Params(pattern="[a-")

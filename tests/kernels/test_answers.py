"""Scores of texts: edit distances, entities as conlleval finds them, intervals."""

import difflib

import numpy as np
import pytest

from pipelines.kernels.answers import are_tags, by_kind, edit_distances, perplexity, score, spans

# conlleval's own tables: between which two tags of one kind a chunk ends, and begins
ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}
BEGINS = {"BB", "IB", "OB", "OI", "EE", "EI", "OE"}


def conlleval(tags):
    """Its chunks, told tag by tag: (first, beyond the last, kind)."""
    found, start, before, kind_before = set(), None, "O", ""
    for at, tag in enumerate([*tags, "O"]):
        now, kind = tag[0], tag[2:]
        if start is not None and (before + now in ENDS or (before != "O" and kind_before != kind)):
            found.add((start, at, kind_before))
            start = None
        if before + now in BEGINS or (now != "O" and kind_before != kind):
            start = at
        before, kind_before = now, kind
    return found


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", {(0, 2, "PER"), (3, 4, "LOC")}),
        ("I-PER I-PER O I-LOC", {(0, 2, "PER"), (3, 4, "LOC")}),  # IOB1: B only between two of a kind
        ("I-PER B-PER I-PER", {(0, 1, "PER"), (1, 3, "PER")}),
        ("B-PER I-LOC I-LOC", {(0, 1, "PER"), (1, 3, "LOC")}),  # ill-formed: another kind is another entity
        ("O I-ORG O", {(1, 2, "ORG")}),  # ill-formed in IOB2: begun without a B
        ("S-LOC B-PER I-PER E-PER S-LOC S-LOC", {(0, 1, "LOC"), (1, 4, "PER"), (4, 5, "LOC"), (5, 6, "LOC")}),
        ("B-PER E-PER E-PER", {(0, 2, "PER"), (2, 3, "PER")}),  # ill-formed in BIOES: an end after an end
        ("I-A-B I-A-C", {(0, 1, "A-B"), (1, 2, "A-C")}),  # a kind may hold a hyphen
        ("O O", set()),
        ("", set()),
    ],
)
def test_entities_by_hand(tags, expected):
    assert spans(tags.split()) == expected


@pytest.mark.parametrize("signs", ["BIO", "IOE"])  # one scheme at a time: its tables know of no B beside an E
def test_entities_of_any_tags_however_ill_formed_are_those_of_conlleval(signs):
    rng, some = np.random.default_rng(0), 0
    for _ in range(2000):
        drawn = zip(rng.choice(list(signs), 8), rng.choice(list("xy"), 8), strict=True)
        tags = ["O" if sign == "O" else f"{sign}-{kind}" for sign, kind in drawn]
        assert spans(tags) == conlleval(tags), tags
        some += len(spans(tags))
    assert some > 2000


def test_precision_recall_and_f1_of_entities_by_hand():
    # there: PER 0-2, LOC 3-4, MISC 0-3; told: PER 0-2, ORG 3-4, MISC 1-3, LOC 4-5: one of four told is right, one of three found
    actual = ["B-PER I-PER O B-LOC O", "B-MISC I-MISC I-MISC"]
    predicted = ["B-PER I-PER O B-ORG B-LOC", "O B-MISC I-MISC"]
    figures = score(actual, predicted, 200, seed=1)
    assert figures["entity_precision"][0] == pytest.approx(1 / 4)
    assert figures["entity_recall"][0] == pytest.approx(1 / 3)
    assert figures["entity_f1"][0] == pytest.approx(2 / 7)
    assert figures["tokens_right"][0] == pytest.approx((3 + 1) / 8)
    assert by_kind(actual, predicted) == {"LOC": (0, 1, 1), "MISC": (0, 1, 1), "ORG": (0, 1, 0), "PER": (1, 1, 1)}


def test_parts_of_speech_are_no_entities():
    assert not are_tags(["DT NN"], ["B-x"])
    assert not are_tags(["O O"], ["O"])
    assert are_tags(["O"], ["I-PER"])
    assert not any(name.startswith("entity") for name in score(["DT NN"], ["DT VB"], 100, 1))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 2), ("ä𝄞", "ä𝄢", 1), ("same", "same", 0)],
)
def test_edit_distances_by_hand(a, b, expected):
    assert edit_distances([a, "x"], [b, "x"]).tolist() == [expected, 0]


def test_edit_distance_is_symmetric_and_at_most_what_an_alignment_costs():
    rng = np.random.default_rng(1)
    a, b = (["".join(rng.choice(list("abc"), rng.integers(0, 9))) for _ in range(300)] for _ in "ab")
    there, back = edit_distances(a, b), edit_distances(b, a)
    assert (there == back).all()
    for x, y, n in zip(a, b, there, strict=True):
        steps = difflib.SequenceMatcher(None, x, y, autojunk=False).get_opcodes()
        assert abs(len(x) - len(y)) <= n <= sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in steps if tag != "equal")


def test_exact_match_and_errors_by_hand():
    figures = score(["word", "text", ""], ["word", "next", "x"], 200, seed=1)
    assert figures["exact_match"][0] == pytest.approx(1 / 3)
    assert figures["character_errors"][0] == pytest.approx((1 + 1) / 8)
    assert figures["tokens_right"][0] == pytest.approx(1 / 2)
    for value, low, high in figures.values():
        assert low <= value <= high


def test_an_interval_agrees_with_drawing_documents_one_by_one():
    rng = np.random.default_rng(3)
    actual = ["".join(rng.choice(list("ab"), rng.integers(1, 9))) for _ in range(150)]
    predicted = [text if rng.random() < 0.6 else text[::-1] for text in actual]
    edits, lengths, draws = edit_distances(actual, predicted), np.array([len(text) for text in actual]), []
    for _ in range(2000):
        rows = rng.integers(0, 150, 150)
        draws.append(edits[rows].sum() / lengths[rows].sum())
    low, high = score(actual, predicted, 2000, seed=1)["character_errors"][1:]
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.01)


def test_perplexity_is_one_over_the_geometric_mean():
    value, low, high = perplexity(np.float32([0.5, 0.125]), 200, seed=1)
    assert value == pytest.approx(4)
    assert 2 <= low <= value <= high <= 8

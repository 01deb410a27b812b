"""What the report shows of the tables that evaluations leave beside their scores."""

import json
import re

import numpy as np
import pytest
from markupsafe import Markup

from pipelines import registry
from pipelines.charts import MOST_WORDS, word_map
from pipelines.method import Run
from pipelines.reporting import words
from pipelines.reporting.block import Block, shown, table
from pipelines.reporting.words import BESIDE, blocks

EVIL = "</td><script>alert('x')</script>\""


def lines(text):
    head, *rows = [line.split(",") for line in text.split()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_every_table_that_dvc_plots_draws_of_an_evaluation_the_report_shows_too():
    plotted = {name for method in registry.methods("evaluate") for name in registry.load("evaluate", method).plots}
    assert len(plotted) > 5
    assert plotted <= set(BESIDE)


def test_a_map_holds_every_word_at_its_place_and_what_is_kept_of_its_neighbours():
    (block,) = BESIDE["tsne"]([
        {"of": "vectors/a", "word": word, "x": x, "y": y, "kept": kept, "agreed": "0.30"}
        for word, x, y, kept in ((EVIL, "-5", "0", "0.90"), ("sea", "5", "0", "0.50"), ("farm", "0", "8", "0.10"))
    ])  # fmt: skip
    assert "<script" not in block.picture
    data = json.loads(Markup(re.search(r'data-words="([^"]*)"', block.picture)[1]).unescape())
    assert [word for word, *_ in data] == [EVIL, "sea", "farm"]
    assert [(kept, agreed) for *_, kept, agreed in data] == [(0.9, 0.3), (0.5, 0.3), (0.1, 0.3)]
    (x0, y0), (x1, y1), (_, y2) = ((x, y) for _, x, y, *_ in data)
    assert y0 == y1 < y2
    assert (y2 - y0) / (x1 - x0) == pytest.approx(0.8, abs=0.01)  # one scale for both
    assert [block.picture.count("h0", *span) for span in tones(block.picture)] == [1, 1, 1]
    assert (block.searched, "3 words" in block.about) == (True, True)


def tones(picture):
    return [it.span() for it in re.finditer(r'<path class="word t\d" d="[^"]*"', picture)]


def test_of_too_many_words_some_are_drawn_and_that_is_said():
    many = [{"of": "v", "word": f"w{i}", "x": str(i), "y": "0", "kept": "0.5", "agreed": "0.5"} for i in range(MOST_WORDS + 500)]
    (block,) = BESIDE["tsne"](many)
    assert block.about.startswith("t-SNE, 2,000 of 2,500 words")
    assert len(json.loads(Markup(re.search(r'data-words="([^"]*)"', block.picture)[1]).unescape())) == MOST_WORDS
    assert len(block.picture) < 120_000


def test_names_on_a_map_do_not_lie_on_each_other():
    rng = np.random.default_rng(0)
    picture = word_map([(f"word{i}", *rng.random(2).tolist(), rng.random(), 0.5) for i in range(500)])
    at = np.array([[float(x), float(y)] for x, y in re.findall(r'class="class small" x="([\d.]+)" y="([\d.]+)"', picture)])
    assert len(at) > 10
    gaps = np.abs(at[:, None] - at[None])[~np.eye(len(at), dtype=bool)]
    assert ((gaps[:, 0] > 40) | (gaps[:, 1] > 15.9)).all()


def test_associations_are_a_line_of_dots_for_each_set_with_its_mean():
    (block,) = BESIDE["weat"](lines("of,test,set,word,association v,t,sea,boat,0.5 v,t,sea,fish,0.3 v,t,farm,sheep,-0.2"))
    assert block.title == "t"
    assert [block.picture.count(f'circle class="s{i} faint"') for i in range(3)] == [2, 1, 0]
    assert "mean of sea: 0.400" in block.picture
    assert "boat: 0.500" in block.picture


def test_a_cluster_is_named_by_its_most_frequent_category_and_strangers_by_theirs():
    text = "of,set,cluster,category,word v,s,1,sea,boat v,s,1,sea,fish v,s,1,farm,sheep v,s,2,farm,barn"
    (block,) = BESIDE["categorisation"](lines(text))
    assert block.rows == [["1", "sea", "2 of 3", "boat, fish", "sheep (farm)"], ["2", "farm", "1 of 1", "barn", ""]]


def test_of_outliers_those_that_are_missed_are_listed():
    rows = [{"of": "v", "set": "s", "outlier": "o", "position": "0.5", "stood out": it} for it in ("o", "x", "o")]
    (block,) = BESIDE["outliers"](rows)
    assert block.about.startswith("1 of 3 questions")
    assert len(block.rows) == 1
    assert BESIDE["outliers"](rows[::2]) == []


def test_pairs_of_classifiers_are_told_apart_with_as_many_tests_in_mind_as_there_are():
    text = "a,b,n,only_a,only_b,p x,y,100,20,5,0.004 x,z,100,9,3,0.03 y,z,100,5,5,1"
    (block,) = BESIDE["mcnemar"](lines(text))
    assert [row[-2:] for row in block.rows] == [[pytest.approx(0.012), "yes"], [pytest.approx(0.06), "no"], [1.0, "no"]]


def test_a_bin_of_calibration_lies_at_its_confidence_and_accuracy():
    (block,) = BESIDE["calibration"](lines("of,bin,confidence,accuracy,n c,1,0.5,0.25,30 c,2,1.0,1.0,90"))
    assert block.about == "120 documents, in 2 bins of confidence"
    (x0, y0), (x1, y1) = ((float(x), float(y)) for x, y in re.findall(r'<circle class="s0" cx="([\d.]+)" cy="([\d.]+)"', block.picture))
    bottom = y1 + (y0 - y1) / 0.75
    left = x1 - (x1 - x0) / 0.5
    assert f'd="M{left:.1f} {bottom:.1f}L{x1:.1f} {y1:.1f}"' in block.picture  # the diagonal, from 0 to 1
    assert "30 documents of confidence 50.0%: 25.0% of them right" in block.picture


def test_learning_curves_are_means_over_draws():
    text = (
        "of,classifier,share,draw,labels,accuracy vectors/v,logistic,1,1,10,0.5 vectors/v,logistic,1,2,10,0.7 vectors/v,logistic,1,1,50,0.8"
    )
    (block,) = BESIDE["few_labels"](lines(text))
    assert list(block.legend) == ["v, logistic"]
    assert "v, logistic, labels 10: 0.600" in block.picture
    assert "2 draws" in block.about


def test_a_table_that_nobody_knows_is_shown_as_it_is_and_a_strange_one_of_a_known_name_too(tmp_path):
    out = Run(tmp_path).open(report_words_noun())
    out.csv("mine", [{"word": EVIL, "how_much": "0.123456"}])
    out.csv("confusion", [{"what": "ever"}])
    out.csv("mcnemar", [dict.fromkeys(("a", "b", "n", "only_a", "only_b", "p"), "")])
    first, second = blocks(tmp_path)
    assert (first.title, second.title, second.columns()) == ("confusion", "mine", [("word", False), ("how much", True)])
    assert second.rows == [[EVIL, "0.123456"]]
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00broken")
    assert [block.title for block in blocks(tmp_path)] == ["confusion"]


def report_words_noun():
    from pipelines.artifacts.scores import Scores

    return Scores


def test_words_of_clusters_are_not_told_twice_and_those_of_stability_by_their_ends():
    assert words.words(lines("of,word,cluster v,a,1")) == []
    (block,) = words.words(lines("word,overlap a,0.9 b,0.5 c,0.1"))
    assert [row[1] for row in block.rows] == ["a 90%, b 50%, c 10%", "c 10%, b 50%, a 90%"]


@pytest.mark.parametrize(
    ("cell", "told"), [("0.6394", "0.639"), ("15", "15"), (12345, "12,345"), ("word", "word"), ("", ""), (None, ""), ("nan", "nan")]
)
def test_a_cell_is_a_number_with_the_digits_one_needs_or_text(cell, told):
    assert shown(cell) == told


def test_of_a_long_table_the_first_lines_are_shown_and_that_is_said():
    block = table("t", [{"a": i} for i in range(800)], note="So it is.")
    assert (len(block.rows), block.note) == (500, "So it is. The first 500 of 800 lines.")
    assert isinstance(block, Block)


def test_of_many_classes_the_page_draws_no_more_than_it_can_carry():
    names = [f"c{i:02d}" for i in range(50)]
    cells = [{"of": of, "actual": a, "predicted": b, "count": "1"} for of in "wxyz" for a in names for b in names]
    *pictures, wrong = BESIDE["confusion"](cells)
    assert [bool(block.picture) for block in pictures] == [True, True, True, False]
    assert [block.folded for block in pictures] == [False, False, True, True]
    assert "not drawn" in pictures[3].about
    assert len(wrong.rows) == 32


def test_of_more_classes_than_can_be_read_those_that_are_mistaken_most_are_drawn():
    cells = [{"of": "a", "actual": f"c{i:03d}", "predicted": f"c{i:03d}", "count": "9"} for i in range(80)]
    cells.append({"of": "a", "actual": "c077", "predicted": "c003", "count": "5"})
    block, _ = BESIDE["confusion"](cells)
    assert "50 of 80 classes, those that are mistaken most" in block.about
    assert "5 of 14 documents of c077 (36%) were taken for c003" in block.picture
    assert "c079" not in block.picture


def test_of_many_neighbours_the_first_words_are_listed():
    rows = [{"of": "v", "word": f"w{i}", "rank": str(k), "neighbour": "n", "similarity": "0.5"} for i in range(1000) for k in range(10)]
    (block,) = BESIDE["neighbours"](rows)
    assert (len(block.rows), block.note) == (500, "The first 600 of 1,000 words. The first 500 of 600 lines.")

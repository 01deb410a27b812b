import re
from xml.etree import ElementTree

import pytest

from pipelines import charts

EVIL = '</svg><script>alert("x")</script>&'


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0.0153, 0.0698, [0, 0.02, 0.04, 0.06, 0.08]), (1, 25, [0, 10, 20, 30]), (-3, 3, [-4, -2, 0, 2, 4])],
)
def test_ticks_are_round_and_hold_all_values(low, high, wanted):
    assert charts.nice(low, high) == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (0, "0"),
        (1.0, "1.000"),
        (12.345, "12.35"),
        (128, "128"),
        (1234567, "1,234,567"),
        (-0.00032, "-0.0003"),
        (None, ""),
    ],
)
def test_a_number_has_the_digits_that_a_reader_needs(value, text):
    assert charts.figure(value) == text


def pictures():
    box = {"name": EVIL, "below": EVIL, "title": EVIL, "state": "passed", "share": 0.5}
    yield charts.graph([[{"key": "a", **box}], [{"key": "b", **box}, {"key": "c", **box}]], ["embed", EVIL], [("a", "b"), ("b", "c")])
    yield charts.lines({EVIL: [(1, 0.5), (2, 0.4)], "flat": [(1, 0.1)]}, EVIL)
    yield charts.lines({"one point": [(1, 3.0)]}, "epoch")
    yield charts.lines({"long": [(i, i * 0.1) for i in range(100)]}, "step")
    yield charts.points([(EVIL, 8, 0.5), ("b", 512, 0.9), ("c", 600, 0.7)], "bytes", EVIL)
    yield charts.points([("one", 3, 0.5)], "bytes", "kept")
    yield charts.interval(0.5, 0.4, 0.6, (0, 1))
    yield charts.interval(0.5, None, None, (0, 1))
    yield charts.heat_map([EVIL, "b"], {(0, 0): 3, (0, 1): 1})


@pytest.mark.parametrize("picture", list(pictures()))
def test_every_picture_is_well_formed_whatever_the_names_are(picture):
    tree = ElementTree.fromstring(picture)
    assert tree.tag == "svg"
    assert tree.iter("script") is not None
    assert not list(tree.iter("script"))
    assert "nan" not in re.sub(r">[^<]*<", "><", picture).lower()


def test_a_graph_draws_every_stage_and_every_edge_between_its_boxes():
    tree = ElementTree.fromstring(next(pictures()))
    assert len([g for g in tree.iter("g") if g.get("class", "").startswith("box")]) == 3
    ends = [re.findall(r"[\d.]+", path.get("d")) for path in tree.iter("path") if path.get("class") == "edge"]
    frames = [rect for rect in tree.iter("rect") if rect.get("class") == "frame"]
    right = {str(float(rect.get("x")) + float(rect.get("width"))).removesuffix(".0") for rect in frames}
    assert len(ends) == 2
    assert all(numbers[0] in right for numbers in ends)


def test_a_line_joins_the_points_that_none_beats_in_both(tmp_path):
    named = [("small", 10, 0.2), ("beaten", 100, 0.1), ("large", 1000, 0.9), ("dear", 2000, 0.9)]
    tree = ElementTree.fromstring(charts.points(named, "bytes", "kept"))
    best, others = (
        [dot.find("title").text.partition(":")[0] for dot in tree.iter("circle") if dot.get("class") == s] for s in ("s0", "s1")
    )
    assert (best, others) == (["small", "large"], ["beaten", "dear"])
    (line,) = [path.get("d") for path in tree.iter("path") if path.get("class") == "line s0"]
    at = {dot.find("title").text.partition(":")[0]: f"{dot.get('cx')} {dot.get('cy')}" for dot in tree.iter("circle")}
    assert line == f"M{at['small']}L{at['large']}"
    x = {name: float(place.partition(" ")[0]) for name, place in at.items()}
    assert x["large"] - x["beaten"] == pytest.approx(x["beaten"] - x["small"], abs=0.2)  # a power of ten is as wide as another


def test_an_interval_lies_where_its_numbers_say():
    tree = ElementTree.fromstring(charts.interval(0.5, 0.0, 1.0, (0.0, 1.0)))
    (dot,) = tree.iter("circle")
    assert float(dot.get("cx")) == pytest.approx(int(tree.get("width")) / 2)
    assert next(tree.iter("title")).text == "0.500, 95 % interval 0 to 1.000"


def test_the_share_of_a_class_is_the_strength_of_its_cell():
    tree = ElementTree.fromstring(charts.heat_map(["a", "b"], {(0, 0): 3, (0, 1): 1, (1, 1): 2}))
    cells = [rect for rect in tree.iter("rect") if rect.get("class") in ("hit", "miss")]
    assert [cell.get("fill-opacity") for cell in cells] == ["0.78", "0.34", "1.00"]
    assert cells[1].find("title").text == "1 of 4 documents of a (25%) were taken for b"


def test_a_picture_holds_each_chart_at_its_size_below_the_one_before():
    chart = charts.lines({"loss": [(1, 0.5), (2, 0.25)]}, "epoch")
    one, two = (ElementTree.fromstring(charts.image([("a", ["loss"], chart)] * n)) for n in (1, 2))
    assert float(two.get("height")) == pytest.approx(2 * float(one.get("height")) - 12)
    assert one.get("width") == two.get("width") == "720"


def test_of_many_dots_those_that_none_beats_have_their_names_beside_them():
    dots = [(f"n{i}", 10.0 + i, 0.9 - 0.03 * i) for i in range(charts.MOST_NAMED + 1)]
    written = [it.text for it in ElementTree.fromstring(charts.points(dots, "bytes", "kept")).iter("text")]
    assert "n0" in written
    assert "n1" not in written
    assert "n1" in [it.text for it in ElementTree.fromstring(charts.points(dots[:-1], "bytes", "kept")).iter("text")]

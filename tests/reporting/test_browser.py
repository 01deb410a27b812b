"""The report as a browser shows it: in both themes, on a phone, on paper. tests/test_report.py asks the same pages without one."""

import json
import shutil

import pytest

from pipelines import layout
from pipelines.artifacts.scores import Scores, columns
from pipelines.method import Run
from pipelines.reporting.report import report
from tests import browser
from tests.reporting.test_report import let_pass, stage, whole  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]
WORDS = [("boat", 0, 0), ("boathouse", 9, 0), ("barn", 0, 9), ("</script><b>", 9, 9)]


@pytest.fixture(scope="module")
def seen(whole, tmp_path_factory):  # noqa: F811
    """(a page of a browser that has opened the report, its address)"""
    root = tmp_path_factory.mktemp("shown") / "root"
    shutil.copytree(whole, root)
    dag = json.loads((root / "dvc.yaml").read_text())
    dag["stages"]["evaluate-tsne"] = stage("evaluate", "tsne", ["vectors/glove"])
    (root / "dvc.yaml").write_text(json.dumps(dag))
    with Run(root / layout.artifact("scores", "tsne")).open(Scores) as out:
        out.append(**columns([{"of": "vectors/glove", "metric": "overlap", "on": "vocab", "value": 0.5, "n": 4}]))
        placed = [
            {"of": of, "word": word, "x": x, "y": y, "kept": 0.9, "agreed": 0.4}
            for of in ("vectors/glove", "vectors/other")
            for word, x, y in WORDS
        ]
        out.csv("tsne", placed)
    let_pass(root, "scores", "tsne")
    report(root)
    with browser.page(tmp_path_factory.mktemp("browser")) as page:
        page.look(1280, 900)
        page.open((root / "report.html").as_uri())
        yield page, (root / "report.html").as_uri()
        assert page.said == []


def test_a_click_on_a_head_sorts_by_value_and_a_second_one_turns_it_round(seen):
    page, _ = seen
    table = "[...document.querySelectorAll('.bake')][0]"
    column = f"[...{table}.rows].slice(1).map(row => Number(row.cells[1].dataset.v))"
    assert page.ask(column) == [0.8, 0.6]
    page.ask(f"{table}.rows[0].cells[1].click()")
    assert page.ask(column) == [0.6, 0.8]
    assert page.ask(f"{table}.rows[0].cells[1].ariaSort") == "ascending"
    page.ask(f"{table}.rows[0].cells[1].click()")
    assert page.ask(column) == [0.8, 0.6]
    page.ask(f"{table}.rows[0].cells[0].dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}}))")
    assert page.ask(f"[...{table}.rows].slice(1).map(row => row.cells[0].querySelector('b').textContent)") == ["lstm", "tfidf"]


@pytest.mark.parametrize(
    ("asked", "found", "told"),
    [("boat", ["boat", "boat"], "found: 1, 1"), ("OATH", ["boathouse"] * 2, "found: 1, 1"), ("zebra", [], "not among the words that are drawn"),
     ("<b>", ["</script><b>"] * 2, "found: 1, 1"), ("", [], "")],
)  # fmt: skip
def test_a_word_is_found_on_the_maps(seen, asked, found, told):
    page, _ = seen
    page.ask(
        f"(() => {{ const it = document.querySelector('.find input'); it.value = {asked!r}; it.dispatchEvent(new Event('input')) }})()"
    )
    assert page.ask("[...document.querySelectorAll('svg.map .found')].map(it => it.textContent)") == found
    assert page.ask("document.querySelector('.find output').textContent") == told
    assert page.ask("document.querySelectorAll('svg.map .ring').length") == len(found)


def test_a_pointer_is_told_what_lies_under_it(seen):
    page, _ = seen
    page.ask("document.querySelector('svg.map').scrollIntoView({block: 'center', behavior: 'instant'})")
    at = page.ask(
        "(() => { const box = document.querySelector('svg.map').getBoundingClientRect(); return [box.left + 14 * box.width / 560, box.top + 14 * box.width / 560] })()"
    )
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
    page.wait("document.querySelector('#tip').textContent.startsWith('boat')")
    assert page.ask("document.querySelector('#tip').textContent").splitlines() == [
        "boat",
        "90 % of its nearest words are near it here",
        "40 % in the other pictures, too",
    ]
    page.ask("document.querySelector('svg.graph .box').scrollIntoView({block: 'center', behavior: 'instant'})")
    box = page.ask(
        "(() => { const box = document.querySelector('svg.graph .frame').getBoundingClientRect(); return [box.left + 9, box.top + 9] })()"
    )
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    page.wait("document.querySelector('#tip').textContent.startsWith('ingest/news: csv')")


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_paper_follow_the_theme_and_can_be_read(seen, dark):
    page, address = seen
    page.look(1280, 900, dark)
    page.open(address)
    ink, paper = (
        page.ask(f"getComputedStyle(document.body).{name}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)")
        for name in ("color", "backgroundColor")
    )
    assert (paper < 150 < 600 < ink) if dark else (ink < 150 < 600 < paper)
    page.look(1280, 900)


def test_a_phone_shows_it_without_scrolling_sideways(seen):
    page, address = seen
    page.look(390, 844)
    page.open(address)
    assert page.ask("document.documentElement.scrollWidth") == 390
    page.look(1280, 900)


def test_what_is_wider_than_a_phone_is_shaded_at_the_side_where_it_goes_on(seen):
    page, address = seen
    page.look(390, 844)
    page.open(address)
    wide = "[...document.querySelectorAll('.card.scroll')].filter(it => it.scrollWidth > it.clientWidth)"
    assert page.ask(f"{wide}.length") > 0
    # two covers that move with the content, over two shades that do not
    assert page.ask(f"{wide}.every(it => getComputedStyle(it).backgroundAttachment.startsWith('local, local, scroll, scroll'))")
    page.look(1280, 900)


def test_paper_has_dark_ink_in_the_dark_too(seen):
    page, address = seen
    page.look(740, 900, True)
    page.send("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.open(address)
    assert page.ask("getComputedStyle(document.body).color") == "rgb(29, 36, 48)"
    assert page.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    page.send("Emulation.setEmulatedMedia", media="", features=[])
    page.look(1280, 900)


def test_what_labels_and_words_say_is_never_run(seen):
    page, _ = seen
    assert page.ask("document.scripts.length") == 1
    assert page.ask(
        "document.querySelectorAll('td b').length > 0 && ![...document.querySelectorAll('td b')].some(it => it.textContent === '')"
    )

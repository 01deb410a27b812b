"""Articles of a MediaWiki dump."""

import bz2
import gzip

import pytest

from pipelines import layout
from pipelines.errors import Fault
from pipelines.ingest import mediawiki
from pipelines.ingest.mediawiki import Params, ingest, sources
from pipelines.method import Run
from tests.dumps import dump, page

SNOW = (
    "'''Snow''' is [[water|frozen water]] that falls from the clouds.{{cite|a}} Fresh snow sends back nine tenths of the light.\n\n"
    "== Melting ==\nIn spring the snow of the hills turns to water again.\n== References ==\nSomebody wrote a book about snow and about its melting once.\n"
)
RAIN = "Rain is water that falls from the clouds in drops.\n* short entry\n"
WIKI = dump(page("Snow", SNOW), page("Talk:Snow", "Is this really so, asked one of the writers?", "1"), page("Sleet", "#REDIRECT [[Rain]]"), page("Rain", RAIN))  # fmt: skip

FIRST = "Snow is frozen water that falls from the clouds. Fresh snow sends back nine tenths of the light."
SECOND = "In spring the snow of the hills turns to water again."
THIRD = "Rain is water that falls from the clouds in drops."


def corpus_of(tmp_path, content=WIKI, name="wiki.xml", threads=1, **knobs):
    source = tmp_path / name
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / f"out-{threads}", seed=1, threads=threads))


def texts(corpus):
    return {row["doc_id"]: row["text"] for row in corpus.read().to_pylist()}


def test_a_document_is_an_article_without_markup_named_by_its_title(tmp_path):
    rows = corpus_of(tmp_path).read().to_pylist()
    assert rows == [
        {"doc_id": "Snow", "text": f"{FIRST}\n{SECOND}", "label": None, "split": "unlabelled", "group": "Snow"},
        {"doc_id": "Rain", "text": THIRD, "label": None, "split": "unlabelled", "group": "Rain"},
    ]


def test_a_document_is_a_paragraph_or_some_sentences_where_the_row_says_so(tmp_path):
    assert texts(corpus_of(tmp_path, unit="paragraph")) == {"Snow/0000": FIRST, "Snow/0001": SECOND, "Rain/0000": THIRD}
    parts = FIRST.partition(". ")
    assert texts(corpus_of(tmp_path, unit="sentences", sentences=2)) == {"Snow/0000": FIRST, "Snow/0001": SECOND, "Rain/0000": THIRD}
    assert texts(corpus_of(tmp_path, unit="sentences", sentences=1))["Snow/0001"] == parts[2]


def test_all_lines_are_kept_where_prose_is_not_asked_for(tmp_path):
    lines = texts(corpus_of(tmp_path, prose=False))["Snow"].split("\n")
    assert lines[-2:] == ["== References ==", "Somebody wrote a book about snow and about its melting once."]
    assert "* short entry" in texts(corpus_of(tmp_path, prose=False))["Rain"]


@pytest.mark.parametrize(("ending", "pack"), [(".xml.bz2", bz2.compress), (".xml.gz", gzip.compress)])
def test_a_compressed_dump_gives_what_the_plain_one_gives(tmp_path, ending, pack):
    assert texts(corpus_of(tmp_path, pack(WIKI.encode()), f"wiki{ending}")) == texts(corpus_of(tmp_path))


def test_labels_come_from_a_table_of_titles(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("id,label\nSnow,cold\n")
    rows = corpus_of(tmp_path, unit="paragraph", labels=str(table), valid_share=0.0, test_share=0.0).read().to_pylist()
    assert [(row["label"], row["split"]) for row in rows] == [("cold", "train"), ("cold", "train"), (None, "unlabelled")]
    assert sources(Params(labels=str(table))) == ["pages-articles.xml.bz2", str(table)]


def test_what_is_left_out_is_counted_and_what_has_no_text_is_rejected(tmp_path):
    (tmp_path / "wiki.xml").write_text(dump(page("Empty", "{{stub}}"), page("Rain", RAIN), page("Rain", RAIN), page("Talk:Rain", "x", "1")))
    corpus = ingest(Params(source=str(tmp_path / "wiki.xml")), Run(tmp_path / "out"))
    assert [(row["where"], row["reason"], row["excerpt"]) for row in corpus.read("rejects").to_pylist()] == [
        ("wiki.xml: page 1 (Empty)", "has no text left without its markup", "{{stub}}"),
        ("wiki.xml: page 3 (Rain)", "has an id that stands before", THIRD),
    ]
    assert corpus.read("cleaning").to_pylist() == [{"step": "not_an_article", "split": "unlabelled", "n_documents": 1}]


@pytest.mark.slow
@pytest.mark.quick_slow
def test_any_number_of_processes_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(mediawiki, "PIECE", 2000)
    monkeypatch.setattr(mediawiki, "ALONE", 3)
    wiki = dump(*(page(f"Snow {i}", SNOW * (1 + i % 3)) for i in range(40)), page("Empty", "{{stub}}"))
    one, two = (corpus_of(tmp_path, wiki, threads=threads, unit="paragraph") for threads in (1, 2))
    assert one.n_rows("rejects") == 1
    assert layout.hash_path(one.folder) == layout.hash_path(two.folder)


# what is no dump; the rest in tests/test_wiki.py


def test_a_dump_that_is_cut_is_a_fault_that_names_the_last_page_read(tmp_path):
    with pytest.raises(Fault, match=r"wiki.xml is not a whole dump: .*the last page read is 'Snow', number 1"):
        corpus_of(tmp_path, WIKI[: WIKI.index("Is this really")])


def test_a_dump_without_an_article_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="the source has no document"):
        corpus_of(tmp_path, dump(page("A", "#REDIRECT [[B]]")))


def test_entities_are_not_unfolded(tmp_path):
    with pytest.raises(Fault, match="declares a document type"):
        corpus_of(tmp_path, '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + WIKI.replace("light", "&a;"))

"""MediaWiki dumps as streams of pages, and the prose in their markup."""

import bz2
import gzip
import io
import tracemalloc

import pytest

from pipelines import wiki
from pipelines.errors import Fault
from pipelines.sources import opened
from pipelines.wiki import Page, pages, passages, plain, prose, split_sentences
from tests.dumps import dump, page


def pages_of(xml):
    return list(pages(io.BytesIO(xml.encode()), "own.xml"))


# the dump


def test_a_page_has_its_title_its_markup_and_whether_it_is_an_article():
    found = pages_of(
        dump(page("A", "Text &amp; more."), page("Talk:A", "Talk.", "1"), page("B", "#REDIRECT [[A]]"), page("C", " "), page("D", "x"))
    )
    assert found == [
        Page("A", "Text & more.", True),
        Page("Talk:A", "Talk.", False),
        Page("B", "#REDIRECT [[A]]", False),
        Page("C", " ", False),
        Page("D", "x", True),
    ]


def test_a_redirect_is_known_by_its_element_in_a_wiki_of_another_language():
    assert [it.is_article for it in pages_of(dump(page("B", "#WEITERLEITUNG [[A]]", more='<redirect title="A"/>')))] == [False]


def test_of_several_revisions_the_last_counts():
    xml = dump(page("A", "Old.").replace("</page>", "<revision><text>New.</text></revision></page>"))
    assert pages_of(xml) == [Page("A", "New.", True)]


def test_a_stream_is_read_a_page_at_a_time(tmp_path):
    path = tmp_path / "dump.xml.gz"
    many = [page(f"A{i}", "Text of the article. " * 2000) for i in range(500)]
    path.write_bytes(gzip.compress(dump(*many).encode()))
    del many
    tracemalloc.start()
    with opened(path) as stream:
        n = sum(len(it.markup) for it in pages(stream, "dump"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 500 * 42_000
    assert peak < 8_000_000  # bytes, of 21 million


# what is no dump


def test_a_dump_that_declares_entities_is_refused_before_one_is_unfolded():
    bomb = '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>' + dump(page("A", "&b;"))
    with pytest.raises(Fault, match=r"own.xml declares a document type.*no page was read"):
        pages_of(bomb)


def test_a_dump_that_refers_to_an_entity_that_is_none_is_a_fault():
    with pytest.raises(Fault, match=r"own.xml is not a whole dump: undefined entity.*the last page read is 'A', number 1"):
        pages_of(dump(page("A", "x")).replace("</mediawiki>", page("B", "&lol;") + "</mediawiki>"))


def test_a_dump_that_ends_early_is_a_fault_that_names_the_last_page(tmp_path):
    xml = dump(*(page(f"A{i}", f"Text {i}.") for i in range(5)))
    with pytest.raises(Fault, match=r"own.xml is not a whole dump: .*; the last page read is 'A3', number 4\. Fetch it again"):
        pages_of(xml[: xml.index("Text 4")])


def test_a_dump_whose_compressed_stream_is_cut_is_a_fault_that_names_the_last_page(tmp_path):
    path = tmp_path / "dump.xml.bz2"
    # two streams one after the other, as in the dumps of several: the second is cut
    xml = dump(*(page(f"A{i}", " ".join(str(i * j) for j in range(9000))) for i in range(50))).encode()
    half = xml.index(b"<page><title>A30<")
    path.write_bytes(bz2.compress(xml[:half]) + bz2.compress(xml[half:])[:-20])
    with (
        opened(path) as stream,
        pytest.raises(Fault, match=r"dump.xml.bz2 is not a whole bz2 file.*\(the last page read is 'A\d+', number \d+\)"),
    ):
        list(pages(stream, str(path)))


@pytest.mark.parametrize("xml", ["<html><page/></html>", '<mediawiki xmlns="http://example.org/"/>', "<mediawiki/>"])
def test_another_kind_of_xml_is_refused(xml):
    with pytest.raises(Fault, match="own.xml begins with <(html|mediawiki)>; a dump of MediaWiki begins with"):
        pages_of(xml)


@pytest.mark.parametrize("text", ["", "Just a text.", "\0"])
def test_what_is_no_xml_is_a_fault(text):
    with pytest.raises(Fault, match="own.xml is not a whole dump: .*no page was read"):
        pages_of(text)


def test_a_page_of_no_sane_length_is_a_fault(monkeypatch):
    monkeypatch.setattr(wiki, "LARGEST_PAGE", 1000)
    with pytest.raises(Fault, match=r"page 'B' has more than 1,000 characters\. Take it out \(the last page read is 'A', number 1\)"):
        pages_of(dump(page("A", "x" * 900), page("B", "x" * 1001)))


# the markup


def test_markup_is_stripped_and_what_it_is_about_stays():
    text = plain("'''Albedo''' is a [[measure (physics)|measure]] of [[light]]<ref>Somebody, 1999.</ref>{{cite|x}}.")
    assert prose(text + " It has eight words.") == ["Albedo is a measure of light. It has eight words."]


def test_prose_is_whole_sentences_without_headings_captions_tables_and_appendices():
    text = """
'''Albedo''' () is a ''measure'' of how much light a surface sends back .
== Water ==
File:sea.jpg|The sea as it is seen from the harbour of the town.
A caption with no full stop at its end is left out
* A list's entry that is a sentence of enough words is kept.
* Short entry.
, the albedo of the whole earth was a third of the light.
| a table's cell | another cell of the same table. |
== References ==
* Somebody (1999). A book about the albedo of snow and of ice.
=== Sources ===
Another line of the appendix, which is long enough to be a sentence.
== Snow ==
Fresh snow (from ''{snǣw}'' , ) sends back nine tenths of what it gets.
""".replace("{snǣw}", "snaw")
    assert prose(text) == [
        "Albedo is a measure of how much light a surface sends back.",
        "A list's entry that is a sentence of enough words is kept.",
        "the albedo of the whole earth was a third of the light.",
        "Fresh snow (from snaw) sends back nine tenths of what it gets.",
    ]


def test_a_sentence_does_not_end_after_an_initial_or_an_abbreviation():
    text = "J. R. Smith met Dr. Jones in St. Louis. It rained (i.e. Poured?) all day! “Did it?” Yes. In 3.5 hours, e.g. Monday's, Roe v. Wade fell."
    assert split_sentences(text) == [
        "J. R. Smith met Dr. Jones in St. Louis.",
        "It rained (i.e. Poured?) all day!",
        "“Did it?”",
        "Yes.",
        "In 3.5 hours, e.g. Monday's, Roe v. Wade fell.",
    ]


def test_a_passage_is_n_sentences_and_the_last_has_the_rest():
    assert passages(["One. Two.", "Three. Four. Five."], 2) == ["One. Two.", "Three. Four.", "Five."]

"""Sequences from FASTA files."""

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines import layout
from pipelines.errors import Fault
from pipelines.ingest.dna import Params, ingest, sources, windows
from pipelines.method import Run

TWO = ">s1 kind=gene of something\nACGTAC\nGTNN\n\n>s2 kind=exon\nacgtTTGGA\n"


def corpus_of(tmp_path, content, name="own.fasta", **knobs):
    source = tmp_path / name
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / "out", seed=1))


def texts(corpus):
    return {row["doc_id"]: row["text"] for row in corpus.read().to_pylist()}


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_a_document_is_a_sequence_named_by_the_first_word_of_its_header(tmp_path):
    corpus = corpus_of(tmp_path, TWO)
    assert texts(corpus) == {"s1": "ACGTACGTNN", "s2": "ACGTTTGGA"}
    assert [(row["group"], row["label"], row["split"]) for row in corpus.read().to_pylist()] == [
        ("s1", None, "unlabelled"),
        ("s2", None, "unlabelled"),
    ]


def test_a_window_is_named_by_its_first_and_last_base_and_the_last_one_has_what_is_left(tmp_path):
    assert texts(corpus_of(tmp_path, TWO, length=4)) == {
        "s1:1-4": "ACGT", "s1:5-8": "ACGT", "s1:9-10": "NN", "s2:1-4": "ACGT", "s2:5-8": "TTGG", "s2:9-9": "A",
    }  # fmt: skip


def test_windows_overlap_where_the_step_is_shorter(tmp_path):
    assert texts(corpus_of(tmp_path, ">a\nACGTTGCA\n", length=4, step=2)) == {"a:1-4": "ACGT", "a:3-6": "GTTG", "a:5-8": "TGCA"}


@given(st.text("ACGT", max_size=60), st.integers(1, 20), st.data())
def test_windows_are_the_same_however_the_lines_are_broken_and_cover_each_base(sequence, length, data):
    step = data.draw(st.integers(1, length))
    width = data.draw(st.integers(1, 70))
    lines = [sequence[i : i + width].encode() for i in range(0, len(sequence), width)]
    found = list(windows(lines, length, step))
    n = len(sequence)
    assert found == [(i, sequence[i : i + length].encode()) for i in range(0, max(n - length + step, 1), step)]
    assert {at for start, window in found for at in range(start, start + len(window))} == set(range(n))


def test_soft_masking_is_kept_where_the_row_says_so(tmp_path):
    assert texts(corpus_of(tmp_path, TWO, case="keep"))["s2"] == "acgtTTGGA"


def test_the_other_strand_is_read_backwards_with_each_base_for_its_partner(tmp_path):
    # the partners of IUPAC's letters: Cornish-Bowden 1985, table 1
    corpus = corpus_of(tmp_path, ">a\nAACgtN\n>b\nRYSWKMBDHV\n", alphabet="IUPAC", case="keep", reverse_complement=True)
    assert texts(corpus) == {"a": "AACgtN", "a/rc": "NacGTT", "b": "RYSWKMBDHV", "b/rc": "BDHVKMWSRY"}


def test_the_other_strand_of_rna_is_rna(tmp_path):
    corpus = corpus_of(tmp_path, ">a\nAACguN\n>b\nACGT\n", alphabet="ACGUN", case="keep", reverse_complement=True)
    assert texts(corpus) == {"a": "AACguN", "a/rc": "NacGUU"}
    assert rejects(corpus) == [("own.fasta: line 3, b", "has 1 letters that are none of ACGUN, first 'T' at base 4")]


def test_the_other_strand_of_the_other_strand_is_the_first(tmp_path):
    there = texts(corpus_of(tmp_path, ">a\nACCGTTAGRYN\n", alphabet="IUPAC", reverse_complement=True))["a/rc"]
    back = texts(corpus_of(tmp_path, f">b\n{there}\n", alphabet="IUPAC", reverse_complement=True))["b/rc"]
    assert (there, back) == ("NRYCTAACGGT", "ACCGTTAGRYN")


def test_labels_come_from_the_header_or_from_a_table(tmp_path):
    rows = corpus_of(tmp_path, TWO, label_pattern=r"kind=(\w+)", valid_share=0.0, test_share=0.0).read().to_pylist()
    assert [(row["label"], row["split"]) for row in rows] == [("gene", "train"), ("exon", "train")]
    table = tmp_path / "labels.tsv"
    table.write_text("id\tlabel\ns2\tyes\nother\tno\n")
    rows = corpus_of(tmp_path, TWO, labels=str(table), valid_share=0.0, test_share=0.0).read().to_pylist()
    assert [(row["label"], row["split"]) for row in rows] == [(None, "unlabelled"), ("yes", "train")]


def test_windows_and_strands_of_a_sequence_are_in_one_split(tmp_path):
    rng = random.Random(0)
    text = "".join(f">s{i} {'ab'[i % 2]}\n{''.join(rng.choices('ACGT', k=50))}\n" for i in range(40))
    frame = corpus_of(tmp_path, text, length=20, step=10, reverse_complement=True, label_pattern=" (.)").read().to_pandas()
    assert len(frame) == 40 * 4 * 2
    assert set(frame["split"]) == {"train", "valid", "test"}
    assert (frame.groupby("group")["split"].nunique() == 1).all()


def test_a_gz_file_and_a_folder_of_files_give_the_sequences_of_each(tmp_path):
    folder = tmp_path / "genome"
    folder.mkdir()
    (folder / "b.fa").write_text(">b\nAC\n")
    (folder / "a.fna.gz").write_bytes(gzip.compress(b">a\r\nGT\r\nTT\r\n"))
    (folder / "readme.txt").write_text("no FASTA")
    assert texts(ingest(Params(source=str(folder)), Run(tmp_path / "out", seed=1))) == {"a": "GTTT", "b": "AC"}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    (tmp_path / "two").mkdir()
    one, two = (corpus_of(folder, TWO, length=3) for folder in (tmp_path, tmp_path / "two"))
    assert layout.hash_path(one.folder) == layout.hash_path(two.folder)


# what is no DNA


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ACGT\n", r"own.fasta: line 1 is 'ACGT'; FASTA begins with a header, such as '>name'"),
        ("\n\n@read\nACGT\n+\nIIII\n", r"line 3 is '@read'.*This is FASTQ: convert it"),
        ("", r"line 1 is ''"),
        (">a\n>b\n", r"the source has no document; 2 of its records were rejected, the first own.fasta: line 1: has no sequence"),
    ],
)
def test_a_file_that_holds_no_sequence_is_named_with_the_line(tmp_path, content, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, content)


def test_what_is_no_sequence_is_rejected_with_its_line_and_the_others_are_kept(tmp_path):
    corpus = corpus_of(tmp_path, ">a x\nACGT\n>b\n>\nAC\n> \nAC\n>a y\nTT\n>c\nACGU\n>d\nMKLV\n>e\nAC-GT\n>f\nGG\n")
    assert texts(corpus) == {"a": "ACGT", "f": "GG"}
    assert rejects(corpus) == [
        ("own.fasta: line 3", "has no sequence after its header"),
        ("own.fasta: line 4", "has a header without a name"),
        ("own.fasta: line 6", "has a header without a name"),
        ("own.fasta: line 8", "is named a, as one before it"),
        ("own.fasta: line 10, c", "has 1 letters that are none of ACGTN, first 'U' at base 4"),
        ("own.fasta: line 12, d", "has 4 letters that are none of ACGTN, first 'M' at base 1; proteins have such"),
        ("own.fasta: line 14, e", "has 1 letters that are none of ACGTN, first '-' at base 3"),
    ]


def test_an_unknown_base_costs_its_window_and_not_the_sequence(tmp_path):
    corpus = corpus_of(tmp_path, ">a\nACGTAC?TACGT\n", length=4)
    assert texts(corpus) == {"a:1-4": "ACGT", "a:9-12": "ACGT"}
    assert rejects(corpus) == [("own.fasta: line 1, a:5-8", "has 1 letters that are none of ACGTN, first '?' at base 7")]


def test_unknown_bases_are_kept_where_the_row_says_so(tmp_path):
    assert texts(corpus_of(tmp_path, ">a\nACXGU\n", unknown_bases="keep", reverse_complement=True)) == {"a": "ACXGU", "a/rc": "ACXGT"}


def test_bytes_that_are_no_letters_are_shown_and_not_guessed(tmp_path):
    corpus = corpus_of(tmp_path, b">a\nAC\xffGT\n>b\nAC\n")
    assert rejects(corpus) == [("own.fasta: line 1, a", r"has 1 letters that are none of ACGTN, first '\\xff' at base 3")]


def test_a_gz_file_that_is_cut_is_a_fault(tmp_path):
    text = ">a\n" + "".join(random.Random(1).choices("ACGT", k=5000)) + "\n"
    with pytest.raises(Fault, match=r"own.fa.gz is not a whole gz file"):
        corpus_of(tmp_path, gzip.compress(text.encode())[:-100], name="own.fa.gz")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 5, "step": 6}, "a greater step would leave bases out"),
        ({"step": 1}, "a greater step would leave bases out"),
        ({"label_pattern": "kind"}, "must have one group"),
        ({"label_pattern": "("}, "must be a regular expression"),
        ({"label_pattern": "(a)", "labels": "b"}, "Name one"),
    ],
)
def test_knobs_that_contradict_each_other_are_refused(knobs, message):
    with pytest.raises(ValidationError, match=message):
        Params(**knobs)


def test_a_table_of_labels_is_tracked_like_the_source():
    assert sources(Params(source=["a.fa", "data:b.fa"], labels="c.tsv")) == ["a.fa", "c.tsv"]


def test_rejects_are_counted_against_the_windows_that_were_read(tmp_path):
    corpus = corpus_of(tmp_path, ">a\nACGTACGTAXGT\n>a\nACGT\n", length=4, reverse_complement=True)
    assert len(texts(corpus)) == 4  # two windows, two strands
    assert len(rejects(corpus)) == 2  # a window, and a sequence whose name was there
    assert corpus.read("cleaning").to_pylist() == [{"step": "records", "split": "unlabelled", "n_documents": 4}]

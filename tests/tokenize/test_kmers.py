"""Stretches of DNA."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines import layout
from pipelines.errors import Fault
from pipelines.tokenize import kmers
from pipelines.tokenize.kmers import Params, spans, spell
from tests.tokenize.forms import read, tokens_of, vocab_of

LONG = "".join(np.random.default_rng(0).choice(list("ACGT"), 20_000))


def test_k_mers_of_one_length_slide_by_stride(tmp_path):
    assert read(tokens_of(kmers, tmp_path, ["acgtA"], k_min=3, k_max=3)) == [["ACG", "CGT", "GTA"]]
    assert read(tokens_of(kmers, tmp_path, ["ACGTACG"], name="two", k_min=3, k_max=3, stride=2)) == [["ACG", "GTA", "ACG"]]


def test_a_stride_of_0_lays_them_end_to_end(tmp_path):
    assert read(tokens_of(kmers, tmp_path, ["ACGTACGT"], k_min=3, k_max=3, stride=0)) == [["ACG", "TAC"]]
    drawn = read(tokens_of(kmers, tmp_path, [LONG], name="drawn", stride=0))[0]
    assert LONG.startswith("".join(drawn))
    assert len(LONG) - len("".join(drawn)) < 8


def test_lengths_are_drawn_evenly_from_k_min_to_k_max_and_one_starts_at_each_base(tmp_path):
    found = read(tokens_of(kmers, tmp_path, [LONG], k_min=3, k_max=6))[0]
    assert len(found) == len(LONG) - 6 + 1  # as in dna2vec: where the longest fits in
    assert all(LONG.startswith(kmer, start) for start, kmer in enumerate(found))
    shares = np.bincount([len(kmer) for kmer in found]) / len(found)
    assert shares[3:].tolist() == pytest.approx([0.25] * 4, abs=0.02)  # 0.003 is one standard deviation


def test_the_seed_decides_the_lengths_and_the_place_of_a_sequence_does_not(tmp_path):
    texts = [LONG[:300], LONG[300:600]]
    one, again, other = (tokens_of(kmers, tmp_path, texts, seed=seed, name=name) for seed, name in ((1, "a"), (1, "b"), (2, "c")))
    assert layout.hash_path(one.folder) == layout.hash_path(again.folder)
    assert read(one) != read(other)
    assert read(tokens_of(kmers, tmp_path, texts[::-1], name="d")) == read(one)[::-1]


def test_a_canonical_k_mer_stands_for_its_reverse_complement(tmp_path):
    # AAC and GTT are each other's reverse complement; ACG's is CGT
    tokens = tokens_of(kmers, tmp_path, ["AACGTT"], k_min=3, k_max=3, canonical=True)
    assert read(tokens) == [["AAC", "ACG", "ACG", "AAC"]]
    assert vocab_of(tokens) == [("<unk>", 0), ("AAC", 2), ("ACG", 2)]


@given(st.text(st.sampled_from("ACGT"), min_size=1))
def test_both_strands_are_spelled_alike(sequence):
    params, other = Params(canonical=True), sequence.translate(kmers.COMPLEMENTS["ACGT"])[::-1]
    assert spell(sequence, params) == spell(other, params) in (sequence, other)


def test_k_mers_over_an_unknown_base_are_dropped_or_become_unknown(tmp_path):
    texts = ["ACGNACG", "NNNN"]
    dropped = tokens_of(kmers, tmp_path, texts, k_min=3, k_max=3)
    assert read(dropped) == [["ACG", "ACG"], []]
    assert vocab_of(dropped) == [("<unk>", 0), ("ACG", 2)]
    unknown = tokens_of(kmers, tmp_path, texts, name="unknown", k_min=3, k_max=3, unknown_bases="unknown")
    assert read(unknown) == [["ACG", *["<unk>"] * 3, "ACG"], ["<unk>"] * 2]
    assert vocab_of(unknown) == [("<unk>", 5), ("ACG", 2)]


def test_rna_and_proteins_have_their_own_alphabets(tmp_path):
    assert read(tokens_of(kmers, tmp_path, ["GUU"], k_min=3, k_max=3, alphabet="ACGU", canonical=True)) == [["AAC"]]
    assert read(tokens_of(kmers, tmp_path, ["MKVL"], name="p", k_min=3, k_max=3, alphabet="ACDEFGHIKLMNPQRSTVWY")) == [["MKV", "KVL"]]


def test_a_sequence_shorter_than_k_has_none_and_if_all_are_k_max_is_named(tmp_path):
    tokens = tokens_of(kmers, tmp_path, ["ACGT", "AC"], k_min=3, k_max=3)
    assert tokens.profile()["n_tokens"].tolist() == [2, 0]
    with pytest.raises(Fault, match="have no k-mer; a vocabulary needs one. Change k_max, which is 9, alphabet or vocab_splits"):
        tokens_of(kmers, tmp_path, ["ACGT"], name="none", k_min=9, k_max=9)


def test_spans_of_a_long_sequence_do_not_depend_on_how_many_lengths_are_drawn_at_a_time(monkeypatch):
    whole = list(spans(5000, Params(), np.random.default_rng(0)))
    monkeypatch.setattr(kmers, "DRAWS", 7)
    assert len(whole) == 4993
    assert list(spans(5000, Params(), np.random.default_rng(0))) == whole


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"k_min": 9}, "k_min is 9 and k_max 8; k_min must not be above k_max"),
        ({"alphabet": "acgt"}, "alphabet is 'acgt'; write it in capitals"),
        ({"alphabet": "ACDE", "canonical": True}, "'ACDE' has no complements"),
    ],
)
def test_knobs_that_do_not_fit_together_are_refused_before_anything_runs(knobs, message):
    with pytest.raises(ValidationError, match=message):
        Params(**knobs)

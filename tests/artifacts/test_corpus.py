"""Documents as they came in: what the gate is shown of them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.artifacts.corpus import PROFILE, RECORDS, SPLITS, Corpus, normalised
from pipelines.expect import sentences, validate
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing

GOOD = {"doc_id": "a", "text": "Some text.", "label": "x", "split": "train", "group": None}


def corpus_of(tmp_path, *documents):
    return corpus_with(tmp_path, [], *documents)


def corpus_with(tmp_path, rejects, *documents):
    with Run(tmp_path / "own").open(Corpus) as out:
        rows = [{**GOOD, **document} for document in documents]
        out.append(**{name: [row[name] for row in rows] for name in GOOD})
        out.append("rejects", where=rejects, reason=["is empty"] * len(rejects), excerpt=[""] * len(rejects))
    return out.artifact


def reviews(n, split, seed, words=300, length=40, label=lambda i: "xy"[i % 2]):
    """Documents of chance words that are all different."""
    rng = np.random.default_rng(seed)
    letters = str.maketrans("0123456789", "abcdefghij")
    texts = [" ".join(f"w{w:04d}" if w % 7 else "the" for w in rng.integers(0, words, length)).translate(letters) for _ in range(n)]
    return [{"doc_id": f"{split}-{i}", "text": text, "split": split, "label": label(i)} for i, text in enumerate(texts)]


def test_the_length_is_in_characters_without_the_space_around(tmp_path):
    profile = corpus_of(tmp_path, {"text": " naïve \n"}, {"text": ""}, {"text": "\t\u00a0\n"}).profile()
    assert profile["n_characters"].tolist() == [5, 0, 0]


def test_characters_that_no_encoding_could_read_are_counted(tmp_path):
    assert corpus_of(tmp_path, {"text": "a\ufffdb\ufffd"}, {"text": "caf\u00e9"}).profile()["n_replaced"].tolist() == [2, 0]


@pytest.mark.parametrize("split", SPLITS)
def test_a_label_may_be_missing_only_where_the_split_is_unlabelled(tmp_path, split):
    missing = corpus_of(tmp_path, {"split": split, "label": None}, {"split": split}).profile()["label_missing"]
    assert missing.tolist() == [split != "unlabelled", False]


def test_a_corpus_of_no_documents_has_a_profile_of_no_rows(tmp_path):
    profile = corpus_of(tmp_path).profile()
    assert list(profile.columns) == PROFILE
    assert len(profile) == 0


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(corpus_of(tmp_path, {}))


def test_the_gate_names_each_document_that_is_not_as_it_must_be(tmp_path):
    corpus = corpus_of(
        tmp_path,
        {"doc_id": "good"},
        {"doc_id": "empty", "text": "  "},
        {"doc_id": "garbled", "text": "caf\ufffd was what the sign said"},
        {"doc_id": "bare", "label": None, "text": "Another."},
        {"doc_id": "lost", "split": "dev", "text": "A third."},
        {"doc_id": "double", "text": "The fourth."},
        {"doc_id": "double", "text": "The fifth."},
    )
    results, _ = validate(corpus)
    failed = {result["column"]: result for result in results if not result["success"] and result["severity"] == "fail"}
    named = {column: sorted({example["doc_id"] for example in result["examples"]}) for column, result in failed.items()}
    assert named == {
        "doc_id": ["double"],
        "split": ["lost"],
        "n_characters": ["empty"],
        "n_replaced": ["garbled"],
        "label_missing": ["bare"],
    }
    assert '"doc_id": "empty"' in sentences(failed["n_characters"])[0]


def test_a_good_corpus_passes_without_a_warning(tmp_path):
    documents = [d for i, split in enumerate(SPLITS) for d in reviews(600, split, seed=i)]
    documents[-600:] = [{**d, "label": None} for d in documents[-600:]]
    results, _ = validate(corpus_of(tmp_path, *documents))
    asked = [result for result in results if result["asked"]]
    assert all(result["success"] for result in asked)
    assert {"rejects", "balance", "lengths", "words", "new_words"} <= {result["column"] for result in asked}


@pytest.mark.parametrize(
    ("split", "into"), [("train", "test"), ("unlabelled", "test"), ("valid", "test"), ("train", "valid"), ("unlabelled", "valid")]
)
def test_a_text_that_stands_in_a_held_out_split_closes_the_gate_which_names_both(tmp_path, split, into):
    clean = [{"doc_id": f"{name}-{i}", "text": f"Text {i} of {name}.", "split": name} for name in SPLITS for i in range(5)]
    leak = {"doc_id": "leak", "split": split, "text": f"TEXT 3 -- of {into}!"}
    assert closing(corpus_of(tmp_path / "clean", *clean)) == []
    corpus = corpus_of(tmp_path / "leaked", *clean, leak)
    results = [result for result in validate(corpus)[0] if not result["success"] and result["severity"] == "fail"]
    (example,) = [example for result in results for example in result["examples"]]
    assert (example["doc_id"], example["leaks_into"], example["same_as"]) == ("leak", into, f"{into}-3")
    assert corpus.facts(corpus.profile())["the same text again"] == [
        {
            "documents of": split, "that stand in": into, "documents, as they are": 0, "texts, as they are": 0,
            "documents, normalised": 1, "texts, normalised": 1,
        }
    ]  # fmt: skip
    assert closing(corpus, leaks=0.1) == []
    assert closing(corpus, warn=["leaks"]) == []


def test_a_text_of_test_may_stand_in_valid_too_and_then_it_leaks_into_test(tmp_path):
    text = "The same for all."
    corpus = corpus_of(tmp_path, *({"doc_id": name, "text": text, "split": name} for name in SPLITS))
    profile = corpus.profile().set_index("doc_id")
    assert profile["leaks_into"].to_dict() == {"train": "test", "valid": "test", "test": "no", "unlabelled": "test"}
    assert profile["same_as"]["train"] == "test"


def test_a_text_twice_in_a_split_is_a_warning_that_names_the_first(tmp_path):
    corpus = corpus_of(tmp_path, {"doc_id": "a"}, {"doc_id": "b", "text": "Other."}, {"doc_id": "c", "text": "some TEXT"})
    result = failing(corpus)["duplicate"]
    assert result["severity"] == "warn"
    assert [(e["doc_id"], e["same_as"]) for e in result["examples"]] == [("c", "a")]
    assert closing(corpus, fail=["duplicates"]) == ["duplicate"]
    assert "duplicate" not in failing(corpus, duplicates=0.5)


def test_the_same_text_with_another_label_is_named_with_its_twin(tmp_path):
    corpus = corpus_of(tmp_path, {"doc_id": "a"}, {"doc_id": "b", "label": "y"}, {"doc_id": "c", "text": "Other.", "label": "y"})
    examples = failing(corpus)["other_label"]["examples"]
    assert [(e["doc_id"], e["label"], e["same_as"]) for e in examples] == [("a", "x", "b"), ("b", "y", "a")]


def test_a_label_that_train_does_not_have_closes_the_gate(tmp_path):
    documents = [{"doc_id": "a"}, {"doc_id": "b", "text": "Other.", "split": "test", "label": "new"}]
    corpus = corpus_of(tmp_path / "a", *documents)
    assert closing(corpus) == ["label_unseen"]
    assert failing(corpus)["label_unseen"]["examples"][0]["doc_id"] == "b"
    assert closing(corpus_of(tmp_path / "b", documents[1])) == []  # nothing to train on: not there to learn from


def test_a_class_much_smaller_than_the_others_is_named(tmp_path):
    documents = reviews(100, "train", seed=0, label=lambda i: "rare" if i < 2 else "common")
    result = failing(corpus_of(tmp_path, *documents))["balance"]
    assert (result["observed"], result["examples"][0]) == (0.04, {"label": "rare", "documents": 2})


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("A bell\x07 rings in the text.", "n_control"),
        ("It was read as Latin-1: cafÃ© au lait", "n_mojibake"),
        ("and as Windows-1252, itâ€™s seen", "n_mojibake"),
        ("0101 2234 99187 3345 #### 22", "few_letters"),
    ],
)
def test_a_text_unlike_language_is_a_warning_that_shows_how_it_begins(tmp_path, text, column):
    good = [{"doc_id": f"good {i}", "text": f"A plain sentence, in words, of {i * 'very '}good English. Naïve café."} for i in range(20)]
    result = failing(corpus_of(tmp_path, *good, {"doc_id": "bad", "text": text}))[column]
    assert (result["severity"], [(e["doc_id"], e["excerpt"]) for e in result["examples"]]) == ("warn", [("bad", text[:60])])
    assert column not in failing(corpus_of(tmp_path / "good", *good))


def test_walks_events_and_bases_are_not_asked_for_letters(tmp_path):
    walks = [{"doc_id": f"{i}", "text": f"{i} 34 17 {i * 7} 25 33 21"} for i in range(20)]
    assert "few_letters" in failing(corpus_of(tmp_path / "text", *walks))
    with Run(tmp_path / "walks").open(Corpus) as out:
        rows = [{**GOOD, **walk} for walk in walks]
        out.append(**{name: [row[name] for row in rows] for name in GOOD})
        out.append("cleaning", step=[RECORDS], split=["unlabelled"], n_documents=[78])
    assert "few_letters" not in failing(out.artifact)


def test_documents_that_are_mostly_very_short_are_a_warning(tmp_path):
    corpus = corpus_of(
        tmp_path, *({"doc_id": f"{i}", "text": f"short {i}"} for i in range(9)), {"doc_id": "long", "text": "long enough a text"}
    )
    assert failing(corpus)["n_characters"]["n_failed"] == 9
    assert "n_characters" not in failing(corpus, short_characters=5)
    assert "n_characters" in failing(corpus, short=1.0, longest=17)


def test_too_many_rejects_close_the_gate_which_says_where_they_stood(tmp_path):
    documents = [{"doc_id": f"{i}", "text": f"Text of number {i}."} for i in range(98)]
    rejects = ["reviews.csv, line 7", "reviews.csv, line 9"]
    assert (
        closing(
            corpus_with(
                tmp_path / "one",
                rejects[:1],
                *documents,
                {"doc_id": "x"},
            )
        )
        == []
    )
    result = failing(corpus_with(tmp_path / "two", rejects, *documents))["rejects"]
    assert (result["observed"], result["severity"]) == (0.02, "fail")
    assert result["examples"][1] == {"where": "reviews.csv, line 9", "reason": "is empty", "excerpt": ""}


def test_a_split_of_longer_documents_and_one_of_other_words_are_warnings_that_name_the_split(tmp_path):
    train = reviews(600, "train", seed=0)
    longer = reviews(600, "valid", seed=1, length=80)
    other = [{**d, "text": d["text"].replace("w", "v")} for d in reviews(600, "test", seed=2)]
    failed = failing(corpus_of(tmp_path, *train, *longer, *other))
    worst = {name: failed[name]["examples"] for name in ("lengths", "words", "new_words")}
    assert [line["split"] for line in worst["lengths"] if line["PSI"] > 0.25] == ["valid"]
    assert [line["split"] for line in worst["words"] if line["distance"] > 0.3] == ["test"]
    assert [line["split"] for line in worst["new_words"] if line["share"] > 0.2] == ["test"]
    assert "va" in worst["new_words"][1]["most frequent"]


def test_of_few_documents_nothing_is_said_about_how_they_are_spread(tmp_path):
    corpus = corpus_of(tmp_path, *reviews(50, "train", seed=0), *reviews(50, "test", seed=1, length=500))
    not_asked = {result["column"] for result in validate(corpus)[0] if not result["asked"]}
    assert {"lengths", "words", "new_words"} <= not_asked


@pytest.mark.parametrize(
    "text", ["", " ", "a", " A  b ", "Ä!!b", "x\n\ny,z9", "ﬁ é", "!a", "a!", "日本 語", "á\u0301!á", "٣٤ x²", "Ａ１", "ǅ", "İ"]
)
def test_normalised_is_what_regular_expressions_say(text):
    texts = pa.array([text, None, text + text, "plain"])
    plain = pc.utf8_lower(pc.utf8_normalize(texts, "NFKC"))
    wanted = pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, r"[^\pL\pM\pN]+", " "))
    assert normalised(texts).to_pylist() == wanted.to_pylist()

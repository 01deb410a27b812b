"""A classifier asked of texts: it says what it said when it was trained, and why."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows import __main__ as command
from flows import asking
from pipelines import layout
from pipelines.artifacts.predictions import Predictions, as_label
from pipelines.errors import Fault
from pipelines.use.asking import answers, line, texts, write
from pipelines.use.cutting import Cut
from pipelines.use.predict import Classifier, continued, log_odds
from tests.rows import run_all

PARAMS = """
run: {seed: 1, threads: 1}
ingest:
  tiny: {method: csv, source: SOURCE/notices.csv, id: id, split: split, html: true}
  catch: {method: csv, source: SOURCE/catch.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
  catch: {method: words, corpus: catch, min_count: 2}
  letters: {method: characters, corpus: tiny}
classify:
  lstm: {method: lstm, tokens: words, vector_size: 16, hidden_size: 16, epochs: 12, lr: 0.02, dropout: 0.1}
  tfidf: {method: tfidf_logreg, tokens: words, min_df: 1}
  average: {method: ensemble, predictions: [lstm, calibrated]}
  spelled: {method: tfidf_logreg, tokens: letters, ngrams: 3, min_df: 1}
  both: {method: ensemble, predictions: [calibrated, spelled]}
  calibrated: {method: temperature, predictions: tfidf}
  ridge: {method: tfidf_ridge, tokens: catch, weighting: counts, sublinear: false, normalise: false, ngrams: 1, l2: 0.1}
  gru-number: {method: gru, tokens: catch, target: number, vector_size: 8, hidden_size: 8, epochs: 2}
  attentive: {method: lstm_attention, tokens: words, vector_size: 16, hidden_size: 8, epochs: 2}
  next-word: {method: next_word, tokens: words, vector_size: 16, hidden_size: 16, batch_size: 4, epochs: 20, patience: 20, lr: 0.02}
"""
NOTICES = Path("tests/tiny/notices.csv").absolute()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Not to be written to."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS.replace("SOURCE", str(NOTICES.parent)))
    run_all(root / "params.yaml", root / "rows")
    for noun in ("corpus", "tokens", "predictions"):
        for row in (root / "rows" / noun).iterdir():
            place = root / layout.artifact(noun, row.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(row, place)
    return root


def held_out():
    table = pd.read_csv(NOTICES)
    return table[table["split"] == "valid"]


@pytest.mark.parametrize("row", ["lstm", "tfidf", "calibrated", "average", "both"])
def test_of_a_text_it_says_what_it_said_of_the_document(project, row):
    made = Predictions(project / layout.artifact("predictions", row))
    frame, p = made.frame("valid")
    classifier = Classifier(project, row)
    again = classifier.probabilities(*classifier.cut(held_out()["text"].tolist()))
    assert again == pytest.approx(p, abs=1e-5)
    assert classifier.names(again) == frame["predicted"].tolist()


@pytest.mark.parametrize("row", ["ridge", "gru-number"])
def test_of_a_text_it_says_the_number_that_it_said_of_the_document(project, row):
    frame, _ = Predictions(project / layout.artifact("predictions", row)).frame("valid")
    said = list(answers(project, row, held_out()["text"].tolist()))
    assert [it["number"] for it in said] == pytest.approx(frame["predicted"].astype(float).tolist(), rel=1e-5)
    assert [it["predicted"] for it in said] == [as_label(it["number"]) for it in said]
    assert "probabilities" not in said[0]


def test_what_a_word_is_worth_to_a_number_is_how_much_the_number_falls_without_it(project):
    (found,) = answers(project, "ridge", ["boat horse fish"], explain=True)
    weights = Predictions(project / layout.artifact("predictions", "ridge")).model()[1]
    worth = dict(zip(weights["grams1"].tolist(), weights["coefficients"][0].tolist(), strict=True))
    ids = Classifier(project, "ridge").cutter.cut(["boat horse fish"]).values.tolist()
    assert [figure for _, figure in found["importance"]] == pytest.approx([worth[i] for i in ids], abs=1e-4)
    assert found["importance"][0][1] > 0 > found["importance"][1][1]
    first, second = line(found).splitlines()
    assert first == f"{found['predicted']}  boat horse fish"
    assert second.startswith("  hangs on ")
    (unknown,) = answers(project, "ridge", ["xyzzy"])
    assert line(unknown) == f"{unknown['predicted']}  (1 of 1 tokens are unknown)  xyzzy"


def test_numbers_go_to_a_table(project, tmp_path):
    assert write(answers(project, "ridge", ["boat", "horse"]), tmp_path / "a.parquet") == 2
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["text", "predicted", "number"]
    assert table.column("number").to_pylist() == pytest.approx([it["number"] for it in answers(project, "ridge", ["boat", "horse"])])


def test_nothing_that_it_was_trained_on_is_needed(project, tmp_path):
    bare = shutil.copytree(
        project, tmp_path / "p", ignore=shutil.ignore_patterns("rows", "tokens.parquet", "corpus.parquet", "vocab.parquet")
    )
    assert not list(bare.rglob("tokens.parquet"))
    assert [it["predicted"] for it in answers(bare, "lstm", ["the crew of the boat sees fish"])] == ["sea"]


def test_a_text_is_cleaned_as_the_corpus_was(project):
    plain, marked = answers(project, "tfidf", ["the crew of the boat", "<b>the crew</b><br/>of the boat"])
    assert marked["probabilities"] == plain["probabilities"]
    assert marked["n_tokens"] == plain["n_tokens"] == 5


def test_the_words_of_the_class_are_those_it_hangs_on_and_unknown_ones_are_not(project):
    (found,) = answers(project, "tfidf", ["Xyzzy harbour xyzzy fish"], explain=True)
    assert found["predicted"] == "sea"
    assert found["unknown"] == 2
    importance = dict(found["importance"])
    assert list(importance) == ["Xyzzy", "harbour", "xyzzy", "fish"]
    assert importance["xyzzy"] == 0
    assert min(importance["harbour"], importance["fish"]) > 0


def test_a_row_of_words_and_letters_is_asked_and_neither_explained_nor_asked_for_one_tokenizer(project):
    (answer,) = answers(project, "both", ["the harbour fish"])
    alone = [next(answers(project, row, ["the harbour fish"]))["probabilities"]["sea"] for row in ("calibrated", "spelled")]
    assert answer["probabilities"]["sea"] == pytest.approx(sum(alone) / 2, abs=2e-6)
    with pytest.raises(
        Fault, match="--explain is of one way to cut a text, and classify.both reads tokens/letters, tokens/words. Leave it out"
    ):
        next(answers(project, "both", ["the harbour fish"], explain=True))
    with pytest.raises(Fault, match="classify.both reads 2 rows of tokens, letters, words, and this takes one"):
        Classifier(project, "both").cutter  # noqa: B018


def test_importance_is_in_log_odds_so_that_a_classifier_that_is_certain_still_tells_words_apart(project, monkeypatch):
    classifier = Classifier(project, "tfidf")
    cut = classifier.cutter.cut(["the harbour fish"])
    unknown = [cut.values.copy() for _ in range(3)]
    for i, ids in enumerate(unknown):
        ids[i] = 0
    asked = np.concatenate([*unknown, cut.values])
    p = classifier.probabilities(Cut(asked, np.arange(5) * 3, [])).astype(np.float64)
    odds = np.log(p[:, 1] / p[:, 0])  # sea over farm
    assert classifier.importance(cut, 0) == pytest.approx(odds[3] - odds[:3], abs=1e-4)
    # of words worth 2, 1 and 0 to a classifier whose margin is 40: in probabilities all of them are worth nothing
    margin = np.array([38.0, 39, 40, 40])
    sure = np.stack([np.exp(-margin), 1 / (1 + np.exp(-margin))], axis=1).astype(np.float32)
    assert len(set(sure[:, 1].tolist())) == 1
    monkeypatch.setattr(classifier.model, "probabilities", lambda *_: sure)
    assert classifier.importance(cut, 0) == pytest.approx([2, 1, 0], abs=1e-5)


def test_log_odds_of_classes_that_are_answers_of_their_own_are_finite():
    p = np.float32([[0.5, 0.9], [0.75, 0.9], [1, 0], [0, 1]])
    assert log_odds(p, 0, alone=True)[:3] == pytest.approx([0, np.log(3), 24 * np.log(2)])
    assert np.isfinite(log_odds(p, 0)).all()


def test_attention_is_shown_beside_what_words_are_worth(project):
    (found,) = answers(project, "attentive", ["the crew of the boat sees fish"], explain=True)
    assert [word for word, _ in found["attention"]] == ["the", "crew", "of", "the", "boat", "sees", "fish"]
    assert sum(share for _, share in found["attention"]) == pytest.approx(1, abs=1e-4)


def test_a_language_model_goes_on_with_a_text(project):
    (likeliest,) = continued(project, "next-word", "The horse lies in the", 1, 1, temperature=0, seed=1)
    assert likeliest == "The horse lies in the barn"
    drawn = continued(project, "next-word", "the", 12, 5, temperature=1, seed=1)
    assert len(set(drawn)) > 1
    assert drawn == continued(project, "next-word", "the", 12, 5, temperature=1, seed=1)
    (answer,) = answers(project, "next-word", ["the horse lies in the barn"])
    assert 0 < answer["probability"] <= 1
    with pytest.raises(Fault, match="classify.lstm is made by lstm, and a text is gone on with by next_word"):
        continued(project, "lstm", "the", 1, 1, 0, 1)
    with pytest.raises(Fault, match="--explain is for classes"):
        list(answers(project, "next-word", ["the"], explain=True))


def test_a_text_without_a_token_has_an_answer_too(project):
    for row in ("lstm", "tfidf"):
        (found,) = answers(project, row, [""], explain=True)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert found["importance"] == []


def test_texts_come_from_lines_and_tables(tmp_path):
    table = pa.table({"text": ["a, b", None], "other": [1, 2]})
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text('other,text\n1,"a, b"\n2,\n')
    (tmp_path / "t.tsv").write_text("text\tother\na, b\t1\n\t2\n")
    (tmp_path / "t.jsonl").write_text('{"text": "a, b"}\n{"text": null}\n')
    (tmp_path / "t.txt").write_text("a, b\n\n")
    for name in ("t.parquet", "t.csv", "t.tsv", "t.jsonl", "t.txt"):
        assert list(texts(None, tmp_path / name, "text")) == ["a, b", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"txt,b\n1,2\n", "has no column 'text'; it has txt, b. Did you mean 'txt'"),
        ("t.parquet", b"no Parquet", "cannot be read"),
        ("t.jsonl", b"{broken", "cannot be read"),
        ("t.txt", b"caf\xe9\n", "is not UTF-8"),
        ("none.txt", None, "is no file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Fault, match=message):
        list(texts(None, tmp_path / name, "text"))


def test_answers_go_to_a_table(project, tmp_path):
    asked = held_out()["text"].tolist() * 40  # more than a batch
    assert write(answers(project, "lstm", asked), tmp_path / "a.parquet") == len(asked)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["text", "predicted", "p(farm)", "p(sea)"]
    assert table.column("text").to_pylist() == asked
    p = np.stack([table.column("p(farm)").to_numpy(), table.column("p(sea)").to_numpy()])
    assert p.sum(axis=0) == pytest.approx(1, abs=1e-4)
    with pytest.raises(Fault, match=r"ends in '\.csv'; answers are written to \*\.parquet"):
        write(iter([]), tmp_path / "a.csv")
    with pytest.raises(Fault, match="there is no text"):
        write(iter([]), tmp_path / "b.parquet")
    assert not list(tmp_path.glob(".predict-*"))


def test_tokens_that_were_made_anew_are_refused(project, tmp_path):
    other = shutil.copytree(project, tmp_path / "p", ignore=shutil.ignore_patterns("rows"))
    page = other / layout.artifact("tokens", "words") / "tokenizer.json"
    page.write_text(page.read_text().replace('"harbour"', '"haven"'))
    with pytest.raises(
        Fault, match="predictions/lstm was trained with another vocabulary than tokens/words has now. Run: dvc repro classify-lstm"
    ):
        Classifier(other, "lstm")
    page.unlink()
    with pytest.raises(Fault, match="tokens/words has no tokenizer.json"):
        Classifier(other, "lstm")
    shutil.rmtree(other / layout.artifact("predictions", "lstm"))
    with pytest.raises(Fault, match="predictions/lstm is not there. Run: dvc repro classify-lstm"):
        Classifier(other, "lstm")


@pytest.mark.parametrize(("row", "missing"), [("lstm", "vector_size"), ("average", "vector_size"), ("tfidf", "ngrams")])
def test_a_model_of_another_version_is_named_with_the_next_step(project, tmp_path, row, missing):
    other = shutil.copytree(project, tmp_path / "p", ignore=shutil.ignore_patterns("rows"))
    for name in ("lstm", "tfidf"):
        page = other / layout.artifact("predictions", name) / "model.json"
        kept = json.loads(page.read_text())
        kept["params"].pop(missing, None)
        kept["params"]["unheard"] = 1
        page.write_text(json.dumps(kept))
    classifier = Classifier(other, row)
    with pytest.raises(Fault, match=r"predictions/(lstm|tfidf) cannot be asked .*another version.*Run: dvc repro classify-(lstm|tfidf)"):
        classifier.probabilities(classifier.cutter.cut(["the boat"]))


def test_the_command_answers_for_people_and_for_scripts(project, monkeypatch):
    monkeypatch.setattr(asking, "ROOT", project)
    call = CliRunner().invoke
    said = call(command.app, ["predict", "tfidf", "the crew of the boat sees fish", "--explain"])
    assert said.exit_code == 0
    assert said.output.startswith("sea  (sea 0.")
    assert "hangs on" in said.output
    lines = call(command.app, ["predict", "tfidf", "--json"], input="the boat\nthe horse in the barn\n").output.splitlines()
    assert [json.loads(line)["predicted"] for line in lines] == ["sea", "farm"]
    both = call(command.app, ["predict", "tfidf", "a text", "--file", "b.txt"])
    assert isinstance(both.exception, Fault)


def test_bytes_that_are_no_text_are_refused_wherever_they_come_from(project, monkeypatch):
    monkeypatch.setattr(asking, "ROOT", project)
    call = CliRunner().invoke
    for asked in ({"args": ["predict", "tfidf"], "input": b"red\xff\n"}, {"args": ["predict", "tfidf", "red\udcff"]}):
        found = call(command.app, **asked)
        assert isinstance(found.exception, Fault)
        assert "is not UTF-8" in str(found.exception)
    nothing = call(command.app, ["predict", "tfidf"], input="")
    assert "there is no text to ask about" in str(nothing.exception)


def test_a_long_text_is_explained_in_pieces_to_the_same_figures(project, monkeypatch):
    classifier = Classifier(project, "tfidf")
    cut = classifier.cutter.cut(["the boat sails out of the harbour and the crew sings " * 5])
    whole = classifier.importance(cut, 0)
    monkeypatch.setattr("pipelines.use.predict.LONGEST", 120)
    assert classifier.importance(cut, 0).tolist() == whole.tolist()
    assert len(whole) == 55

"""Folders as the Hugging Face Hub has them: the card is valid and true, and its example runs."""

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from pipelines import layout
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.use import export_onnx
from pipelines.use.export import export
from pipelines.use.predict import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]
TEXTS = ["a text", "and another one"]  # of the examples


def run_example(folder: Path, monkeypatch) -> dict:
    """What the card's example leaves."""
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    left: dict = {}
    exec(code, left)
    return left


def test_a_classifiers_card_has_its_scores_as_the_hub_reads_them(exported, tmp_path):
    (folder,) = export(exported, "model", "lstm", tmp_path / "mine.hf")
    found = ModelCard.load(folder / "README.md")
    assert (found.data.library_name, found.data.pipeline_tag, found.data.model_name) == ("wordloom", "text-classification", "lstm")
    scores = Scores(exported / layout.artifact("scores", "classification")).frame()
    scores = scores[scores["of"] == "predictions/lstm"]
    assert len(scores) > 4
    assert {it.metric_type: (it.dataset_split, it.metric_value) for it in found.data.eval_results} == {
        row.metric: ("validation", round(row.value, 6)) for row in scores.itertuples()
    }
    (accuracy,) = scores[scores["metric"] == "accuracy"].itertuples()
    assert f"| accuracy | valid | {accuracy.value:.4g} [{accuracy.low:.4g}, {accuracy.high:.4g}] | {accuracy.n} |" in found.text
    assert "It has not been read." in found.text
    assert "| embed/skipgram | skipgram | words |" in found.text
    assert "(inductive)" in found.text
    assert "corpus/tiny, by the method csv: 36 documents, 21 train, 6 valid, 6 test, 3 unlabelled" in found.text


def test_a_classifiers_folder_answers_without_wordloom(exported, tmp_path, monkeypatch):
    (folder,) = export(exported, "model", "lstm", tmp_path / "mine.hf")
    asked = Classifier(exported, "lstm")
    assert run_example(folder, monkeypatch)["probabilities"] == pytest.approx(asked.probabilities(asked.cutter.cut(TEXTS)), abs=1e-5)
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "farm", "1": "sea"}
    assert config["label2id"] == {"farm": 0, "sea": 1}
    kept = Predictions(exported / layout.artifact("predictions", "lstm")).model()[1]
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == kept.keys()
    assert all((weights[name] == kept[name]).all() for name in kept)


@pytest.mark.parametrize("onnx", [True, False])
def test_a_row_that_answers_with_numbers_has_an_example_that_does(exported, tmp_path, monkeypatch, onnx):
    monkeypatch.setattr(export_onnx, "there", lambda: onnx)
    (folder,) = export(exported, "model", "ridge", tmp_path / "mine.hf")
    asked = Classifier(exported, "ridge")
    told = run_example(folder, monkeypatch)["numbers" if onnx else "answers"]
    assert told == pytest.approx(asked.probabilities(asked.cutter.cut(TEXTS)), rel=1e-5)
    assert json.loads((folder / "config.json").read_text())["answer"] == "number"
    found = ModelCard.load(folder / "README.md")
    assert {"rmse", "r_squared", "rmse_mean"} <= {it.metric_type for it in found.data.eval_results}
    assert "It answers texts by numbers." in found.text
    assert "It knows the classes" not in found.text


@pytest.mark.parametrize("row", ["components", "tagger"])
def test_a_row_that_is_no_onnx_graph_is_asked_by_its_page(exported, tmp_path, monkeypatch, row):
    (folder,) = export(exported, "model", row, tmp_path / "mine.hf")
    assert not (folder / "model.onnx").exists()
    asked = Classifier(exported, row)
    cut = asked.cutter.cut(TEXTS)
    told = run_example(folder, monkeypatch)["answers"]
    if row == "tagger":
        texts, probabilities = asked.texts(cut)
        assert told[0] == texts
        assert told[1] == pytest.approx(probabilities)
    else:
        assert told == pytest.approx(asked.probabilities(cut))


def test_of_an_ensemble_all_that_it_is_made_of_is_there(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export_onnx, "there", lambda: False)
    (folder,) = export(exported, "model", "average", tmp_path / "mine.hf")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")}
    members = ["tfidf", "calibrated", "calibrated/members/nb-svm", "gru"]
    assert files == {"model.safetensors", *(f"members/{name}/model.safetensors" for name in members)}
    assert "lie in `members`" in (folder / "README.md").read_text()


def test_readings_of_the_test_set_are_told_with_their_scores(exported, tmp_path):
    for name in ("data", "params.yaml"):
        (tmp_path / name).symlink_to(exported / name)
    (tmp_path / "docs").mkdir()
    (tmp_path / layout.READINGS).write_text(
        "commit\texperiment\trow\tseed\tmetric\tvalue\tlow\thigh\tn\n"
        "aaa\tmain\tclassify/lstm\t1\taccuracy\t0.5\t0.4\t0.6\t6\n"
        "bbb\tmain\tclassify/lstm\t1\taccuracy\t0.7\t0.6\t0.8\t6\n"
        "ccc\tother\tclassify/lstm\t1\taccuracy\t0.9\t0.8\t1\t6\n"
    )
    (folder,) = export(tmp_path, "model", "lstm", tmp_path / "mine.hf")
    found = ModelCard.load(folder / "README.md")
    assert "Read 2 times" in found.text
    assert "| accuracy | 0.5 [0.4, 0.6] | 6 | aaa |" in found.text
    assert "ccc" not in found.text
    assert [it.metric_value for it in found.data.eval_results if it.dataset_split == "test"] == [0.7]  # the last one


def test_vectors_lie_there_with_their_words_and_a_card(exported, tmp_path, monkeypatch):
    (folder,) = export(exported, "vectors", "skipgram", tmp_path / "mine.hf")
    vectors = Vectors(exported / layout.artifact("vectors", "skipgram"))
    left = run_example(folder, monkeypatch)
    assert list(left["row_of"]) == vectors.items()
    assert (left["vectors"] == vectors.matrix()).all()
    found = ModelCard.load(folder / "README.md")
    assert found.data.pipeline_tag == "feature-extraction"
    assert {it.metric_type for it in found.data.eval_results} >= {"isotropy", "overlap"}
    assert "test set" not in found.text.lower()


def test_a_row_without_scores_has_a_valid_card(exported, tmp_path):
    (folder,) = export(exported, "model", "majority", tmp_path / "mine.hf")
    found = ModelCard.load(folder / "README.md")
    assert found.data.eval_results is None
    assert "Not scored yet." in found.text


def test_places_on_this_machine_are_not_told(exported, tmp_path):
    for name in ("data", "docs"):
        if (exported / name).exists():
            (tmp_path / name).symlink_to(exported / name)
    text = (exported / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("tests/tiny/notices.csv", "/home/somebody/notices.csv"))
    (folder,) = export(tmp_path, "model", "lstm", tmp_path / "mine.hf")
    told = "".join(path.read_text() for path in (folder / "README.md", folder / "config.json"))
    assert "source: notices.csv" in told
    assert "somebody" not in told


def test_a_folder_that_is_there_is_not_written_over(exported, tmp_path):
    (tmp_path / "mine.hf").mkdir()
    with pytest.raises(Fault, match=r"mine.hf is a folder that is there already. Remove it, or name another"):
        export(exported, "model", "lstm", tmp_path / "mine.hf")
    assert not list((tmp_path / "mine.hf").iterdir())


def test_the_unknown_row_is_a_fault_and_nothing_is_written(exported, tmp_path):
    with pytest.raises(Fault, match=r"classify has no row 'lstmm'.*Did you mean 'lstm'\?"):
        export(exported, "model", "lstmm", tmp_path / "mine.hf")
    assert not list(tmp_path.iterdir())

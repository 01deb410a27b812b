"""ONNX files answer as the models do that they were written of, by onnxruntime, whatever the texts' lengths."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tokenizers import Tokenizer

from pipelines import params
from pipelines.errors import Fault
from pipelines.use import export_onnx
from pipelines.use.export import export
from pipelines.use.export_onnx import exportable, session
from pipelines.use.predict import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]
TEXTS = [
    "the crew of the boat sees fish",
    "",
    "the horse",
    "unheard of words entirely",
    "the farmer counts the sheep and walks over the field to the barn, where the horse sees the grass rise and the dog the sheep. " * 3,
    "fish",
]
CANNOT = {"components", "tagger"}
ROWS = [
    row.name
    for row in params.rows_of(params.load_yaml(Path("experiments/export.yaml")))
    if row.verb == "classify" and row.name not in CANNOT
]


def answers(file: Path, values, offsets, fill: int) -> np.ndarray:
    """Of a batch, what lies behind a text's end filled with any token."""
    lengths = np.diff(offsets)
    ids = np.full((len(lengths), max(lengths.max(), 1)), fill)
    for row, start, n in zip(ids, offsets, lengths, strict=False):
        row[:n] = values[start : start + n]
    (output,) = (it.name for it in onnx.load(file).graph.output)
    assert output == ("numbers" if {it.key: it.value for it in onnx.load(file).metadata_props}["answer"] == "number" else "probabilities")
    return session(onnxruntime, file).run([output], {"ids": ids, "lengths": lengths})[0]


@pytest.mark.parametrize("row", ROWS)
def test_probabilities_are_those_of_the_model(exported, tmp_path, row):
    made = export(exported, "model", row, tmp_path / "x.onnx")
    assert [path.name for path in made] == ["x.onnx", "x.tokenizer.json"]
    asked = Classifier(exported, row)
    cut = asked.cutter.cut(TEXTS)
    assert len(set(np.diff(cut.offsets))) > 3
    expected = asked.probabilities(cut)
    near = 1e-5 * (float(np.abs(expected).max()) if asked.model.answer == "number" else 1)
    for fill in (0, 3):
        assert answers(made[0], cut.values, cut.offsets, fill) == pytest.approx(expected, abs=near)
    one = asked.cutter.cut(TEXTS[:1])
    assert answers(made[0], one.values, one.offsets, 0) == pytest.approx(expected[:1], abs=near)
    onnx.checker.check_model(made[0])


def test_int8_is_the_model_with_rounded_tables(exported, tmp_path):
    """The same bytes a number as the rule says, and the answers of the model whose tables were rounded."""
    asked = Classifier(exported, "mixed")
    whole, _ = export(exported, "model", "mixed", tmp_path / "whole.onnx")
    small, words = export(exported, "model", "mixed", tmp_path / "small.onnx", int8=True)
    assert words.name == "small.tokenizer.json"
    onnx.checker.check_model(small)
    kept = {it.name: onnx.numpy_helper.to_array(it) for it in onnx.load(small).graph.initializer}
    tables = [it for it in kept.values() if it.dtype == np.int8]
    before = {it.name: onnx.numpy_helper.to_array(it) for it in onnx.load(whole).graph.initializer}
    wide = [it for it in before.values() if it.dtype == np.float32 and it.ndim > 1 and it.shape[-1] >= export_onnx.SHORTEST]
    assert wide
    assert sorted(it.shape for it in tables) == sorted(it.shape for it in wide)
    cut = asked.cutter.cut(TEXTS)
    expected = asked.probabilities(cut)
    said = answers(small, cut.values, cut.offsets, 3)
    assert said != pytest.approx(expected, abs=1e-7)  # something was rounded
    assert said == pytest.approx(expected, abs=0.02)


def test_rounding_is_to_half_a_scale_of_each_line():
    table = np.array([[1.27, -0.634, 0.004], [0, 0, 0], [-254, 1, 3.2]], np.float32)
    lines, scales = export_onnx.rounded(table)
    assert lines.tolist() == [[127, -63, 0], [0, 0, 0], [-127, 0, 2]]
    assert scales[:, 0] == pytest.approx([0.01, 1, 2])
    assert np.abs(lines * scales - table).max(axis=1) == pytest.approx([0.004, 0, 1], abs=1e-6)


def test_int8_of_anything_but_a_graph_is_a_fault(exported, tmp_path):
    with pytest.raises(Fault, match=r"int8 is for models that are written to \*.onnx, and x.hf is none"):
        export(exported, "model", "mixed", tmp_path / "x.hf", int8=True)


def test_a_model_that_does_not_stand_rounding_is_not_handed_out(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export_onnx, "ROUGH", 1e-9)
    with pytest.raises(Fault, match="1e-09 is the most: it does not stand being rounded to int8. Leave out --int8"):
        export(exported, "model", "mixed", tmp_path / "x.onnx", int8=True)
    assert not list(tmp_path.iterdir())


def test_a_file_needs_nothing_but_itself_and_its_tokenizer(exported, tmp_path):
    file, words = export(exported, "model", "lstm", tmp_path / "x.onnx")
    facts = {it.key: it.value for it in onnx.load(file).metadata_props}
    assert json.loads(facts["classes"]) == ["farm", "sea"]
    assert facts["answer"] == "one"
    assert Tokenizer.from_file(str(words)).get_vocab() == Classifier(exported, "lstm").cutter.tokenizer.get_vocab()


def test_a_row_that_cannot_be_written_names_those_that_can(exported, tmp_path):
    assert exportable(exported) == ROWS
    with pytest.raises(Fault, match=r"pooling: components cannot be written as \*.onnx; majority, bag, .* can"):
        export(exported, "model", "components", tmp_path / "x.onnx")
    with pytest.raises(Fault, match=r"classify.tagger: a row of tagger cannot be written"):
        export(exported, "model", "tagger", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_handed_out(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(
        export_onnx.GRAPHS, "tfidf_logreg", lambda g, model, ids, lengths: g("Softmax", g.hold(np.zeros((16, 2), np.float32)))
    )
    with pytest.raises(Fault, match=r"x.onnx gives probabilities up to 0\.\d+ from those of classify.tfidf"):
        export(exported, "model", "tfidf", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_packages_the_fault_names_them(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Fault, match=r"pip install 'wordloom\[onnx\]'"):
        export(exported, "model", "lstm", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_of_more_than_two_gigabytes_are_a_fault(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export_onnx, "LARGEST", 100)
    with pytest.raises(Fault, match=r"more than the 2 GB"):
        export(exported, "model", "lstm", tmp_path / "x.onnx")
    export(exported, "model", "lstm", tmp_path / "x.hf")
    assert not (tmp_path / "x.hf/model.onnx").exists()

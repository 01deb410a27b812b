"""The strong LSTMs without the orchestration stack, tried on the CPU: runs that were stopped end as one that was not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow
GOOD, BAD = ["fine", "warm", "clever", "bright", "moving"], ["dull", "cold", "stupid", "dim", "boring"]
OTHER = ["film", "plot", "actor", "scene", "music", "camera", "story", "ending"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with imdb/: reviews of which every third word tells the class."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "imdb").mkdir()
    for part, n in (("train", 600), ("test", 60), ("unsup", 300)):
        labels = ["pos" if i % 2 else "neg" for i in range(n)]
        texts = [
            " ".join(str(rng.choice(OTHER if j % 3 else GOOD if label == "pos" else BAD)) for j in range(rng.integers(12, 40)))
            for label in labels
        ]
        table = {"id": [f"{part}/{label}/{i}" for i, label in enumerate(labels)], "text": texts, "label": labels}
        if part == "unsup":
            table |= {"id": [f"unsup/unsup/{i}" for i in range(n)], "label": pa.nulls(n, pa.string())}
        pq.write_table(pa.table(table), folder / "imdb" / f"{part}.parquet")
    return folder


def call(data: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_imdb", *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | {"WORDLOOM_DATA": str(data)}, timeout=600,
    )  # fmt: skip


def run(data: Path, method: str, folder: Path, *more: object, name: str = "run") -> dict:
    done = call(data, method, "--device", "cpu", "--few", "--state", folder / f"state-{name}", "--out", folder / "out" / name, *more)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "out" / name / "result.json").read_text())


@pytest.mark.parametrize("method", ["mixed_lstm", "lm_lstm"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(data, tmp_path, method):
    calm = run(data, method, tmp_path, name="calm")
    assert calm["done"]
    assert calm["labels"] == 480  # a fifth of 600 are of validation
    assert "test" not in calm
    for _ in range(12):
        found = run(data, method, tmp_path, "--minutes", 0.001, name="stopped")
        if found["done"]:
            break
        assert found["epochs"] <= calm["epochs"]
    assert found["done"]
    assert [found[split] for split in ("epochs", "valid")] == [calm[split] for split in ("epochs", "valid")]
    files = [sorted((tmp_path / f"state-{name}" / method).rglob("*.parquet")) for name in ("calm", "stopped")]
    assert [it.read_bytes() for it in files[0]] == [it.read_bytes() for it in files[1]]
    assert (tmp_path / "out" / "calm" / "model.bf16.safetensors").stat().st_size > 0

    refused = call(data, method, "--device", "cpu", "--few", "--seed", 2, "--state", tmp_path / "state-calm", "--out", tmp_path / "other")
    assert refused.returncode == 1
    assert "seed was 1 and is 2" in refused.stderr


def test_seeds_make_a_line_and_test_is_read_when_told(data, tmp_path):
    first = run(data, "mixed_lstm", tmp_path, "--test", name="1")
    assert first["test"]["n"] == 60
    assert first["tokens/s"] > 0
    assert first["valid"]["accuracy"] > 0.9  # a third of the words tell the class
    second = run(data, "mixed_lstm", tmp_path, "--seed", 2, name="2")
    snapshot = tmp_path / "out" / "1" / "model.bf16.safetensors"
    begun = run(data, "mixed_lstm", tmp_path, "--begin", snapshot, name="again")
    assert begun["begun"] == "from a snapshot, with a new optimiser"
    lines = call(data, "table", "--out", tmp_path / "out").stdout.splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 4  # the head; seeds 1 and 2; the one that began with a snapshot
    assert "test read when training was over" in lines[-1]
    (both,) = (line for line in lines if "| 2 |" in line)
    assert f"| {50 * (first['valid']['accuracy'] + second['valid']['accuracy']):.2f}" in both
    assert f"{100 * first['test']['accuracy']:.2f} [" in both
    assert call(data, "table", "--out", tmp_path).returncode == 1

    again = run(
        data, "mixed_lstm", tmp_path, "--minutes", 0.0001, name="1"
    )  # a reading of test is not taken back, nor what was done undone
    assert [again[name] for name in ("test", "tokens/s", "minutes")] == [first[name] for name in ("test", "tokens/s", "minutes")]
    assert again["readings of test"] == 1
    assert run(data, "mixed_lstm", tmp_path, "--test", name="1")["readings of test"] == 2
    assert "mixed_lstm, seed 1: test was read 2 times" in call(data, "table", "--out", tmp_path / "out").stdout
    other = call(
        data, "mixed_lstm", "--device", "cpu", "--few", "--state", tmp_path / "state-1", "--out", tmp_path / "x", "--begin", snapshot
    )
    assert "begin was None and is " in other.stderr  # and not: a state that says it began with what it did not
    shutil.copytree(tmp_path / "out" / "1", tmp_path / "out" / "copy")
    assert "has seed 1 more than once" in call(data, "table", "--out", tmp_path / "out").stderr


def test_language_model_classes_and_ensemble_are_runs_of_their_own(data, tmp_path):
    shared = "--data", tmp_path / "data"
    learned = run(data, "language", tmp_path, *shared, name="language")
    assert 1 < learned["perplexity"] < 100
    assert (tmp_path / "out" / "language" / "language.csv").exists()
    snapshot = tmp_path / "out" / "language" / "model.bf16.safetensors"
    for name, more in (("vat", ()), ("plain", ("--knob", "virtual=0"))):
        made = run(data, "lm_lstm", tmp_path, *shared, "--begin", snapshot, *more, name=name)
        assert made["begun"] == "with a language model"
        assert made["valid"]["accuracy"] > 0.7
        assert not (tmp_path / "out" / name / "language.csv").exists()  # it is not learned again
    run(data, "mixed_lstm", tmp_path, *shared, name="mixed")
    assert not (tmp_path / "state-mixed" / "data").exists()
    further = run(data, "language", tmp_path, *shared, "--begin", snapshot, "--knob", "lm_epochs=1", name="further")
    assert further["begun"] == "from a snapshot, with a new optimiser"
    assert further["perplexity"] < learned["perplexity"] + 1  # one epoch more, and not the first one of two
    wrong = call(data, "mixed_lstm", "--device", "cpu", "--few", "--state", tmp_path / "w", "--out", tmp_path / "w", "--begin", snapshot)
    assert wrong.returncode == 1
    assert "is of another network" in wrong.stderr
    none = call(data, "mixed_lstm", "--device", "cpu", "--few", "--state", tmp_path / "n", "--out", tmp_path / "n", "--begin", "nowhere")
    assert none.returncode == 1
    assert not (tmp_path / "n" / "settings.json").exists()  # so that the same folder can be named with the right one

    states = [tmp_path / "state-mixed", tmp_path / "state-vat"]
    whole = ("together", "--of", *states, *shared, "--state", tmp_path / "state-all", "--out", tmp_path / "out" / "all")
    done = call(data, *whole, "--test")
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "out" / "all" / "result.json").read_text())
    assert [name for name, _ in made["weights"]] == ["mixed_lstm", "lm_lstm", "nb_svm", "document_vectors"]
    assert (
        min(weight for _, weight in made["weights"]) >= 0 < max(weight for _, weight in made["weights"])
    )  # of logarithms: their sum is free
    assert made["valid"]["accuracy"] > 0.9
    assert made["labels"] == 480
    assert made["readings of test"] == 1
    assert "no --state of a training" in call(data, *whole[:2], tmp_path, *whole[4:]).stderr
    lines = call(data, "table", "--out", tmp_path / "out").stdout.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:] if line.startswith("|")] == [
        "| together, a trial", "| mixed_lstm, a trial", "| lm_lstm, virtual 0, a trial", "| lm_lstm, a trial",
    ]  # fmt: skip
    assert sum("language, seed 1: perplexity" in line for line in lines) == 2


def test_what_was_learned_before_a_run_stopped_or_failed_is_handed_out(data, tmp_path):
    stopped = run(data, "language", tmp_path, "--minutes", 0.001, name="stopped")
    for _ in range(3):  # until an epoch has been
        if stopped["epochs"]:
            break
        stopped = run(data, "language", tmp_path, "--minutes", 0.001, name="stopped")
    assert not stopped["done"]
    snapshot = tmp_path / "out" / "stopped" / "model.bf16.safetensors"
    assert run(data, "language", tmp_path, "--begin", snapshot, name="again")["begun"] == "from a snapshot, with a new optimiser"

    folder = tmp_path / "out" / "wild"
    wild = ("mixed_lstm", "--device", "cpu", "--few", "--state", tmp_path / "state-wild", "--out", folder, "--knob", "lr=100")
    failed = call(data, *wild)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    result = json.loads((folder / "result.json").read_text())
    assert "Lower epsilon, entropy or lr" in result["faults"][0]
    assert not result["done"]


@pytest.mark.parametrize("option", [("--seed", -1), ("--minutes", "nan"), ("--minutes", -3)])
def test_options_that_no_run_can_have_are_refused(data, tmp_path, option):
    done = call(data, "mixed_lstm", "--state", tmp_path / "s", "--out", tmp_path / "o", *option)
    assert done.returncode == 2
    assert f"argument {option[0]}: {option[1]} must be from 0 to" in done.stderr


def test_trainings_on_few_labels_are_put_together_only_where_these_are_the_same(data, tmp_path):
    for seed in (1, 2):
        (tmp_path / f"{seed}" / "mixed_lstm").mkdir(parents=True)
        (tmp_path / f"{seed}" / "mixed_lstm" / "predictions.parquet").touch()
        settings = {"method": "mixed_lstm", "seed": seed, "few": True, "device": "cpu", "n_train": 20}
        (tmp_path / f"{seed}" / "settings.json").write_text(json.dumps(settings))
    done = call(data, "together", "--of", tmp_path / "1", tmp_path / "2", "--state", tmp_path / "s", "--out", tmp_path / "o")
    assert done.returncode == 1
    assert "seeds draw the labels that n_train leaves, and these are [1, 2]" in done.stderr
    twice = call(data, "together", "--of", tmp_path / "1", tmp_path / "2" / ".." / "1", "--state", tmp_path / "s", "--out", tmp_path / "o")
    assert twice.returncode == 1
    assert f"--of names {tmp_path / '1'} twice" in twice.stderr


def test_prepared_texts_of_other_reviews_are_refused(data, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"few": True, "imdb": "another"}))
    done = call(data, "mixed_lstm", "--device", "cpu", "--few", "--data", tmp_path, "--state", tmp_path / "s", "--out", tmp_path / "o")
    assert done.returncode == 1
    assert "imdb was 'another' and is " in done.stderr


def test_without_reviews_without_labels_the_rest_is_trained_and_said(data, tmp_path):
    (tmp_path / "imdb").mkdir()
    for part in ("train", "test"):
        shutil.copy(data / "imdb" / f"{part}.parquet", tmp_path / "imdb")
    for _ in range(2):  # and again, when it is done
        done = call(
            tmp_path, "mixed_lstm", "--device", "cpu", "--few", "--state", tmp_path / "s", "--out", tmp_path / "o", "--knob", "epochs=1"
        )
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "o" / "result.json").read_text())["tokens/s"] > 0
    (tmp_path / "s" / "settings.json").write_text("{")
    for state, fault in ((tmp_path / "s", "settings.json cannot be read"), (tmp_path / "o" / "result.json", "is no folder")):
        broken = call(
            tmp_path, "mixed_lstm", "--device", "cpu", "--few", "--data", tmp_path / "s" / "data", "--state", state, "--out", tmp_path
        )
        assert broken.returncode == 1
        assert "Traceback" not in broken.stderr
        assert fault in broken.stderr


def test_a_knob_that_is_none_is_named(data, tmp_path):
    done = call(
        data, "mixed_lstm", "--device", "cpu", "--state", tmp_path / "s", "--out", tmp_path / "o", "--knob", "lrr=1", "--knob", "lr=-1"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "--knob lrr" in done.stderr
    assert "--knob lr:" in done.stderr
    both = ("--knob", "num_layers=2", "--knob", "bidirectional=true")
    done = call(data, "lm_lstm", "--device", "cpu", "--state", tmp_path / "s", "--out", tmp_path / "o", *both)
    assert done.returncode == 1
    assert "num_layers must be 1 where bidirectional" in done.stderr
    assert "Traceback" not in done.stderr

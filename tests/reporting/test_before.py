"""What changed since the last commit's run."""

import hashlib
import json
import subprocess

import numpy as np
import pandas as pd
import pytest

from pipelines import layout
from pipelines.artifacts.scores import Scores, columns
from pipelines.method import Run
from pipelines.reporting.before import since
from pipelines.reporting.report import gather, page
from pipelines.reporting.text import markdown


def kept(cache, data):
    """An object of a cache, as DVC keeps it: named by its MD5."""
    oid = hashlib.md5(data, usedforsecurity=False).hexdigest()
    path = cache / "files" / "md5" / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return oid


def scored(root, values):
    with Run(root / layout.artifact("scores", "x")).open(Scores) as out:
        rows = [
            {"of": of, "metric": metric, "on": "valid", "value": value, "low": value - 0.01, "high": value + 0.01, "n": 9}
            for of, metric, value in values
        ]
        out.append(**columns(rows))
    return out.artifact


THEN = [
    ("predictions/a", "accuracy", 0.5),
    ("predictions/a", "log_loss", 0.9),
    ("predictions/b", "accuracy", 0.7),
    ("predictions/c", "accuracy", 0.1),
]
NOW = [
    ("predictions/a", "accuracy", 0.6),
    ("predictions/a", "log_loss", 0.895),
    ("predictions/b", "accuracy", 0.7),
    ("predictions/d", "accuracy", 0.2),
]


@pytest.fixture
def project(tmp_path):
    """A project with one commit, whose dvc.lock names scores in a cache that its configuration names; other scores lie there now."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n['remote \"r\"']\n    url = s3://x%y\n")
    (root / ".dvc" / "config.local").write_text("[cache]\n    dir = ../elsewhere\n")
    then = scored(root, THEN)
    listed = [{"md5": kept(root / "elsewhere", path.read_bytes()), "relpath": path.name} for path in sorted(then.folder.iterdir())]
    oid = kept(root / "elsewhere", json.dumps(listed).encode())
    path = root / "elsewhere" / "files" / "md5" / oid[:2] / oid[2:]
    path.rename(f"{path}.dir")
    out = f"    - path: data/7_scores/x\n      hash: md5\n      md5: {oid}.dir\n      size: 5\n"
    (root / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  evaluate-x:\n    cmd: c\n    outs:\n{out}  check-scores-x:\n    deps:\n{out}"
    )
    (root / "dvc.yaml").write_text(json.dumps({"stages": {"evaluate-x": {"deps": [], "meta": {"verb": "evaluate", "row": "x"}}}}))
    (root / "params.yaml").write_text("run: {seed: 1}\n")
    for args in (["init", "-q"], ["add", "dvc.lock"], ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-q", "-m", "run"]):
        subprocess.run(["git", *args], cwd=root, check=True)
    scored(root, NOW)
    return root


def test_figures_of_the_last_commit_stand_beside_those_of_now(project):
    run = gather(project)
    told = run["before"]
    assert len(told["commit"]) >= 7
    assert (told["why"], told["same"]) == ("", 1)
    lines = {(line["of"], line["metric"]): line for line in told["lines"]}
    assert set(lines) == {
        ("predictions/a", "accuracy"),
        ("predictions/a", "log_loss"),
        ("predictions/c", "accuracy"),
        ("predictions/d", "accuracy"),
    }
    better = lines["predictions/a", "accuracy"]
    assert (better["before"], better["now"], better["apart"]) == (0.5, 0.6, True)
    assert (better["then"], better["ends"]) == ("0.490 to 0.510, n = 9", "0.590 to 0.610, n = 9")
    assert better["change"] == pytest.approx(0.1)
    loss = lines["predictions/a", "log_loss"]
    assert loss["change"] < 0 < loss["better"]  # less of it is better
    assert not loss["apart"]
    assert (lines["predictions/c", "accuracy"]["now"], lines["predictions/d", "accuracy"]["before"]) == (None, None)
    text = page(run)
    assert f"since the run of commit {told['commit']}" in text
    assert "1 figures are as they were; 4 are others" in text
    assert told["commit"] not in markdown(run)  # the same artifacts give the same bytes, whatever the commit


def test_scores_that_the_cache_has_not_are_told(project):
    for path in (project / "elsewhere").rglob("*.dir"):
        path.unlink()
    run = gather(project)
    told = run["before"]
    assert (told["lines"], told["compared"]) == ([], False)
    assert told["why"] == f"The scores of the last commit, {told['commit']}, are not in DVC's cache here: x."
    assert "figures are as they were" not in page(run)


@pytest.mark.parametrize("garbled", [b"{", b"[]", b'[{"relpath": "scores.parquet", "md5": "../../../../etc/passwd"}]'])
def test_a_list_that_is_none_is_told_and_leads_nowhere(project, garbled):
    for path in (project / "elsewhere").rglob("*.dir"):
        path.write_bytes(garbled)
    assert "are not in DVC's cache here: x" in gather(project)["before"]["why"]


def test_without_a_commit_or_git_there_is_nothing_to_compare_with(tmp_path, monkeypatch):
    frame = pd.DataFrame({"of": ["a"], "metric": ["accuracy"], "on": ["v"], "value": [0.5], "low": [np.nan], "high": [np.nan], "n": [1]})
    assert "No commit here has a dvc.lock" in since(tmp_path, {"x": frame})["why"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "No commit here has a dvc.lock" in since(tmp_path, {"x": frame})["why"]

"""Two drivers, one truth: the tiny corpus through all seven stages, by DVC and by the Prefect flow."""

import time

import pytest

from tests.support import make_project, run

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]


ROWS = """
ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
cooccur:
  w5: {method: windowed, tokens: words, window: 5}
embed:
  glove: {method: glove, counts: w5, vector_size: 8, epochs: 3}
compress:
  linear: {method: linear, vectors: glove, coding_size: 4, epochs: 3}
classify:
  tfidf-logreg: {method: tfidf_logreg, tokens: words, min_df: 1}
evaluate:
  classification: {method: classification, predictions: [tfidf-logreg]}
"""


@pytest.fixture(scope="module")
def by_dvc(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("dvc") / "project", ROWS)
    run(project, "dvc", "repro")
    run(project, "python", "-m", "flows", "lock")
    return project


@pytest.fixture(scope="module")
def by_prefect(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefect")
    project = make_project(folder / "project", ROWS)
    run(project, "python", "-m", "flows", "run", env={"PREFECT_HOME": str(folder / "home")})
    return project


def test_both_leave_the_same_lock_byte_for_byte(by_dvc, by_prefect):
    lock = (by_dvc / "dvc.lock").read_bytes()
    assert lock.count(b"\n  check-") == 7
    assert (by_prefect / "dvc.lock").read_bytes() == lock


def test_what_one_has_made_is_up_to_date_for_the_other(by_dvc, by_prefect):
    assert "Data and pipelines are up to date" in run(by_prefect, "dvc", "repro").stdout
    assert "stages are up to date" in run(by_dvc, "python", "-m", "flows", "run").stdout


def test_a_run_with_nothing_to_do_changes_no_tracked_file(by_dvc):
    before = run(by_dvc, "git", "status", "--porcelain").stdout
    start = time.monotonic()
    run(by_dvc, "dvc", "repro")
    assert time.monotonic() - start < 60  # the figure is in docs/benchmarks.md; this is against a hang
    assert run(by_dvc, "git", "status", "--porcelain").stdout == before == "?? dvc.lock\n"


def test_dvc_shows_metrics_and_plots(by_dvc):
    assert "predictions/tfidf-logreg" in run(by_dvc, "dvc", "metrics", "show", "--json").stdout
    assert "plots" in run(by_dvc, "dvc", "plots", "show", "--out", "plots").stdout
    page = (by_dvc / "plots" / "index.html").read_text()
    assert "curve.csv" in page
    assert "confusion" in page


def test_a_failing_gate_stops_the_prefect_flow_too_and_names_the_rows(by_prefect, tmp_path):
    notices = by_prefect / "tests/tiny/notices.csv"
    text = notices.read_text()
    notices.write_text(text.replace("notice-01", "notice-00"))
    try:
        failed = run(by_prefect, "python", "-m", "flows", "run", ok=False, env={"PREFECT_HOME": str(tmp_path)})
        assert failed.returncode != 0
        said = failed.stdout + failed.stderr
        assert "check/corpus-tiny" in said or "check-corpus-tiny" in said
        assert "has an id that stands before" in said
        assert not (by_prefect / "data/checks/corpus/tiny.json").exists()
    finally:
        notices.write_text(text)

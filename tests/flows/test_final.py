"""The test set is read once, and that is written down."""

import pytest

from flows import final as reading
from flows import tables
from flows.experiments import prepare, run
from pipelines.errors import Fault
from tests.support import RUN, make_project
from tests.support import run as call

ROWS = """
ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
classify:
  tfidf: {method: tfidf_logreg, tokens: words, min_df: 1}
"""


def test_each_reading_is_a_line_per_figure_and_is_counted(tmp_path):
    scores = [{"metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 10}, {"metric": "macro f1", "value": 1 / 3, "n": 10}]
    for _ in range(2):
        reading.write_down(tmp_path, "abc123", "main", "classify/lstm", 1, scores)
    reading.write_down(tmp_path, "abc123", "imdb", "classify/lstm", 1, scores)
    lines = (tmp_path / "docs/test_readings.tsv").read_text().splitlines()
    assert lines[:3] == [
        "commit\texperiment\trow\tseed\tmetric\tvalue\tlow\thigh\tn",
        "abc123\tmain\tclassify/lstm\t1\taccuracy\t0.5\t0.4\t0.6\t10",
        "abc123\tmain\tclassify/lstm\t1\tmacro f1\t0.333333\t\t\t10",
    ]
    assert len(lines) == 7
    assert tables.readings(tmp_path) == {("main", "classify/lstm"): 2, ("imdb", "classify/lstm"): 1}
    assert "main classify/lstm 2 x, imdb classify/lstm 1 x" in tables.readings_text(tmp_path)


def test_a_second_reading_of_the_same_model_is_refused_and_one_of_another_is_not(tmp_path):
    reading.refuse_again(tmp_path, "abc123", "main", "classify/lstm")
    for _ in range(2):
        reading.write_down(tmp_path, "abc123", "main", "classify/lstm", 1, [{"metric": "accuracy", "value": 0.5, "n": 10}])
    with pytest.raises(Fault, match=r"main classify/lstm was read 2 x at commit abc123, .*docs/test_readings.tsv.* --again"):
        reading.refuse_again(tmp_path, "abc123", "main", "classify/lstm")
    for other in (("abc124", "main", "classify/lstm"), ("abc123", "imdb", "classify/lstm"), ("abc123", "main", "classify/gru")):
        reading.refuse_again(tmp_path, *other)


def test_the_documents_are_found_through_whatever_a_row_is_made_of(tmp_path):
    (tmp_path / "params.yaml").write_text("""
run: {seed: 1}
ingest: {tiny: {method: csv}, other: {method: csv}}
tokenize:
  words: {method: words, corpus: tiny}
  pairs: {method: phrases, corpus: tiny}
  others: {method: words, corpus: other}
cooccur: {bags: {method: documents, tokens: pairs}}
classify:
  nb: {method: nb_svm, tokens: words}
  bag: {method: logreg, counts: bags}
  calm: {method: temperature, predictions: nb}
  both: {method: ensemble, predictions: [calm, bag]}
  far: {method: nb_svm, tokens: others}
  mixed: {method: ensemble, predictions: [nb, far]}
""")
    for row in ("nb", "bag", "calm", "both"):
        assert reading._corpus(tmp_path, "classify", row) == "tiny"
    with pytest.raises(Fault, match=r"classify.mixed comes from 2 corpora \(other, tiny\)"):
        reading._corpus(tmp_path, "classify", "mixed")


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_row_is_scored_when_it_is_up_to_date_and_past_its_gate_and_not_before(tmp_path):
    root = make_project(tmp_path / "project", ROWS)

    def final(where=root, experiment="main"):
        return reading.final(root, where, experiment, "tfidf")

    with pytest.raises(Fault, match="classify/tfidf is not up to date: .*ingest-tiny"):
        final()
    call(root, "dvc", "repro", "check-predictions-tfidf")
    scores = final()
    assert {score["metric"] for score in scores} >= {"accuracy"}
    commit = call(root, "git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    line = (root / "docs/test_readings.tsv").read_text().splitlines()[1]
    assert line.startswith(f"{commit}\tmain\tclassify/tfidf\t1\t")
    # a second time only when it is asked for
    with pytest.raises(Fault, match="was read 1 x at commit"):
        final()
    assert tables.readings(root) == {("main", "classify/tfidf"): 1}
    assert reading.final(root, root, "main", "tfidf", again=True) == scores
    assert tables.readings(root) == {("main", "classify/tfidf"): 2}
    # what is altered is refused, and nothing is written down
    token = root / "data/checks/predictions/tfidf.json"
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("min_df: 1", "min_df: 2"))
    with pytest.raises(Fault, match="classify/tfidf is not up to date"):
        final()
    (root / "params.yaml").write_text(RUN + ROWS)
    text = token.read_text()
    token.write_text(text.replace('"artifact": "', '"artifact": "0'))
    with pytest.raises(Fault):
        final()
    token.write_text(text)
    assert tables.readings(root) == {("main", "classify/tfidf"): 2}
    # in an experiment: the list is the main checkout's, and a + tells that its parameters are not committed
    source = root / "experiments/short.yaml"
    source.parent.mkdir()
    source.write_text(RUN + ROWS)
    tree = prepare(root, "short", source)
    assert run(tree, ["check-predictions-tfidf"], prefect=False) == 0
    final(tree, "short")
    assert (root / "docs/test_readings.tsv").read_text().splitlines()[-1].startswith(f"{commit}+\tshort\t")
    assert tables.readings(root)["short", "classify/tfidf"] == 1

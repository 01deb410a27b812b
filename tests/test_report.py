import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur import documents as bags
from pipelines.evaluate import classification
from pipelines.method import Run
from pipelines.report import gather, page, report
from pipelines.report_text import markdown, terminal

EVIL = "</td><script>alert('x')</script>|&`*"
CLASSES = sorted([EVIL, "good"])

PARAMS = """
run: {seed: 7, threads: 2, device: cpu}
ingest: {news: {method: csv, source: news.csv}}
tokenize: {words: {method: words, corpus: news, min_count: 1e0}}
embed: {glove: {method: glove, tokens: words}, other: {method: glove, tokens: words}}
classify: {lstm: {method: lstm, tokens: words, vectors: glove}, tfidf: {method: tfidf_logreg, tokens: words}}
evaluate: {similarity: {method: similarity, vectors: [glove, other]}, classification: {method: classification, predictions: [lstm, tfidf]}}
"""
ROWS = [
    ("ingest", "corpus", "news", []),
    ("tokenize", "tokens", "words", ["corpus/news"]),
    ("embed", "vectors", "glove", ["tokens/words"]),
    ("embed", "vectors", "other", ["tokens/words"]),
    ("classify", "predictions", "lstm", ["tokens/words", "vectors/glove"]),
    ("classify", "predictions", "tfidf", ["tokens/words"]),
    ("evaluate", "scores", "similarity", ["vectors/glove", "vectors/other"]),
    ("evaluate", "scores", "classification", ["predictions/lstm", "predictions/tfidf"]),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A small run with hostile labels and words, all of whose gates are passed."""
    root = tmp_path_factory.mktemp("whole")
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text(json.dumps({"stages": {f"{verb}-{row}": stage(verb, row, reads) for verb, _, row, reads in ROWS}}))
    documents(root)
    for row, shift in (("glove", 0.0), ("other", 1.0)):
        with Run(root / layout.artifact("vectors", row)).open(Vectors) as out:
            out.append(item=["a", EVIL], count=[2, 1], vector=np.eye(2) + shift)
            out.csv("curve", [{"epoch": 1, "loss": 0.9, "valid_loss": 1.0}, {"epoch": 2, "loss": 0.5, "valid_loss": 0.8}])
    for row, hits in (("lstm", 3), ("tfidf", 4)):
        predictions(root / layout.artifact("predictions", row), hits)
    pair = {"metric": "spearman", "on": "pairs", "n": 300, "note": EVIL}
    with Run(root / layout.artifact("scores", "similarity")).open(Scores) as out:
        low = {"of": "vectors/glove", "value": 0.5, "low": 0.4, "high": 0.6, **pair}
        out.append(**columns([low, {"of": "vectors/other", "value": 0.55, "low": 0.45, "high": 0.65, **pair}]))
        out.csv("neighbours", [{"of": "vectors/glove", "word": EVIL, "rank": 1, "neighbour": EVIL, "similarity": 0.5}])
    both = [Predictions(root / layout.artifact("predictions", row)) for row in ("lstm", "tfidf")]
    classification.evaluate(both, classification.Params(), Run(root / layout.artifact("scores", "classification"), seed=1))
    for _, noun, row, _ in ROWS:
        let_pass(root, noun, row)
    return root


def stage(verb, row, reads):
    deps = [layout.artifact(*read.split("/")) for read in reads] + ["data/checks/params.json", f"pipelines/{verb}/x.py"]
    return {"cmd": "true", "deps": deps, "meta": {"verb": verb, "row": row}}


def documents(root):
    splits = ["train", "train", "valid", "test", "unlabelled"]
    labels = [EVIL, "good", "good", "good", None]
    with Run(root / layout.artifact("corpus", "news")).open(Corpus) as out:
        out.append(doc_id=list("abcde"), text=["some text"] * 5, label=labels, split=splits, group=[None] * 5)
    with Run(root / layout.artifact("tokens", "words")).open(Tokens) as out:
        ids = (np.array([1, 1, 0, 1, 1, 1, 1]), np.array([0, 2, 4, 5, 6, 7]))
        out.append(doc_id=list("abcde"), split=splits, label=labels, token_ids=ids)
        out.append("vocab", token_id=[0, 1], token=["<unk>", EVIL], count=[1, 3])


def predictions(folder, hits):
    labels = [CLASSES[i % 2] for i in range(5)]
    predicted = [labels[i] if i < hits else CLASSES[1 - i % 2] for i in range(5)]
    with Run(folder).open(Predictions) as out:
        p = [[0.9, 0.1] if label == CLASSES[0] else [0.1, 0.9] for label in predicted]
        out.append(doc_id=list("abcde"), split=["valid"] * 5, label=labels, predicted=predicted, probabilities=np.array(p))
        out.append("classes", class_id=[0, 1], label=CLASSES)


def let_pass(root, noun, row):
    digest = layout.hash_path(root / layout.artifact(noun, row))
    layout.write_aside(root / layout.pass_token(noun, row), json.dumps({"artifact": digest, "suite": "s", "checked": [1, 2, 3]}))
    layout.write_aside(root / layout.gate_report(noun, row, "html"), "<p>all well</p>")
    record = {
        "verb": "x",
        "row": row,
        "seconds": 61.5,
        "peak_bytes": 300 * 2**20,
        "device": "cpu",
        "threads": 2,
        "host": EVIL,
        "hash": digest,
    }
    layout.write_aside(root / layout.record(noun, row, digest), json.dumps(record))


@pytest.fixture
def half(whole, tmp_path) -> Path:
    """The run without its classifiers, without records, and with a closed gate."""
    root = tmp_path / "half"
    shutil.copytree(whole, root)
    shutil.rmtree(root / layout.artifact("predictions", "lstm"))
    shutil.rmtree(root / layout.artifact("scores", "classification"))
    shutil.rmtree(root / "runs")
    (root / layout.pass_token("vectors", "other")).unlink()
    failed = {
        "expectation": "norm > 0",
        "why": "it has to be so",
        "column": "norm",
        "success": False,
        "observed": None,
        "n_failed": 2,
        "share_failed": 0.5,
        "examples": [{"item": EVIL}],
    }
    layout.write_aside(
        root / layout.gate_report("vectors", "other"), json.dumps({"success": False, "results": [failed, {"success": True}]})
    )
    return root


class Page(HTMLParser):
    """What a browser would run, follow and show."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.scripts, self.texts = [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.scripts += tag == "script"
        self.links += [value for name, value in attrs if name in ("href", "src", "action", "data", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data)


def test_labels_words_notes_and_hosts_are_text_and_nothing_else(whole):
    seen = Page(page(gather(whole)))
    assert seen.scripts == 1
    assert "alert('x')" not in "".join(re.findall(r"<script>.*?</script>", page(gather(whole)), re.DOTALL))
    shown = "".join(seen.texts)
    assert shown.count(EVIL) >= 8  # classes, confusion, neighbours, note, host


def test_nothing_is_fetched_from_a_network(whole):
    text = page(gather(whole))
    assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    links = Page(text).links
    assert len(links) > 8
    assert all(link.startswith("#") or (whole / link).is_file() for link in links)
    assert len(text.encode()) < 200_000


def test_the_best_comes_with_its_interval_and_with_what_it_cannot_be_told_from(whole):
    similarity, accuracy = gather(whole)["best"]
    assert (similarity["of"], similarity["value"], similarity["low"], similarity["n"]) == ("vectors/other", 0.55, 0.45, 300)
    assert similarity["overlap"] == ["vectors/glove"]
    assert (accuracy["of"], accuracy["metric"], accuracy["value"]) == ("predictions/tfidf", "accuracy", 0.8)


def test_it_says_which_classifier_has_seen_held_out_text_and_by_which_row(whole, tmp_path):
    root = tmp_path / "seen"
    shutil.copytree(whole, root)
    params = PARAMS.replace("glove: {method: glove, tokens: words}", "glove: {method: glove, tokens: words, splits: [train, test]}")
    assert params != PARAMS
    (root / "params.yaml").write_text(params)
    run = gather(root)
    assert [(it["of"], it["setting"]) for it in run["settings"]] == [
        ("predictions/lstm", "transductive"),
        ("predictions/tfidf", "inductive"),
    ]
    assert "| predictions/lstm | transductive | text from test by vectors/glove (splits) |" in markdown(run)
    assert "text from test by vectors/glove (splits)" in page(run)
    assert {it["setting"] for it in gather(whole)["settings"]} == {"inductive"}


def test_a_figure_that_is_better_when_low_has_its_best_at_the_bottom(whole):
    from pipelines.report import _evaluation

    stage, frame = gather(whole)["scores"]["classification"]
    cards = {card["metric"]: card["lines"] for card in _evaluation(stage, frame)["cards"]}
    assert [line["of"] for line in cards["log_loss"]] == ["predictions/tfidf", "predictions/lstm"]
    assert cards["log_loss"][0]["best"]
    assert not cards["log_loss"][1]["best"]


def test_facts_of_the_corpus_are_counted(whole):
    run = gather(whole)
    ((row, facts),) = run["corpora"]
    assert row == "news"
    assert [(s["split"], s["documents"], s["labelled"], s["classes"]) for s in facts["splits"]] == [
        ("train", 2, 2, 2), ("valid", 1, 1, 1), ("test", 1, 1, 1), ("unlabelled", 1, 0, 0),
    ]  # fmt: skip
    ((_, tokens),) = run["tokens"]
    assert [(s["split"], s["tokens"], s["unknown"]) for s in tokens["splits"][:2]] == [("train", 4, 0.25), ("valid", 1, 0.0)]
    assert tokens["vocabulary"] == 2


def test_tokens_that_share_a_bucket_are_told_and_nothing_where_none_are_hashed(whole, tmp_path):
    assert "bucket" not in markdown(gather(whole)) + page(gather(whole))
    root = tmp_path / "hashed"
    shutil.copytree(whole, root)
    rows = [*ROWS, ("cooccur", "counts", "hash", ["tokens/words"])]
    (root / "dvc.yaml").write_text(json.dumps({"stages": {f"{verb}-{row}": stage(verb, row, reads) for verb, _, row, reads in rows}}))
    corpus_tokens = Tokens(root / layout.artifact("tokens", "words"))
    bags.cooccur(corpus_tokens, bags.Params(buckets=1), Run(root / layout.artifact("counts", "hash")))
    (table,) = [line for line in markdown(gather(root)).splitlines() if line.startswith("| hash | 1 |")]
    assert table == "| hash | 1 | 1 | 1 | 0 (0.0%) |"
    assert "Tokens hashed into buckets" in page(gather(root))
    path = root / layout.artifact("counts", "hash") / "collisions.csv"
    path.write_text("tokens,buckets,buckets_used,tokens_sharing\n3000,512,500,2960\n")
    assert "| hash | 3,000 | 512 | 500 | 2,960 (98.7%) |" in markdown(gather(root))
    assert '<td class="n">500<td class="n">2,960 (98.7%)' in page(gather(root))


def test_cost_is_that_of_the_run_that_made_the_artifact(whole, tmp_path):
    assert {stage.seconds for stage in gather(whole)["stages"]} == {61.5}
    root = tmp_path / "again"
    shutil.copytree(whole, root)
    token = root / layout.pass_token("vectors", "glove")
    token.write_text(token.read_text().replace(json.loads(token.read_text())["artifact"], "f" * 64))
    assert {stage.key for stage in gather(root)["stages"] if stage.seconds is None} == {"vectors/glove"}


def test_edges_of_the_picture_are_what_the_rows_read(whole):
    assert {stage.key: stage.reads for stage in gather(whole)["stages"]} == {f"{noun}/{row}": reads for _, noun, row, reads in ROWS}


def test_half_a_run_is_reported_and_says_what_is_missing(half):
    run = gather(half)
    assert run["missing"] == [
        "predictions/lstm is missing. Run: dvc repro",
        "scores/classification is missing. Run: dvc repro",
    ]
    text = page(run)
    assert "predictions/lstm is missing. Run: dvc repro" in text
    assert "time unknown" in text
    states = {stage.key: stage.gate.state for stage in run["stages"]}
    assert states["vectors/other"] == "failed"
    assert states["vectors/glove"] == "passed"
    assert "norm: it has to be so (norm &gt; 0); 2 rows fail" in text
    assert Page(text).scripts == 1


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
@pytest.mark.parametrize("text", [None, "- [", ""])
def test_a_file_that_is_missing_or_broken_is_told_and_the_rest_is_shown(half, name, text):
    (half / name).unlink() if text is None else (half / name).write_text(text)
    run = gather(half)
    assert any(name in line for line in run["missing"])
    assert page(run)
    assert markdown(run)
    assert terminal(run)


def test_an_artifact_that_cannot_be_read_is_told_and_the_rest_is_shown(half):
    path = half / layout.artifact("scores", "similarity") / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    run = gather(half)
    assert any("scores/similarity" in line and "not a readable Parquet file" in line for line in run["missing"])
    assert page(run)


def test_an_empty_folder_has_a_report(tmp_path):
    report(tmp_path)
    assert "No corpus yet" in (tmp_path / "report.html").read_text()
    assert "params.yaml is missing" in (tmp_path / "data" / "report.md").read_text()


def test_the_summary_has_the_same_bytes_whatever_the_run_took(whole, half, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(whole, first)
    shutil.copytree(whole, second)
    shutil.rmtree(second / "runs" / "records")
    for root in (first, second):
        report(root)
    texts = [(root / "data" / "report.md").read_bytes() for root in (first, second)]
    assert texts[0] == texts[1]
    assert b"61.5" not in texts[0]
    report(second)
    assert (second / "data" / "report.md").read_bytes() == texts[0]
    assert not list(second.glob("**/*.part"))


def test_a_cell_of_the_summary_stays_in_its_cell(whole):
    lines = [line for line in markdown(gather(whole)).splitlines() if line.startswith("| similarity | vectors/glove")]
    assert len(lines) == 1
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == 10
    assert "<script" not in lines[0].replace("\\<", "")


def test_the_terminal_shows_the_best_and_the_longest(whole, capsys, tmp_path):
    root = tmp_path / "printed"
    shutil.copytree(whole, root)
    report(root)
    printed = capsys.readouterr().out
    assert re.search(r"similarity +spearman on pairs +vectors/other +0\.550 \[0\.450, 0\.650\] +n = 300", printed)
    assert "time: 8.2 min in 8 stages" in printed
    assert printed.rstrip().endswith("report: report.html")


def test_readings_of_test_are_counted_and_shown(whole, tmp_path):
    root = tmp_path / "read"
    shutil.copytree(whole, root)
    assert "never</b><span>was the test split read" in page(gather(root))
    (root / "docs").mkdir()
    with (root / "docs" / "test_readings.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["commit", "experiment", "row", "seed", "metric", "value"])
        for commit in ("abc", "def"):
            writer.writerows([[commit, "imdb", "classify/lstm", 1, metric, 0.5] for metric in ("accuracy", "log_loss")])
    text = page(gather(root))
    assert "<b>2</b><span>times the test split was read" in text
    assert '<td class="name">def' in text


def test_many_sets_become_a_grid_and_codings_are_named_by_their_size(whole, tmp_path):
    root = tmp_path / "grid"
    shutil.copytree(whole, root)
    shutil.rmtree(root / layout.artifact("scores", "similarity"))
    rows = [
        {"of": of, "metric": "accuracy", "on": on, "value": value, "low": 0.0, "high": 1.0, "n": 10}
        for of, value in (("vectors/glove", 0.2), ("vectors/other", 0.4))
        for on in ("all", "b", "c", "d", "e")
    ]
    with Run(root / layout.artifact("scores", "similarity")).open(Scores) as out:
        out.append(**columns(rows))
    run = gather(root)
    assert run["best"][0]["on"] == "all"
    text = page(run)
    assert text.count('<table class="grid">') == 1
    assert text.count('class="fig best"') == 5
    with Run(tmp_path / "short").open(Codings) as out:
        out.append(item=["a"], coding=[[1.0, 2.0]], error=[0.0])
    from pipelines.report import _holds

    assert _holds(out.artifact) == "1 × 2"


def test_what_an_open_gate_warns_of_is_told(half):
    digest = json.loads((half / layout.pass_token("vectors", "glove")).read_text())["artifact"]
    seen = {"expectation": "norm < 9", "why": "it had better", "column": "norm", "success": False, "severity": "warn", "observed": 10.0}
    report = {"artifact": digest, "success": True, "results": [{**seen, "n_failed": 1, "share_failed": 0.0, "examples": []}]}
    layout.write_aside(half / layout.gate_report("vectors", "glove"), json.dumps(report))
    text = page(gather(half))
    assert "warning: norm: it had better (norm &lt; 9); it was 10.0" in text
    layout.write_aside(half / layout.gate_report("vectors", "glove"), json.dumps({**report, "artifact": "of an earlier run"}))
    assert "it had better" not in page(gather(half))

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur import documents as bags
from pipelines.evaluate import classification, regression
from pipelines.method import Run
from pipelines.reporting.report import gather, n_readings, page, report
from pipelines.reporting.scores import _best, bake_offs, tables_of, winners
from pipelines.reporting.stages import _holds
from pipelines.reporting.text import markdown, terminal

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
        out.append(
            doc_id=list("abcde"), split=["valid"] * 5, answer=["one"] * 5, label=labels, predicted=predicted, probabilities=np.array(p)
        )
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
    assert all(link.startswith(("#", "data:")) or (whole / link).is_file() for link in links)
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
        (["vectors/glove", "predictions/lstm"], "transductive"),
        (["vectors/other", "predictions/tfidf"], "inductive"),
    ]
    assert "| transductive | text from test by vectors/glove (splits) | vectors/glove, predictions/lstm |" in markdown(run)
    assert re.search(r"similarity \| vectors/glove .* \| transductive \|", markdown(run))
    assert "text from test by vectors/glove (splits)" in page(run)
    assert {it["setting"] for it in gather(whole)["settings"]} == {"inductive"}


def test_a_figure_that_is_better_when_low_has_its_best_at_the_bottom(whole):
    _, frame = gather(whole)["scores"]["classification"]
    cards = {card["metric"]: card["lines"] for card in tables_of(frame, {})["cards"]}
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


LSTM, GLOVE = layout.artifact("predictions", "lstm"), layout.artifact("vectors", "glove")


@pytest.fixture
def damaged(whole, tmp_path) -> Path:
    """The whole run with a model, for others to break."""
    root = tmp_path / "damaged"
    shutil.copytree(whole, root)
    Run(root / LSTM).open(Predictions).model({"params": {}}, {"w": np.ones((4, 4), np.float32)})
    assert gather(root)["missing"] + gather(root)["unread"] == []
    return root


@pytest.mark.parametrize(
    ("name", "bytes_left", "told"),
    [
        (f"{GLOVE}/vectors.parquet", None, "is missing"),
        (f"{GLOVE}/vectors.parquet", 0, "not a readable Parquet file"),
        (f"{GLOVE}/vectors.parquet", 300, "not a readable Parquet file"),
        (f"{LSTM}/predictions.parquet", None, "is missing"),
        (f"{LSTM}/classes.parquet", None, "is missing"),
        (f"{LSTM}/model.safetensors", None, "holds no model"),
        (f"{LSTM}/model.safetensors", 90, "cannot be read"),
        (f"{LSTM}/model.json", 1, "cannot be read"),
        ("data/7_scores/classification/confusion.csv", 0, "is empty"),
        ("data/7_scores/classification/calibration.csv", 60, "of another length"),
        ("data/7_scores/similarity/scores.parquet", None, "is missing"),
        ("data/checks/vectors/glove.json", 20, "cannot be read as JSON"),
    ],
)
def test_a_file_of_data_that_is_gone_or_cut_is_named_and_the_rest_is_shown(damaged, name, bytes_left, told):
    path = damaged / name
    path.unlink() if bytes_left is None else path.write_bytes(path.read_bytes()[:bytes_left])
    report(damaged)
    text = (damaged / "report.html").read_text()
    (line,) = gather(damaged)["missing"]
    assert told in line
    assert path.name in line or str(path.parent.relative_to(damaged)) in line
    assert str(damaged) not in line  # what it is called does not depend on where the project lies
    assert text.index("Not all is there") < text.index(line.split(" (")[0].replace("'", "&#39;")) < text.index('id="best"')
    assert "- missing: " in (damaged / "data" / "report.md").read_text()
    assert "predictions/tfidf" in text


def test_pages_of_a_table_that_are_overwritten_are_told_with_the_artifact(damaged):
    path = damaged / LSTM / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:4] + bytes(400) + path.read_bytes()[404:])
    run = gather(damaged)
    assert run["missing"]
    assert all(line.startswith("predictions/lstm: ") for line in run["missing"])
    assert page(run)


@pytest.mark.parametrize("text", ["{bad", "[]", ""])
def test_a_record_that_is_garbled_is_named_but_not_in_what_the_artifacts_decide(damaged, text):
    before = markdown(gather(damaged))
    (path,) = (damaged / "runs/records/predictions").glob("lstm-*.json")
    path.write_text(text)
    run = gather(damaged)
    (line,) = run["unread"]
    assert line.startswith(f"runs/records/predictions/{path.name} ")
    assert page(run).index(path.name) < page(run).index('id="best"')
    assert f"missing: {line}" in terminal(run)
    assert markdown(run) == before


def test_a_gate_report_of_another_form_is_named_and_the_rest_is_shown(damaged):
    layout.write_aside(damaged / layout.gate_report("vectors", "glove"), '{"success": false}')
    (damaged / layout.pass_token("vectors", "glove")).unlink()
    run = gather(damaged)
    assert [line.partition(": ")[0] for line in run["unread"]] == ["vectors/glove"]
    assert page(run)


@pytest.fixture
def parted(whole, tmp_path) -> Path:
    """The run with a row of evaluate for each classifier, and one more that scores both."""
    root = tmp_path / "parted"
    shutil.copytree(whole, root)
    rows = [row for row in ROWS if row[2] != "classification"]
    for name, of in (("first", ["lstm"]), ("second", ["tfidf"]), ("both", ["lstm", "tfidf"])):
        rows.append(("evaluate", "scores", name, [f"predictions/{row}" for row in of]))
        scored = [Predictions(root / layout.artifact("predictions", row)) for row in of]
        classification.evaluate(scored, classification.Params(), Run(root / layout.artifact("scores", name), seed=1))
    dag = {"stages": {f"{verb}-{row}": stage(verb, row, reads) for verb, _, row, reads in rows}}
    (root / "dvc.yaml").write_text(json.dumps(dag))
    methods = ", ".join(f"{name}: {{method: classification}}" for name in ("first", "second", "both"))
    (root / "params.yaml").write_text(re.sub(r"classification: .*", methods + "}", PARAMS))
    return root


def rescored(root, name, change):
    path = root / layout.artifact("scores", name)
    rows = [change(row) for row in Scores(path).read().to_pylist()]
    with Run(path).open(Scores) as out:
        out.append(**columns(rows))


def test_several_evaluations_of_classifiers_give_one_column_for_each_figure(whole, parted):
    rescored(parted, "both", lambda row: row | {"value": row["value"] / 2, "low": None, "high": None})
    run = gather(parted)
    (now, _), (then, _) = bake_offs(run["scores"], run["stages"]), bake_offs(gather(whole)["scores"], gather(whole)["stages"])
    heads = [(column["metric"], column["on"]) for column in now["columns"]]
    assert heads == [(column["metric"], column["on"]) for column in then["columns"]]
    assert len(set(heads)) == len(heads) > 2
    assert {column["by"] for column in now["columns"]} == {""}
    accuracy = now["columns"][0]
    assert accuracy["evaluations"] == "first, second, both"
    assert {of: (cell["value"], cell["evaluation"], cell["best"]) for of, cell in accuracy["cells"].items()} == {
        "predictions/lstm": (0.6, "first", False),
        "predictions/tfidf": (0.8, "second", True),
    }
    assert 'title="n = 5, by first; both has 0.300' in page(run)


def test_methods_that_call_their_figures_the_same_have_columns_of_their_own(whole):
    run = gather(whole)
    stage, frame = run["scores"]["similarity"]
    other = type(stage)("evaluate", "other", [], method="probing")
    _, vectors = bake_offs(run["scores"] | {"other": (other, frame)}, run["stages"])
    assert [(column["metric"], column["by"]) for column in vectors["columns"]] == [("spearman", "similarity"), ("spearman", "probing")]


def test_the_best_is_looked_for_among_all_evaluations_of_the_same_documents(parted):
    shutil.rmtree(parted / layout.artifact("scores", "both"))
    best = [line for line in gather(parted)["best"] if line["kind"] == "classifier"]
    assert [(line["evaluation"], line["of"], line["among"], line["overlap"]) for line in best] == [
        ("second", "predictions/tfidf", 2, ["predictions/lstm"])
    ]
    rescored(parted, "second", lambda row: row | {"n": 4})  # of other documents nothing can be said
    best = [line for line in gather(parted)["best"] if line["kind"] == "classifier"]
    assert [(line["of"], line["among"], line["overlap"]) for line in best] == [("predictions/lstm", 1, []), ("predictions/tfidf", 1, [])]


def test_the_hash_of_what_was_scored_is_shown_beside_its_figures(whole):
    run = gather(whole)
    text = page(run)
    cards = text[text.index("<h3>Model cards</h3>") :]
    for it in run["stages"]:
        assert it.hash == layout.hash_path(whole / layout.artifact(it.noun, it.row))[:12]
        assert re.search(rf"\| {it.key} \|.*\| {it.hash} \|", markdown(run))
        assert f"<code>{it.hash}</code>" in (cards if it.noun == "predictions" else text)
        if it.noun in ("predictions", "vectors", "scores"):
            assert f'title="{it.key} {it.hash}"' in text


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
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == 11
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
        for commit, experiment in (("abc", "main"), ("def", "main"), ("fed", "imdb"), ("bad", "lectures")):
            writer.writerows([[commit, experiment, "classify/lstm", 1, metric, 0.5] for metric in ("accuracy", "log_loss")])
    run = gather(root)
    text = page(run)
    assert "<b>2</b><span>times the test split was read" in text  # of another experiment's nothing is told
    assert '<td class="name">def' in text
    assert '<td class="name">fed' not in text
    cards = {card["stage"].row: card for card in run["cards"]}
    assert [row["commit"] for row in cards["lstm"]["readings"]] == ["abc", "abc", "def", "def"]
    assert cards["tfidf"]["readings"] == []
    assert "read 2 × in this experiment: accuracy 0.5 at abc" in text
    assert "<code>wordloom final tfidf</code>" in text


def test_an_experiment_reads_the_list_of_the_main_checkout_and_is_shown_beside_it(whole, tmp_path):
    main = tmp_path / "main"
    tree = main / ".wordloom" / "imdb"
    shutil.copytree(whole, main)
    shutil.copytree(whole, tree)
    (tree / ".git").write_text("gitdir: elsewhere")
    (main / "docs").mkdir()
    (main / "docs" / "test_readings.tsv").write_text("commit\texperiment\trow\tmetric\tvalue\nabc\timdb\tclassify/lstm\taccuracy\t0.5\n")
    shutil.rmtree(tree / layout.artifact("scores", "similarity"))
    (main / "report.html").write_text("there")
    run = gather(tree)
    assert run["experiment"] == "imdb"
    assert n_readings(run["readings"]) == 1
    assert n_readings(gather(main)["readings"]) == 0
    assert [it["name"] for it in run["workspaces"]] == ["main", "imdb"]
    assert [(it["of"], sorted(it["values"])) for it in run["compared"] if it["metric"] in ("accuracy", "spearman")] == [
        ("predictions/lstm", ["imdb", "main"]), ("predictions/tfidf", ["imdb", "main"]),
        ("vectors/glove", ["main"]), ("vectors/other", ["main"]),
    ]  # fmt: skip
    text = page(run)
    assert '<a href="../../report.html">main</a>' in text
    assert "in no commit" in run["before"]["why"]
    assert "2 figures of one experiment alone" in text
    assert "Experiments" not in page(gather(whole))


def test_a_bake_off_has_the_best_first_with_its_cost_and_setting(whole):
    run = gather(whole)
    classifiers, vectors = bake_offs(run["scores"], run["stages"])
    assert [line["stage"].key for line in classifiers["lines"]] == ["predictions/tfidf", "predictions/lstm"]
    assert [line["stage"].key for line in vectors["lines"]] == ["vectors/other", "vectors/glove"]
    column = {c["metric"]: c for c in classifiers["columns"]}
    best = {metric: [cell["value"] for cell in it["cells"].values() if cell["best"]] for metric, it in column.items()}
    assert best["accuracy"] == [0.8]
    assert best["log_loss"] == [min(cell["value"] for cell in column["log_loss"]["cells"].values())]
    assert "accuracy_majority" not in column  # it has no best
    text = page(run)
    assert re.search(
        r'<td title="predictions/tfidf \w{12}"><b>tfidf</b>.*?data-v="0.8".*?data-v="61.5">62 s.*?300 MB.*?inductive', text, re.DOTALL
    )


def test_a_model_card_tells_data_labels_choice_scores_and_limits(whole):
    run = gather(whole)
    lstm, _ = run["cards"]
    assert lstm["data"] == ["news: 2 train (2 labelled), 1 valid (1 labelled), 1 test (1 labelled), 1 unlabelled (0 labelled)"]
    assert lstm["labels"] == CLASSES
    assert set(lstm["made_of"]) == {"tokens/words", "vectors/glove"}
    assert "no epoch was chosen" in lstm["chosen"]
    accuracy = next(line for line in lstm["figures"] if line["metric"] == "accuracy")
    assert (accuracy["value"], accuracy["n"]) == (0.6, 5)
    assert any(
        line.startswith("Always saying the most frequent class is right in 60.0% of valid; this one in 60.0%") for line in lstm["limits"]
    )
    assert any("smallest class of news has 1 document" in line for line in lstm["limits"])


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
    assert (
        len(re.findall(r'class="fig[^>]*>[\d.]+<br><small>0\S* to 1\S*</small>', text)) == 10
    )  # the intervals of the grid are read without a pointer
    assert [winner["of"] for winner in winners(run["best"])] == ["predictions/tfidf", "vectors/other"]
    with Run(tmp_path / "short").open(Codings) as out:
        out.append(item=["a"], coding=[[1.0, 2.0]], error=[0.0])
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


def test_a_figure_that_is_no_number_is_told_and_the_rest_is_shown(whole, tmp_path):
    root = tmp_path / "nan"
    shutil.copytree(whole, root)
    pair = {"metric": "spearman", "on": "pairs", "n": 300}
    with Run(root / layout.artifact("scores", "similarity")).open(Scores) as out:
        out.append(**columns([{"of": "vectors/glove", "value": np.nan, **pair}, {"of": "vectors/other", "value": 0.55, **pair}]))
    run = gather(root)
    assert run["missing"] == [
        "scores/similarity: spearman of vectors/glove on pairs: no finite number. Look at the gates of what was scored"
    ]
    assert [(line["of"], line["among"]) for line in run["best"] if line["metric"] == "spearman"] == [("vectors/other", 1)]
    assert ">nan<" not in page(run)


def test_tables_beside_artifacts_that_are_garbled_are_told_or_left_out(whole, tmp_path):
    root = tmp_path / "garbled"
    shutil.copytree(whole, root)
    (root / layout.artifact("vectors", "glove") / "curve.csv").write_text("epoch,loss\n1,high\n")
    (root / layout.artifact("predictions", "lstm") / "attention.csv").write_text("doc_id,weight\nb,0.5\n")
    (root / layout.artifact("predictions", "lstm") / "model.json").write_text("{")
    (root / layout.artifact("scores", "similarity") / "neighbours.csv").write_bytes(b"\xff\x00")
    (root / layout.artifact("scores", "classification") / "calibration.csv").write_text("of,bin\na,1\n")
    run = gather(root)
    assert any("could not convert string to float" in line for line in run["missing"])
    assert len(run["cards"]) == 2
    assert "tfidf" in page(run)


def test_what_dvc_metrics_shows_are_the_figures_of_the_report(whole):
    for stage, frame in gather(whole)["scores"].values():
        said = json.loads((stage.artifact.folder / "metrics.json").read_text())
        assert said == {
            of: {metric: dict(zip(some["on"], some["value"], strict=True)) for metric, some in mine.groupby("metric")}
            for of, mine in frame.groupby("of")
        }


def test_attention_is_told_of_documents_of_valid_with_what_was_said_of_them(whole, tmp_path):
    root = tmp_path / "attended"
    shutil.copytree(whole, root)
    rows = [("b", 0, EVIL, 0.75), ("b", 1, "sea", 0.25), ("of test", 0, "secret", 1.0)]
    head = ("doc_id", "place", "token", "weight")
    Run(root / layout.artifact("predictions", "lstm")).open(Predictions).csv(
        "attention", [dict(zip(head, row, strict=True)) for row in rows]
    )
    ((stage, (document,)),) = gather(root)["attention"]
    assert (stage.key, document["doc_id"], document["label"], document["right"]) == ("predictions/lstm", "b", "good", True)
    text = page(gather(root))
    assert 'style="--w: 0.33" title="25.0% of the attention">sea</span>' in text
    assert "secret" not in text
    assert Page(text).scripts == 1


def test_a_row_that_answers_with_numbers_is_shown_with_them_and_without_classes(whole, tmp_path):
    root = tmp_path / "numbers"
    shutil.copytree(whole, root)
    for noun, row in (("predictions", "lstm"), ("scores", "classification")):
        shutil.rmtree(root / layout.artifact(noun, row))
    with Run(root / layout.artifact("predictions", "lstm")).open(Predictions) as out:
        out.append("classes", class_id=[], label=[])
        out.append(
            doc_id=list("abc"), split=["valid"] * 3, answer=["number"] * 3, label=["1", "2", "3"], predicted=["2", "2", "5"],
            probabilities=np.ones((3, 1), np.float32),
        )  # fmt: skip
        out.csv("attention", [{"doc_id": "b", "place": 0, "token": "sea", "weight": 1.0}])
    numbers = Predictions(root / layout.artifact("predictions", "lstm"))
    regression.evaluate([numbers], regression.Params(), Run(root / layout.artifact("scores", "classification"), seed=1))
    run = gather(root)
    card = next(it for it in run["cards"] if it["stage"].row == "lstm")
    assert card["stage"].holds == "3 documents, answers in numbers"
    assert "Always saying the mean of valid is off by 0.816 (rmse); this one by 1.291" in card["limits"]
    assert not any("smallest class" in line for line in card["limits"])
    text = page(run)
    assert "<h4>b · is 2, taken for 2</h4>" in text
    assert "<dt>Labels<dd>numbers" in text
    furthest = text[text.index("Furthest off") :]
    assert [furthest.index(f"<td>{doc_id}") for doc_id in "cab"] == sorted(furthest.index(f"<td>{doc_id}") for doc_id in "cab")


def test_a_figure_whose_draws_did_not_differ_cannot_be_told_from_one_whose_interval_holds_it():
    """0.9 without an interval is told from 0.5, whose interval ends below it, and not from 0.8."""
    rows = [("a", 0.9, None, None), ("b", 0.8, 0.7, 0.95), ("c", 0.5, 0.4, 0.6)]
    among = pd.DataFrame([
        {"of": of, "value": value, "low": low, "high": high, "evaluation": "e", "metric": "accuracy", "on": "valid", "note": "", "n": 9}
        for of, value, low, high in rows
    ])  # fmt: skip
    assert _best(among)["overlap"] == ["b"]
    assert _best(among.assign(low=None, high=None, value=0.9))["overlap"] == []  # where no figure has an interval, none is compared

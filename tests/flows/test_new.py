"""`wordloom new`: the parameter file that it writes for data of somebody's own."""

import random
import subprocess

import pytest
from ruamel.yaml import YAML

from flows import new as starting
from pipelines import params, registry
from pipelines.errors import Fault
from tests.scratch import wordloom
from tests.support import ENV, make_project
from tests.use.test_look import rows, table

SEVEN = list(registry.VERBS)


@pytest.fixture
def main(tmp_path, monkeypatch):
    """The folder of a project, as far as this command looks at it."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "params.yaml").write_text("run: {seed: 1}\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    monkeypatch.chdir(root)
    return root


def made(main, source, **options):
    """(what the file holds, its text) of a new experiment."""
    done = starting.new(main, str(source), **{"name": None, "sample": 0, "force": False, **options})
    text = done.file.read_text()
    tree = YAML(typ="safe", pure=True).load(text)
    params.rows_of(tree)  # raises Fault unless it is a parameter file
    return tree, text


def test_labelled_texts_get_a_row_of_every_verb_and_a_reason_for_each_guess(main, tmp_path):
    tree, text = made(main, table(tmp_path / "own.csv", rows()))
    assert [verb for verb in tree if verb != "run"] == SEVEN
    assert tree["ingest"]["own"]["source"] == str(tmp_path / "own.csv")
    assert set(tree["classify"]) == {"tfidf-logreg", "lstm"}
    assert set(tree["embed"]) == {"glove", "skipgram"}
    assert "    text: body  # of the columns of words the longest, 5" in text
    assert "    label: stars  # named so, with 2 different values\n" in text


def test_texts_without_labels_are_not_classified(main, tmp_path):
    (tmp_path / "own.txt").write_text("".join(row["body"] + "\n" for row in rows()))
    tree, _ = made(main, tmp_path / "own.txt")
    assert [verb for verb in tree if verb != "run"] == [verb for verb in SEVEN if verb != "classify"]
    assert "classification" not in tree["evaluate"]


def test_a_sample_of_fewer_documents_than_none_is_refused_by_its_name(main, tmp_path):
    with pytest.raises(Fault, match="--sample is -5; it must be a number of documents, or 0 for all"):
        made(main, table(tmp_path / "own.csv", rows()), sample=-5)


def test_characters_are_the_tokens_of_a_script_without_spaces(main, tmp_path):
    rng = random.Random(1)
    (tmp_path / "own.txt").write_text("".join("".join(rng.choices("東京大阪山川田中日本語海", k=30)) + "\n" for _ in range(40)))
    tree, _ = made(main, tmp_path / "own.txt")
    assert tree["tokenize"]["characters"]["method"] == "characters"
    assert tree["embed"]["skipgram"]["tokens"] == "characters"


def test_a_graph_with_labels_learns_a_vector_of_every_node(main, tmp_path):
    table(tmp_path / "edges.csv", [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(9)])
    table(tmp_path / "labels.csv", [{"node": f"n{i}", "label": "a"} for i in range(10)])
    tree, _ = made(main, tmp_path / "edges.csv")
    assert tree["ingest"]["edges"]["labels"] == str(tmp_path / "labels.csv")
    assert tree["tokenize"]["nodes"]["vocab_splits"] == tree["embed"]["skipgram"]["splits"] == ["train", "valid", "test", "unlabelled"]
    assert made(main, tmp_path / "edges.csv", name="few", sample=100)[0]["ingest"]["few"]["walks_per_node"] == 2


def test_sequences_are_cut_into_k_mers(main, tmp_path):
    (tmp_path / "own.fa").write_text(">one\n" + "ACGT" * 3000 + "\n")
    assert made(main, tmp_path / "own.fa")[0]["tokenize"]["kmers"]["method"] == "kmers"


def test_a_folder_of_texts_and_lines_of_json_are_parameter_files_too(main, tmp_path):
    import json

    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    for i, row in enumerate(rows()):
        path = tmp_path / "texts" / row["stars"] / str(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["body"])
    assert made(main, tmp_path / "own.jsonl")[0]["ingest"]["own"]["method"] == "jsonl"
    assert made(main, tmp_path / "texts")[0]["ingest"]["texts"]["suffixes"] == []


def test_a_sample_reads_so_many_documents_and_makes_smaller_vectors(main, tmp_path):
    path = table(tmp_path / "own.csv", rows(600))
    whole, _ = made(main, path)
    sample, _ = made(main, path, sample=120)
    assert sample["ingest"]["own-sample"]["limit"] == 60  # of 2 classes each
    assert "limit" not in whole["ingest"]["own"]
    for row in ("glove", "skipgram"):
        assert sample["embed"][row]["vector_size"] < whole["embed"][row]["vector_size"]
        assert sample["embed"][row]["epochs"] < whole["embed"][row]["epochs"]


def test_a_file_that_is_there_is_not_overwritten_unless_asked(main, tmp_path):
    path = table(tmp_path / "own.csv", rows())
    made(main, path)
    file = main / "experiments" / "own.yaml"
    file.write_text("mine")
    with pytest.raises(Fault, match="is there already. Take another name"):
        made(main, path)
    assert file.read_text() == "mine"
    made(main, path, force=True)
    assert file.read_text() != "mine"


@pytest.mark.parametrize("name", ["a_b", "../a", "a b", "-a", "", "main"])
def test_a_name_that_no_experiment_can_have_is_refused(main, tmp_path, name):
    if name:
        with pytest.raises(Fault, match="cannot"):
            made(main, table(tmp_path / "own.csv", rows()), name=name)
    assert not (main / "experiments").exists()


def test_the_experiment_is_named_after_the_file(main, tmp_path):
    assert starting.named_after("my data/Reviews_2024 (final).csv.gz", 0) == "Reviews-2024-final"
    assert starting.named_after("data:graph/karate.adjlist", 500) == "karate-sample"
    with pytest.raises(Fault, match="--name NAME"):
        starting.named_after("données/評.csv", 0)
    assert "2024" in made(main, table(tmp_path / "2024.csv", rows()))[0]["ingest"]  # text, and not a number


def test_a_source_that_git_has_is_named_relative_to_the_project(main, tmp_path):
    table(main / "own.csv", rows())
    assert made(main, "own.csv")[0]["ingest"]["own"]["source"] == str(main / "own.csv")
    subprocess.run(["git", "add", "own.csv"], cwd=main, check=True)
    assert made(main, "own.csv", force=True)[0]["ingest"]["own"]["source"] == "own.csv"


def test_a_source_below_the_folder_of_data_sets_is_named_by_it_and_what_lies_beside_it_too(main, tmp_path, monkeypatch):
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path / "sets"))
    (tmp_path / "sets" / "net").mkdir(parents=True)
    for folder, source in (("net", "data:net/edges.csv"), ("", "data:edges.csv")):
        here = tmp_path / "sets" / folder
        table(here / "edges.csv", [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(9)])
        table(here / "labels.csv", [{"node": f"n{i}", "label": "a"} for i in range(10)])
        for said in (here / "edges.csv", source):
            tree, text = made(main, said, force=True)
            assert tree["ingest"]["edges"]["source"] == source
            assert tree["ingest"]["edges"]["labels"] == source.replace("edges", "labels")
            assert f'    source: "{source}"\n' in text


def test_whatever_columns_are_called_the_file_is_yaml_and_no_line_of_theirs(main, tmp_path):
    odd = ["yes", 'a: "b" # c', "x\ny: {z", "a\x85\u2028b", "null", "1e5x", "- a"]
    for i, name in enumerate(odd):
        held = [{name: row["body"], "label": row["stars"]} for row in rows()]
        tree, _ = made(main, table(tmp_path / f"a{i}.csv", held))
        assert tree["ingest"][f"a{i}"]["text"] == name


def test_the_command_shows_what_it_saw_and_names_the_next_command(main, tmp_path):
    held = rows()
    held[0]["title"] = "\x1b[31mred [bold]"
    table(tmp_path / "own.csv", held)
    done = subprocess.run(wordloom("new", str(tmp_path / "own.csv")), cwd=main, env=ENV, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Then run: wordloom experiment own\n")
    assert "\x1b" not in done.stdout
    assert "[31mred [bold]" in done.stdout
    for seen in ("60 documents", "66.7%", "Latin 100%", "of the columns of words the longest"):
        assert seen in done.stdout


def test_a_fault_is_a_line_and_nothing_is_written(main, tmp_path):
    done = subprocess.run(wordloom("new", str(tmp_path / "none.csv")), cwd=main, env=ENV, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fault: source ")
    outside = subprocess.run(wordloom("new", "own.csv"), cwd=tmp_path, env=ENV, capture_output=True, text=True)
    assert "no project here" in outside.stderr
    assert not (main / "experiments").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_sample_of_a_csv_goes_through_all_stages_to_a_report(tmp_path):
    root = make_project(tmp_path / "project")
    table(tmp_path / "own.csv", rows(600))
    for command in (["new", str(tmp_path / "own.csv"), "--sample", "200"], ["experiment", "own-sample"]):
        done = subprocess.run(["python", "-m", "flows", *command], cwd=root, env=ENV, capture_output=True, text=True, timeout=1000)
        assert done.returncode == 0, done.stdout + done.stderr
    report = (root / ".wordloom" / "own-sample" / "report.html").read_text()
    assert "accuracy" in report
    for verb in ("classify/lstm", "classify/tfidf-logreg", "embed/glove"):
        assert verb in report

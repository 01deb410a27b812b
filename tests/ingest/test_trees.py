"""Trees with a label at each node."""

import pytest
from pydantic import ValidationError

from pipelines.ingest.trees import Params, ingest, parsed
from pipelines.method import Run
from pipelines.tokenize import whitespace

LOVELY = "(3 (2 It) (4 (2 's) (4 (3 a) (4 (4 lovely) (2 film)))))"
PLAIN = "(1 (2 Not) (3 good))"
NEITHER = "(2 (2 A) (2 -LRB-film-RRB-))"


def corpus_of(tmp_path, *lines, name="train.txt", **knobs):
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return ingest(Params(source=str(tmp_path / name), **{"valid_share": 0.0, "test_share": 0.0, **knobs}), Run(tmp_path / "out", seed=1))


def rows(corpus, *columns):
    return [tuple(row.values()) for row in corpus.read().select(list(columns)).to_pylist()]


def test_a_document_keeps_its_tree_and_no_label_but_the_roots(tmp_path):
    made = corpus_of(tmp_path, LOVELY, "", NEITHER)
    assert rows(made, "doc_id", "text", "label") == [
        ("line-000000001", "( It ( 's ( a ( lovely film ) ) ) )", "3"),
        ("line-000000003", "( A -LRB-film-RRB- )", "2"),
    ]


def test_or_its_words_alone(tmp_path):
    assert rows(corpus_of(tmp_path, LOVELY, text="words"), "text", "label") == [("It 's a lovely film", "3")]


def test_labels_of_nodes_stay_in_the_text_of_train_alone(tmp_path):
    for name in ("valid", "test"):
        (tmp_path / name).write_text(f"{LOVELY.replace('It', name)}\n")
    made = corpus_of(tmp_path, PLAIN, node_labels=True, valid=str(tmp_path / "valid"), test=str(tmp_path / "test"))
    assert rows(made, "text", "split") == [
        ("(1 (2 Not ) (3 good ) )", "train"),
        ("( valid ( 's ( a ( lovely film ) ) ) )", "valid"),
        ("( test ( 's ( a ( lovely film ) ) ) )", "test"),
    ]


@pytest.mark.parametrize("knobs", [{}, {"valid": "v"}, {"valid": "v", "test": "t", "text": "words"}])
def test_labels_of_nodes_are_refused_where_valid_might_be_drawn_from_train(knobs):
    with pytest.raises(ValidationError, match="node_labels wants text: tree, and files for valid and test"):
        Params(node_labels=True, **knobs)


def test_two_classes_leave_the_neutral_trees_out_and_count_them(tmp_path):
    for name in ("valid", "test"):
        (tmp_path / name).write_text("(0 a)\n")
    made = corpus_of(
        tmp_path,
        LOVELY,
        PLAIN,
        NEITHER,
        binary=True,
        node_labels=True,
        valid=str(tmp_path / "valid"),
        test=str(tmp_path / "test"),
        leaks=False,
    )
    assert rows(made, "text", "label", "split")[:2] == [
        ("(positive ( It ) (positive ( 's ) (positive (positive a ) (positive (positive lovely ) ( film ) ) ) ) )", "positive", "train"),
        ("(negative ( Not ) (positive good ) )", "negative", "train"),
    ]
    assert ("neutral", 1) in [(row["step"], row["n_documents"]) for row in made.read("cleaning").to_pylist()]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("(3 (2 a) (2 b)", "a bracket is not closed"),
        ("(3 a))", "')' stands after its end"),
        (") (3 a)", "a bracket is closed that was not opened"),
        ("a film", "it begins with 'a', not with a bracket"),
        ("(3 (2) (2 b))", "a node has no word"),
        ("( (2 a) (2 b))", "its root has no label"),
    ],
)
def test_what_is_no_tree_is_rejected_by_its_line(tmp_path, line, reason):
    made = corpus_of(tmp_path, PLAIN, line)
    assert [(row["where"], row["reason"]) for row in made.read("rejects").to_pylist()] == [("train.txt: line 2", f"is no tree: {reason}")]


def test_a_node_may_have_any_number_of_children():
    assert parsed("(1 (2 a) b (3 c))").children[1:] == ["b", ("3", ["c"])]


def test_whitespace_gives_the_brackets_and_words_as_tokens(tmp_path):
    tokens = whitespace.tokenize(corpus_of(tmp_path, LOVELY), whitespace.Params(), Run(tmp_path / "tokens"))
    words = tokens.words()
    assert "".join(words[i] for i in tokens.ids(["train"])[0]) == "(It('s(a(lovelyfilm))))"

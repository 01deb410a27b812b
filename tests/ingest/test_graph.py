"""Graphs: every form of the source gives the same walks, and what is wrong with one is told with its line."""

import csv
import gzip
import os
from collections import Counter
from itertools import pairwise, permutations
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import Fault
from pipelines.expect import validate
from pipelines.ingest import graph
from pipelines.ingest.graph import Params, ingest
from pipelines.method import Run
from tests.support import HOME, RUN, make_project, run

# two triangles and an edge between them
EDGES = ["a b", "b c", "c a", "c d", "d e", "e f", "f d"]


def corpus_of(tmp_path, content, name="graph.txt", out="out", seed=1, **knobs):
    source = tmp_path / name
    if isinstance(content, list):
        content = "\n".join(content) + "\n"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    if "labels" in knobs:
        (tmp_path / "labels.csv").write_text(knobs["labels"])
        knobs["labels"] = str(tmp_path / "labels.csv")
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / out, name="ingest/g", seed=seed, show=True))


def faults_of(tmp_path, content, **knobs):
    with pytest.raises(Fault) as caught:
        corpus_of(tmp_path, content, **knobs)
    return caught.value.faults


def steps_of(corpus):
    return Counter(pair for text in corpus.read()["text"].to_pylist() for pair in pairwise(text.split()))


def test_each_node_starts_its_walks_and_each_step_is_an_edge(tmp_path):
    rows = corpus_of(tmp_path, EDGES, walks_per_node=5, walk_length=7, p=0.5, q=2).read().to_pylist()
    assert Counter(row["group"] for row in rows) == dict.fromkeys("abcdef", 5)
    edges = {frozenset(edge.split()) for edge in EDGES}
    for i, row in enumerate(rows):
        nodes = row["text"].split(" ")
        assert row["doc_id"] == f"walk-{i + 1:09d}/{nodes[0]}"
        assert row["group"] == nodes[0]
        assert len(nodes) == 7
        assert {frozenset(pair) for pair in pairwise(nodes)} <= edges
        assert (row["label"], row["split"]) == (None, "unlabelled")


def test_every_pass_begins_at_every_node_in_another_order(tmp_path):
    groups = corpus_of(tmp_path, EDGES, walks_per_node=3).read()["group"].to_pylist()
    passes = [groups[i : i + 6] for i in range(0, 18, 6)]
    assert all(sorted(one) == list("abcdef") for one in passes)
    assert len(set(map(tuple, passes))) == 3


def parquet(columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


PAIRS = [edge.split() for edge in EDGES]
NEIGHBOURS = {node: sorted({other for pair in PAIRS if node in pair for other in pair} - {node}) for node in "abcdef"}
FORMS = {
    "graph.txt": "\n".join(["# a comment", "", *EDGES]),
    "header.txt": "\n".join(["source target", *EDGES]),
    "bom.txt": b"\xef\xbb\xbf" + "\r\n".join(EDGES).encode(),
    "utf16.txt": "\n".join(EDGES).encode("utf-16"),
    "turned.edges": "\n".join("\t".join(pair[::-1]) for pair in PAIRS[::-1]),
    "graph.txt.gz": gzip.compress("\n".join(EDGES).encode()),
    "graph.csv": "n,target,source\n" + "".join(f'1,"{b}", {a} \n' for a, b in PAIRS),
    "graph.tsv": "source\ttarget\n\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS),
    "graph.parquet": parquet({"source": [a for a, _ in PAIRS], "target": [b for _, b in PAIRS]}),
    "both.adjlist": "\n".join(" ".join([node, *others]) for node, others in NEIGHBOURS.items()),
    "once.adjlist": "# as NetworkX writes it\n"
    + "\n".join(" ".join([n, *(o for o in others if o > n)]) for n, others in NEIGHBOURS.items()),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_graph_in_any_order_gives_the_same_corpus(tmp_path, name):
    wanted = corpus_of(tmp_path, EDGES).read()
    assert corpus_of(tmp_path, FORMS[name], name, out="other").read().equals(wanted)


def test_several_files_are_one_graph(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "1.txt").write_text("\n".join(EDGES[:3]))
    (tmp_path / "parts" / "2.txt").write_text("\n".join(EDGES[3:]))
    found = ingest(Params(source=str(tmp_path / "parts")), Run(tmp_path / "two", seed=1)).read()
    assert found.equals(corpus_of(tmp_path, EDGES).read())


def test_numbers_name_nodes_as_text_does(tmp_path):
    content = parquet({"source": [0, 0, 1], "target": [1, 2, 2]})
    found = corpus_of(tmp_path, content, "n.parquet").read()
    assert found.equals(corpus_of(tmp_path, ["0 1", "0 2", "1 2"], out="text").read())


def test_the_seed_decides_the_walks_and_the_threads_do_not(tmp_path):
    made = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        made.append((corpus_of(tmp_path, EDGES, p=0.25, q=4, out=f"t{threads}").folder / "corpus.parquet").read_bytes())
    assert made[0] == made[-1]
    other = corpus_of(tmp_path, EDGES, p=0.25, q=4, out="seed", seed=2).folder / "corpus.parquet"
    assert other.read_bytes() != made[0]


def test_batches_of_walks_decide_nothing(tmp_path, monkeypatch):
    wanted = corpus_of(tmp_path, EDGES).read()
    monkeypatch.setattr(graph, "BATCH", 160)  # two walks
    assert corpus_of(tmp_path, EDGES, out="small").read().equals(wanted)


def test_steps_go_by_weight_and_the_weights_of_an_edge_that_stands_there_twice_are_summed(tmp_path, capsys):
    lines = ["source,target,w", "a,b,1", "b,a,2", "a,c,1"]
    steps = steps_of(corpus_of(tmp_path, lines, "w.csv", weight="w", walks_per_node=300))
    share = steps["a", "b"] / (steps["a", "b"] + steps["a", "c"])
    assert share == pytest.approx(0.75, abs=0.02)
    assert "3 nodes, 2 undirected edges; 1 that stood there again are merged" in capsys.readouterr().out


def test_the_sum_of_an_edges_weights_does_not_depend_on_their_order():
    sums = set()
    for order in permutations([1.0, 2**-53, 2**-53]):  # 1 + 2**-53 is 1 again, 2**-53 + 2**-53 is not lost
        edges = graph.Edges(["a", "b"], np.int32([[0, 1], [1, 0], [0, 1]]), np.array(order), False, [], [])
        sums.add(float(graph.merged(edges.ends, edges, Params())[2][0]))
    assert len(sums) == 1


def test_without_weights_an_edge_that_stands_there_twice_is_one_edge(tmp_path, capsys):
    found = corpus_of(tmp_path, [*EDGES, "b a", "a b"], out="twice").read()
    assert "7 undirected edges; 2 that stood there again are merged" in capsys.readouterr().out
    assert found.equals(corpus_of(tmp_path, EDGES).read())


def test_a_list_of_neighbours_that_tells_an_edge_from_both_ends_repeats_nothing(tmp_path, capsys):
    corpus_of(tmp_path, FORMS["both.adjlist"], "both.adjlist")
    assert "7 undirected edges; 0 that stood there again" in capsys.readouterr().out
    corpus_of(tmp_path, "a b b\nb a\n", "again.adjlist")
    assert "1 undirected edges; 1 that stood there again" in capsys.readouterr().out


def test_directed_edges_are_walked_one_way_and_a_dead_end_ends_the_walk(tmp_path, capsys):
    texts = corpus_of(tmp_path, ["a b", "b c"], directed=True, walks_per_node=1).read()["text"].to_pylist()
    assert sorted(texts) == ["a b c", "b c", "c"]
    assert "3 nodes, 2 directed edges; 0 that stood there again are merged, 0 self loops dropped, 0 nodes" in capsys.readouterr().out


def test_a_self_loop_is_dropped_and_counted_and_no_reject(tmp_path, capsys):
    corpus = corpus_of(tmp_path, ["a b", "b b", "b c", "c c"], name="loops.txt", walk_length=4)
    assert ("b", "b") not in steps_of(corpus)
    assert "2 self loops dropped" in capsys.readouterr().out
    assert corpus.read("rejects").num_rows == 0
    assert {row["step"]: row["n_documents"] for row in corpus.read("cleaning").to_pylist()} == {"records": 4, "self_loops": 2}


def test_an_isolated_node_is_a_walk_of_itself(tmp_path, capsys):
    texts = corpus_of(tmp_path, "a b\nc\n", "alone.adjlist", walks_per_node=2, walk_length=3).read()["text"].to_pylist()
    assert texts.count("c") == 2
    assert "1 nodes are isolated" in capsys.readouterr().out
    assert faults_of(tmp_path, ["a b", "c c"], isolated="refuse")[0].endswith(
        "1 nodes have no edge to another, first 'c'. Take them out, or say isolated: keep"
    )


def test_with_labels_a_walk_has_the_label_and_the_split_of_the_node_it_starts_at(tmp_path):
    lines = [f"n{i} n{i + 1}" for i in range(40)]
    labels = "node,label\n" + "".join(f"n{i}, {'odd' if i % 2 else 'even'} \n" for i in range(40))
    rows = corpus_of(tmp_path, lines, labels=labels, valid_share=0.2, test_share=0.1).read().to_pylist()
    of_node = {row["group"]: (row["label"], row["split"]) for row in rows}
    assert all(of_node[row["group"]] == (row["label"], row["split"]) for row in rows)
    assert Counter(of_node.values()) == {
        **{(label, "train"): 14 for label in ("odd", "even")},
        **{(label, "valid"): 4 for label in ("odd", "even")},
        **{(label, "test"): 2 for label in ("odd", "even")},
        (None, "unlabelled"): 1,
    }
    again = corpus_of(tmp_path, lines[::-1], labels=labels, valid_share=0.2, test_share=0.1, out="again").read().to_pylist()
    assert again == rows


@pytest.mark.parametrize(
    ("content", "knobs", "message"),
    [
        ("", {}, r"has no edge between two nodes\. It must have one, and its form follows from the ending"),
        ("# nothing\n", {}, "has no edge between two nodes"),
        ("a a\n", {}, "has no edge between two nodes; it has 1 from a node to itself, which are dropped"),
        ("a b\nc\n", {}, "^graph.txt line 2: has 1 field; an edge is SOURCE TARGET$"),
        ("a b 2\n", {}, "^graph.txt line 1: has 3 fields; an edge is SOURCE TARGET. For a third as the weight, say weight: weight$"),
        ("a b\n", {"weight": "w"}, "line 1: has 2 fields; an edge is SOURCE TARGET WEIGHT$"),
        ("a b 1\na c -1\n", {"weight": "w"}, "line 2: weight '-1' is not a number from 1e-30 to 1e30"),
        ("a b 0\n", {"weight": "w"}, "line 1: weight '0'"),
        ("a b nan\n", {"weight": "w"}, "line 1: weight 'nan'"),
        ("a b inf\n", {"weight": "w"}, "line 1: weight 'inf'"),
        ("a b heavy\n", {"weight": "w"}, "line 1: weight 'heavy'"),
        ("a b\nc c\n", {"self_loops": "refuse"}, "line 2: node 'c' has an edge to itself. Take it out, or say self_loops: drop"),
        (b"a b\n\xe9 b\n", {}, r"line 2: is not UTF-8 \(byte 0xe9\)\. Convert"),
        ("a b\0c\n", {}, r"line 1: node 'b\\x00c' has white space or a NUL character"),
        ("a " + "b" * 1001, {}, "line 1: node 'bbbbbbbbbbbbbbbbbbbb'... has a name of 1,001 characters"),
    ],
)
def test_what_is_wrong_with_a_list_of_edges_is_told_with_its_line(tmp_path, content, knobs, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, content, **knobs)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.csv", "source,tarjet\na,b\n", r"g.csv has no column 'target'; it has source, tarjet\. Did you mean 'tarjet'\?"),
        ("g.csv", "source,target,target\na,b,c\n", "has 2 columns named 'target'"),
        ("g.csv", "", "g.csv has no column 'source'; it is empty"),
        ("g.csv", "source,target\na,b\nc\n", "g.csv line 3: has 1 cells, and the header 2"),
        ("g.csv", "source,target\nnew york,b\n", "g.csv line 2: node 'new york' has white space"),
        ("g.csv", "source,target\n,b\n", "g.csv line 2: a node has no name"),
        ("g.csv", 'source,target\na,"b\n', "g.csv line 2: is not CSV"),
        ("g.parquet", parquet({"source": ["a"], "target": [None]}), "g.parquet row 1: a node has no name"),
        ("g.parquet", parquet({"from": ["a"], "target": ["b"]}), "g.parquet has no column 'source'; it has from, target"),
        ("g.parquet", parquet({"source": [[1]], "target": ["b"]}), "cannot be read as Parquet of text and numbers"),
        ("g.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("g.gz", b"a b\n", "is not a whole gz file"),
    ],
)
def test_what_is_wrong_with_a_table_of_edges_is_told_with_its_row(tmp_path, name, content, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, content, name)


def test_a_list_of_neighbours_has_no_weights(tmp_path):
    with pytest.raises(Fault, match="has no place for a weight"):
        corpus_of(tmp_path, "a b\n", form="adjacency", weight="w")


def test_all_faults_of_a_file_are_told_at_once_and_of_many_the_first_ten(tmp_path):
    told = faults_of(tmp_path, ["a b 1", "a b -1", "c", "d e x"], weight="w")
    assert [line.split(":")[0] for line in told] == ["graph.txt line 2", "graph.txt line 3", "graph.txt line 4"]
    told = faults_of(tmp_path, ["a"] * 1000)
    assert len(told) == 11
    assert told[-1] == "and 990 more of them"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("node,label\na,x\nz,y\n", "labels.csv line 3: node 'z' is not in the graph"),
        ("node,label\na,x\na,y\n", "labels.csv line 3: node 'a' is 'y', and was 'x' before"),
        ("node,topic\na,x\n", "labels.csv has no column 'label'; it has node, topic"),
        ("node,label\na, \n", "has no label for any node"),
    ],
)
def test_labels_that_do_not_fit_the_graph_are_told_with_their_line(tmp_path, labels, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, EDGES, labels=labels)


def test_labels_in_a_file_of_another_kind_are_refused(tmp_path):
    (tmp_path / "labels.txt").write_text("a x\n")
    (tmp_path / "graph.txt").write_text("a b\n")
    with pytest.raises(Fault, match=r"labels are read from \.csv, \.tsv or \.parquet"):
        ingest(Params(source=str(tmp_path / "graph.txt"), labels=str(tmp_path / "labels.txt")), Run(tmp_path / "out"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Fault, match=r"none\.txt is missing"):
        ingest(Params(source=str(tmp_path / "none.txt")), Run(tmp_path / "out"))


def test_dvc_tracks_the_graph_and_its_labels_unless_they_are_data_sets():
    assert graph.sources(Params(source="my/g.txt", labels="my/l.csv")) == ["my/g.txt", "my/l.csv"]
    assert graph.sources(Params(source="data:graph/karate.adjlist")) == []


def test_the_corpus_passes_its_gate_with_labels_for_some(tmp_path):
    corpus = corpus_of(tmp_path, EDGES, labels="node,label\na,x\nb,x\nd,y\ne,y\n")
    corpus.verify()
    results, _ = validate(corpus)
    assert results
    assert [result for result in results if not result["success"]] == []


KARATE = Path(os.environ.get("WORDLOOM_DATA", "none")) / "graph" / "karate.adjlist"


@pytest.mark.slow
@pytest.mark.skipif(not KARATE.is_file(), reason="WORDLOOM_DATA names no folder with graph/karate.adjlist in it")
def test_the_karate_experiment_finds_the_friends_of_two_members_of_either_side(tmp_path):
    rows = (HOME / "experiments" / "graph-karate.yaml").read_text().replace(RUN, "")
    project = make_project(tmp_path / "karate", rows)
    run(project, "dvc", "repro")
    with (project / "data" / "7_scores" / "neighbours" / "neighbours.csv").open() as file:
        found = [(row["of"], row["word"], row["neighbour"]) for row in csv.DictReader(file)]
    for of in ("vectors/deepwalk", "vectors/node2vec"):
        assert {neighbour for *which, neighbour in found if which == [of, "17"]} == {"1", "5", "6", "7", "11"}
        assert {neighbour for *which, neighbour in found if which == [of, "25"]} == {"24", "26", "28", "29", "32"}

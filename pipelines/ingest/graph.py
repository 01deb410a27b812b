"""Graph: random walks as documents, so that nodes get vectors the way words do.

reads   source, labels   edges, or nodes with their neighbours; a topic for each node, or for some
writes  corpus    a document is a walk, the names of its nodes with a space between: cut it with tokenize/whitespace.
                  group = the node it starts at, doc_id = walk-NUMBER/NODE; label and split are those of that node
source  Perozzi, Al-Rfou, Skiena 2014 (DeepWalk: p = q = 1); Grover, Leskovec 2016 (node2vec)
shapes  N nodes, N x walks_per_node walks of up to walk_length nodes

Forms of the source, .gz, .bz2 or .xz of them too:
.csv, .tsv, .parquet   edges, a row each, in named columns
.adjlist               a node and its neighbours a line, split at white space; lines that begin with # or % are comments
any other              two nodes a line (and a weight, if the row names one), split at white space; comments as above

Without labels all walks are unlabelled. With them the nodes that have one are divided into train, valid and test, the
same share of every label, and a walk belongs to the part of its start. A walk goes wherever edges lead: the vectors are
transductive, as in both papers. Let vocab_splits of tokenize and splits of embed name all four, or some nodes get no vector.
"""

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pipelines.artifacts.corpus import RECORDS, Corpus
from pipelines.errors import Fault, nearest
from pipelines.kernels.splits import stratified
from pipelines.kernels.walks import Graph, graph, walk
from pipelines.method import Knobs, Run
from pipelines.sources import ending, files, lines, located, paths

N_EXAMPLES = 10  # faults named
LONGEST_NAME = 1000  # characters; what is longer was not meant for a list of edges
BATCH = 2**20  # nodes of walks in memory at a time
ROWS = 65_536  # of a Parquet file in memory at a time


class Params(Knobs):
    source: str = "graph.txt"  # a path, data:NAME below WORDLOOM_DATA, or an address; several files are one graph
    sha256: str | None = None  # of what is downloaded
    form: Literal["auto", "edges", "adjacency"] = "auto"  # auto: adjacency for .adjlist, else edges
    source_column: str = "source"  # columns of CSV, TSV and Parquet
    target_column: str = "target"
    weight: str | None = None  # the column, above 0; in text split at white space the third field. None: all edges weigh the same
    directed: bool = False
    self_loops: Literal["drop", "refuse"] = "drop"  # dropped ones are counted in the table cleaning
    isolated: Literal["keep", "refuse"] = "keep"  # a node without edges has walks of one node, and a vector that nobody trained
    labels: str | None = None  # CSV, TSV or Parquet with columns node and label, as `source` but for addresses; an empty cell is no label
    valid_share: float = Field(0.15, ge=0, lt=0.5)  # of the nodes that have a label
    test_share: float = Field(0.15, ge=0, lt=0.5)
    walks_per_node: int = Field(10, ge=1)  # node2vec's r; DeepWalk's is 80
    walk_length: int = Field(80, ge=2, le=1000)  # nodes; node2vec's l; DeepWalk's is 40
    # 1 and 1 is DeepWalk. Wider apart than 100 x 100 the draws by rejection would get slow; the paper tries 0.25 to 4
    p: float = Field(1.0, ge=0.01, le=100)  # a step straight back weighs 1/p
    q: float = Field(1.0, ge=0.01, le=100)  # one to where the last node has no edge to, 1/q: below 1 the walk goes far


def sources(params: Params) -> list[str]:
    return [*paths(params.source), *(paths(params.labels) if params.labels else [])]


def ingest(params: Params, run: Run) -> Corpus:
    edges = read_edges(params, run)
    names, walkable = build(edges, params, run)
    label_of, split_of = divide(names, params, run)
    per_batch = max(1, BATCH // params.walk_length)
    first = 0
    with run.open(Corpus) as out, run.progress(len(names) * params.walks_per_node, "walks") as bar:
        for step, n in ((RECORDS, edges.n_records), ("self_loops", edges.n_loops)):
            out.append("cleaning", step=[step], split=["unlabelled"], n_documents=[n])
        for _ in range(params.walks_per_node):
            # every node once, in a new order each time (DeepWalk, algorithm 1)
            order = run.rng.permutation(len(names)).astype(np.int32)
            for at in range(0, len(order), per_batch):
                starts = order[at : at + per_batch]
                walks, lengths = walk(walkable, starts, first, params.walk_length, params.p, params.q, run.seed)
                groups = names.take(pa.array(starts))
                out.append(
                    doc_id=[f"walk-{first + i + 1:09d}/{node}" for i, node in enumerate(groups.to_pylist())],
                    text=texts(walks, lengths, names),
                    label=label_of.take(pa.array(starts)),
                    split=split_of.take(pa.array(starts)),
                    group=groups,
                )
                first += len(starts)
                bar.advance(len(starts))
    return out.artifact


def texts(walks: np.ndarray, lengths: np.ndarray, names: pa.Array) -> pa.Array:
    """The names of each walk's nodes, a space between."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, names.take(pa.array(walks[walks >= 0]))), " ")


# what the source says


class Edges(NamedTuple):
    names: list[str]  # code -> node, in the order of first sighting
    ends: np.ndarray  # (M, 2) int32 codes, as they stand in the source, without self loops
    weights: np.ndarray  # (M,) float64, ones where there are none
    mirrored: bool  # an undirected edge may well stand there from both of its ends
    n_records: int  # edges, and nodes alone, that were read
    n_loops: int


class Faults:
    """All that is wrong with a source; the first few are told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.n = 0

    def add(self, where: str, what: str) -> None:
        self.n += 1
        if self.n <= N_EXAMPLES:
            self.told.append(f"{where}: {what}")

    def check(self) -> None:
        if self.n:
            raise Fault(self.told + [f"and {self.n - len(self.told):,} more of them"] * (self.n > len(self.told)))


def read_edges(params: Params, run: Run) -> Edges:
    """The edges of all files of the source. Raises Fault with what is wrong with them, each with its file and line."""
    faults = Faults()
    code_of: dict[str, int] = {}
    ends, weights = array("i"), array("d")
    n_records = n_loops = 0
    mirrored = False
    for path in files(params.source, run, sha256=params.sha256):
        adjacency = params.form == "adjacency" or (params.form == "auto" and ending(path) == ".adjlist")
        if adjacency and params.weight:
            raise Fault(
                f"{path.name} is a list of neighbours, which has no place for a weight. Take `weight` out of the row, or give edges"
            )
        mirrored |= adjacency and not params.directed
        with run.progress(None, "edges", f"reading {path.name}") as bar:
            for where, source, target, weight in neighbours_in(path, faults) if adjacency else edges_in(path, params, faults):
                n_records += 1
                n_before = faults.n
                for name in (source, target):
                    if name is not None and name not in code_of and (fault := fault_of(name)):
                        faults.add(where, fault)
                number = weight_of(weight) if weight is not None else 1.0
                if math.isnan(number):
                    faults.add(
                        where, f"weight {weight!r} is not a number from 1e-30 to 1e30, as a weight must be. Mend it, or leave the edge out"
                    )
                if faults.n > n_before:
                    continue
                code = code_of.setdefault(source, len(code_of))
                if source == target:
                    n_loops += 1
                    if params.self_loops == "refuse":
                        faults.add(where, f"node {source!r} has an edge to itself. Take it out, or say self_loops: drop")
                elif target is not None:
                    ends.extend((code, code_of.setdefault(target, len(code_of))))
                    weights.append(number)
                bar.advance()
    faults.check()
    if not ends:
        seen = f"; it has {n_loops:,} from a node to itself, which are dropped" if n_loops else ""
        raise Fault(f"{params.source} has no edge between two nodes{seen}. It must have one, and {FORMS}")
    return Edges(list(code_of), np.array(ends, np.int32).reshape(-1, 2), np.array(weights), mirrored, n_records, n_loops)


FORMS = (
    "its form follows from the ending: .csv, .tsv, .parquet, .adjlist (a node and its neighbours a line), any other for two nodes a line"
)


def fault_of(name: str) -> str | None:
    """Why a node cannot be called that."""
    if not name:
        return "a node has no name. Give it one, or leave the edge out"
    if len(name) > LONGEST_NAME:
        return f"node {name[:20]!r}... has a name of {len(name):,} characters; it must be {LONGEST_NAME} at most. Is this a list of edges?"
    if name.split() != [name] or "\0" in name:
        return f"node {name!r} has white space or a NUL character in its name, where a walk would be cut. Write _ for it"
    return None


def weight_of(text: str) -> float:
    """NaN for what is no weight. Within these bounds sums of weights are float32 above 0, too."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if 1e-30 <= number <= 1e30 else math.nan


Edge = tuple[str, str, str | None, str | None]  # where it stands, source, target (None: the node alone), weight


def edges_in(path: Path, params: Params, faults: Faults) -> Iterator[Edge]:
    columns = [params.source_column, params.target_column, *([params.weight] if params.weight else [])]
    if is_table(path):
        for where, cells in cells_in(path, columns, faults):
            yield where, cells[0], cells[1], cells[2] if params.weight else None
        return
    wanted = "SOURCE TARGET WEIGHT" if params.weight else "SOURCE TARGET"
    hint = "" if params.weight else ". For a third as the weight, say weight: weight"
    for where, fields in fields_in(path, faults):
        if len(fields) == len(columns):
            if fields != columns:  # else it is a header
                yield where, fields[0], fields[1], fields[2] if params.weight else None
        else:
            faults.add(where, f"has {len(fields)} field{'s' * (len(fields) > 1)}; an edge is {wanted}{hint * (len(fields) == 3)}")


def neighbours_in(path: Path, faults: Faults) -> Iterator[Edge]:
    for where, (node, *neighbours) in fields_in(path, faults):
        if not neighbours:
            yield where, node, None, None
        for neighbour in neighbours:
            yield where, node, neighbour, None


def fields_in(path: Path, faults: Faults) -> Iterator[tuple[str, list[str]]]:
    """(where, fields) of each line split at white space, comments and empty lines passed over."""
    for where, text in text_in(path, faults):
        fields = text.split()
        if fields and fields[0][0] not in "#%":
            yield where, fields


def text_in(path: Path, faults: Faults) -> Iterator[tuple[str, str]]:
    for number, line in lines(path):
        where = f"{path.name} line {number}"
        try:
            yield where, line.decode()
        except UnicodeDecodeError as err:
            faults.add(where, f"is not UTF-8 (byte 0x{line[err.start]:02x}). Convert the file to UTF-8")


def is_table(path: Path) -> bool:
    return ending(path) in (".csv", ".tsv", ".parquet")


def cells_in(path: Path, columns: list[str], faults: Faults) -> Iterator[tuple[str, list[str]]]:
    """(where, cells of those columns) of each row of a CSV, TSV or Parquet file; an empty cell is ''."""
    if ending(path) == ".parquet":
        yield from cells_of_parquet(path, columns)
    else:
        yield from cells_of_csv(path, columns, faults)


def cells_of_parquet(path: Path, columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            check_columns(path, columns, file.schema_arrow.names)
            for batch in file.iter_batches(ROWS, columns=columns):
                cells = [batch.column(name).cast(pa.string()).fill_null("").to_pylist() for name in columns]
                for row in zip(*cells, strict=True):
                    number += 1
                    yield f"{path.name} row {number}", list(row)
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{path.name} cannot be read as Parquet of text and numbers: {err}. Write it again") from err


def cells_of_csv(path: Path, columns: list[str], faults: Faults) -> Iterator[tuple[str, list[str]]]:
    import csv

    at = ""  # the line that was read last, since a cell may go over several

    def decoded() -> Iterator[str]:
        nonlocal at
        for where, text in text_in(path, faults):
            at = where
            yield text + "\n"

    rows = csv.reader(decoded(), delimiter="\t" if ending(path) == ".tsv" else ",", strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        check_columns(path, columns, header)
        places = [header.index(name) for name in columns]
        for row in rows:
            if row and len(row) != len(header):
                faults.add(at, f"has {len(row)} cells, and the header {len(header)}. Mend the line")
            elif row:
                yield at, [row[place].strip() for place in places]
    except csv.Error as err:
        raise Fault(f"{at or path.name}: is not CSV ({err}). Mend its quotes") from err


def check_columns(path: Path, wanted: list[str], there: list[str]) -> None:
    has = f"it has {', '.join(there)[:500]}" if there else "it is empty"
    wrong = [f"{path.name} has no column {name!r}; {has}.{nearest(name, there)}" for name in wanted if name not in there]
    wrong += [f"{path.name} has {there.count(name)} columns named {name!r}. Rename all but one" for name in wanted if there.count(name) > 1]
    if wrong:
        raise Fault(wrong)


# from edges to a graph


def build(edges: Edges, params: Params, run: Run) -> tuple[pa.Array, Graph]:
    """(N,) names in ascending order and the graph of them; the order of the source decides nothing."""
    by_name = sorted(range(len(edges.names)), key=edges.names.__getitem__)
    names = pa.array([edges.names[code] for code in by_name], pa.string())
    node_of = np.empty(len(names), np.int32)
    node_of[by_name] = np.arange(len(names))
    source, target, weights, n_doubles = merged(node_of[edges.ends], edges, params)
    if not params.directed:
        source, target, weights = np.concatenate([source, target]), np.concatenate([target, source]), np.tile(weights, 2)
    order = np.lexsort((target, source))
    n_out = np.bincount(source, minlength=len(names))
    alone = np.flatnonzero(n_out + np.bincount(target, minlength=len(names)) == 0)
    if len(alone) and params.isolated == "refuse":
        told = ", ".join(repr(name) for name in names.take(pa.array(alone[:N_EXAMPLES])).to_pylist())
        raise Fault(f"{params.source}: {len(alone):,} nodes have no edge to another, first {told}. Take them out, or say isolated: keep")
    run.say(
        f"{len(names):,} nodes, {len(source) // (1 if params.directed else 2):,} {'' if params.directed else 'un'}directed edges; "
        f"{n_doubles:,} that stood there again are merged, {edges.n_loops:,} self loops dropped, {len(alone):,} nodes are isolated"
    )
    indptr = np.concatenate([[0], np.cumsum(n_out)])
    return names, graph(indptr, target[order], weights[order].astype(np.float32) if params.weight else None)


def merged(ends: np.ndarray, edges: Edges, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Each edge once, the weights of those that stand there several times summed: source, target, weight, how many went.

    An undirected edge has two names; that a list of neighbours tells it from both ends is no repetition.
    """
    n = int(ends.max()) + 1
    told = ends[:, 0].astype(np.int64) * n + ends[:, 1]
    if not params.directed:
        ends = np.sort(ends, axis=1)
    key = ends[:, 0].astype(np.int64) * n + ends[:, 1]
    order = np.lexsort((edges.weights, key))  # the weights too: a sum of floats depends on the order
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    weights = np.add.reduceat(edges.weights[order], begins)
    once = key[order][begins]
    n_doubles = len(key) - (len(np.unique(told)) if edges.mirrored else len(once))
    return (once // n).astype(np.int32), (once % n).astype(np.int32), weights, n_doubles


# labels


def divide(names: pa.Array, params: Params, run: Run) -> tuple[pa.Array, pa.Array]:
    """(N,) label or null, and split, of each node."""
    label_of = read_labels(names, params.labels) if params.labels else {}
    shares = {"valid": params.valid_share, "test": params.test_share}
    split_of = stratified(list(label_of), list(label_of.values()), shares, np.random.default_rng(run.seed))
    nodes = names.to_pylist()
    return pa.array(map(label_of.get, nodes), pa.string()), pa.array(split_of.get(node, "unlabelled") for node in nodes)


def read_labels(names: pa.Array, source: str) -> dict[str, str]:
    """node -> label, of those that have one. Raises Fault with what is wrong with the file."""
    path, faults, known = located(source), Faults(), set(names.to_pylist())
    if not is_table(path):
        raise Fault(f"{path.name}: labels are read from .csv, .tsv or .parquet with the columns node and label. Save them as one of these")
    label_of: dict[str, str] = {}
    for where, (node, label) in cells_in(path, ["node", "label"], faults):
        if node not in known:
            faults.add(where, f"node {node!r} is not in the graph. Give it an edge, or leave it out")
        elif label.strip() and label_of.setdefault(node, label.strip()) != label.strip():
            faults.add(where, f"node {node!r} is {label.strip()!r}, and was {label_of[node]!r} before. Leave one out")
    faults.check()
    if not label_of:
        raise Fault(f"{path.name} has no label for any node. Give some, or take `labels` out of the row")
    return label_of

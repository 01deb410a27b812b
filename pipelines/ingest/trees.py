"""Trees: parsed sentences with a label at each node, as the Stanford Sentiment Treebank has them.

reads   source       files with a tree a line, `(3 (2 It) (4 (3 is) (4 lovely)))`: a node is its label and its children, or a word
writes  corpus       a document = a tree, its brackets tokens like its words, `( It ( is lovely ) )`, or its words alone; label = the root's.
                     Splits as the files are, else drawn by seed
source  Socher et al. 2013 (the treebank and its form)

Tokenise it by method whitespace with min_count: 1, which keeps brackets and words as they are. Labels of inner nodes stay in the
text only of train, at the brackets, `(3 ( (2 It ) ...`, and only where node_labels asks for them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import model_validator

from pipelines import sources as where_from
from pipelines import split_files
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.columns import decoded, ids, record
from pipelines.documents import Skipped, gathered, write
from pipelines.method import Run
from pipelines.split_files import SplitFiles

TOKEN = re.compile(r"[()]|[^\s()]+")
NEUTRAL = "2"  # of the treebank's five classes, 0 to 4

sources = split_files.sources


class Params(SplitFiles):
    text: Literal["tree", "words"] = "tree"  # words: for methods that read no trees
    node_labels: bool = False  # keep them in the text of train
    binary: bool = False  # 0 and 1 are negative, 3 and 4 positive; trees whose root is 2 are left out, nodes of 2 have no label
    control: bool = False  # a control character that is made a space would make two words of one

    @model_validator(mode="after")
    def _know_what_is_train(self) -> Self:
        if self.node_labels and not (self.text == "tree" and self.valid and self.test):
            raise ValueError("node_labels wants text: tree, and files for valid and test: only of train may a text hold labels")
        return self


class Node(NamedTuple):
    label: str | None
    children: "list[Node | str]"


def ingest(params: Params, run: Run) -> Corpus:
    files = split_files.files(params, run)
    records = (it for path, name, split in files for it in trees(path, name, split, len(files) > 1, params))
    return write(gathered(records), params, run, named=params.given)


def trees(path: Path, name: str, split: str | None, several: bool, params: Params) -> Iterator[dict[str, Any] | Reject | Skipped]:
    n_neutral = 0
    for number, line in decoded(where_from.lines(path, params.encoding), path, params.encoding):
        text = line.decode("utf-8", "surrogateescape")
        if not text.strip():
            continue
        where = f"{name}: line {number}"
        try:
            root = parsed(text)
        except ValueError as err:
            yield Reject(where, f"is no tree: {err}", text[:EXCERPT].encode("ascii", "replace").decode())
            continue
        label = label_of(root, params)
        if params.binary and label is None:
            n_neutral += 1
            continue
        shown = params.node_labels and split == "train"
        text = " ".join(words(root)) if params.text == "words" else written(root, params, shown)
        yield record({"text": text, "label": label, "split": split}, where, ids(number, name, several).replace("row-", "line-"))
    if n_neutral:
        yield Skipped("neutral", n_neutral)


def parsed(line: str) -> Node:
    """The tree of a line. Raises ValueError."""
    stack: list[Node] = []
    root: Node | None = None
    tokens = TOKEN.findall(line)
    place = 0
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if root is not None:
            raise ValueError(f"{token!r} stands after its end")
        if token == "(":
            label = tokens[place] if place < len(tokens) and tokens[place] not in "()" else None
            place += label is not None
            stack.append(Node(label, []))
        elif token == ")":
            if not stack:
                raise ValueError("a bracket is closed that was not opened")
            node = stack.pop()
            if not node.children:
                raise ValueError("a node has no word")
            if stack:
                stack[-1].children.append(node)
            else:
                root = node
        elif stack:
            stack[-1].children.append(token)
        else:
            raise ValueError(f"it begins with {token!r}, not with a bracket")
    if root is None:
        raise ValueError("a bracket is not closed")
    if root.label is None:
        raise ValueError("its root has no label")
    return root


def label_of(node: Node, params: Params) -> str | None:
    if not params.binary or node.label is None:
        return node.label
    return None if node.label == NEUTRAL else ("negative" if node.label < NEUTRAL else "positive")


def words(node: Node | str) -> list[str]:
    return [node] if isinstance(node, str) else [word for child in node.children for word in words(child)]


def written(node: Node | str, params: Params, shown: bool) -> str:
    """The tree as tokens with spaces between; without labels a node of one child is that child."""
    if isinstance(node, str):
        return node
    inside = " ".join(written(child, params, shown) for child in node.children)
    if not shown and len(node.children) == 1:
        return inside
    return f"({label_of(node, params) or '' if shown else ''} {inside} )"

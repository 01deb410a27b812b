"""Tree-LSTM: a sentence is composed along its parse, two phrases at a time; the label is the root's.

reads   tokens        documents as token ids, brackets among them, as ingest/trees writes and tokenize/whitespace keeps them; labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
writes  predictions   a probability per class for each document of valid and test; the model
source  Tai, Socher, Manning 2015, eqs. 9 to 14 with N = 2 (binary Tree-LSTM over constituents; a loss at each node that has a label)
shapes  B documents of a batch, N nodes of the largest, V words, D numbers a word, H = hidden_size, C classes

    inner node: i, f_l, f_r, o = sigmoid(U [h_l, h_r] + b),  u = tanh(U_u [h_l, h_r] + b_u),  c = i u + f_l c_l + f_r c_r,  h = o tanh(c)
    leaf:       i, o, u from the word's vector, c = i u,  h = o tanh(c)

Three children or more are put together from the left, and so is what has no brackets: without any, the tree is a chain.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classifier import class_weights, first_vectors, judge_of, losses, probabilities
from pipelines.errors import Fault
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.labels import NO_CLASS, Split, documents, write, write_classes
from pipelines.method import Run
from pipelines.reading import Documents, by_length, shuffled

OPEN, CLOSE = "(", ")"  # what opens a node may have its label behind it, as (3
NONE = -1  # of the word of an inner node, and of the height of what is no node
SHOWN = 10  # documents in a message
PLOTS = classifier.PLOTS


class Params(classifier.TrainingKnobs):
    vector_size: int = Field(100, ge=1)  # D when no vectors are given; theirs otherwise
    fine_tune: bool = True  # go on training the given vectors with the rest
    hidden_size: int = Field(150, ge=1)  # H; the paper's
    node_labels: bool = True  # learn from the labels of inner nodes, too, where the text has them
    dropout: float = Field(0.5, ge=0, lt=1)  # of the words' vectors, and of what the decision is; the paper's
    batch_size: int = Field(25, ge=1)  # documents a step; the paper's

    @model_validator(mode="after")
    def _of_one_class(self) -> Self:
        if self.target in ("several", "number"):
            raise ValueError("target is one or ordinal: a node of a tree is of one class")
        return self


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None) -> Predictions:
    words = tokens.words()
    if not any(word.startswith(OPEN) for word in words):
        raise Fault(
            f"{tokens.name}: none of its {len(words)} words is a bracket, so there are no trees. Take a source of method trees with text: tree, "
            "and tokenize it by method whitespace"
        )
    classes, train, valid, test = documents(tokens, params.n_train, run, params.target)
    trees = {split.name: trees_of(split.values, split.offsets, words, classes, split.doc_ids.to_pylist()) for split in (train, valid, test)}
    truth = labels_of(trees["train"], train, params)
    prepare(run)
    start, frozen = first_vectors(tokens, params, run, vectors, None)
    model = TreeLSTM(start, frozen, len(classes), params)
    weigh = torch.from_numpy(class_weights(train, len(classes), params)).to(run.device)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        for rows in shuffled(trees["train"], params.batch_size, rng):
            yield *block(trees["train"], rows), nodes(truth, trees["train"].offsets, rows, NO_CLASS)

    def loss(model: TreeLSTM, *batch: Tensor) -> Tensor:
        scores, place = model.scores(*batch[:-1])
        (B, N), labels = batch[-1].shape, batch[-1].flatten()[place]
        asked = labels != NO_CLASS
        found = losses(scores[asked], labels[asked], params.target, params.label_smoothing, weigh)
        total = found.new_zeros(B).index_add(0, place[asked] // N, found)
        return total / (len(found) / B)  # the mean over the batch is that over its labels

    def scores(split: Split) -> np.ndarray:
        return scores_of(model, trees[split.name], len(classes), params, run)

    judge = judge_of(valid, scores, classes, params)
    best = fit(model, batches, loss, run, params.recipe(), judge, n_items=len(train))
    run.say(f"keeps the weights of epoch {best}, learned from {np.count_nonzero(truth != NO_CLASS):,} labels of {len(train):,} trees")
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            write(out, split, classes, probabilities(scores(split), params.target))
        settings = {"model": "tree_lstm", "classes": classes, "words": words, "params": params.model_dump()}
        out.model(settings, arrays(model))
    return out.artifact


class Trees(NamedTuple):
    """Some trees, node after node, children before their parent: the nodes of tree i are those from offsets[i] on, its root the last."""

    offsets: np.ndarray  # (n + 1,) int64
    word: np.ndarray  # int32 token id of a leaf, NONE of an inner node
    left: np.ndarray  # int32 places of the children within the tree; 0 of a leaf
    right: np.ndarray
    height: np.ndarray  # int32, 0 of a leaf
    label: np.ndarray  # int64 class ids, NO_CLASS where a node has none, or one that is no class


def trees_of(
    values: np.ndarray, offsets: np.ndarray, words: Sequence[str], classes: Sequence[str], doc_ids: Sequence[str] | None = None
) -> Trees:
    """The trees of documents values[offsets[i]:offsets[i + 1]].

    Args:
        doc_ids: what they are called in a message; none: their numbers.

    Raises:
        Fault: brackets do not fit together.
    """
    place = {name: i for i, name in enumerate(classes)}
    opens = {i: place.get(word[1:], NO_CLASS) for i, word in enumerate(words) if word.startswith(OPEN)}
    closes = {i for i, word in enumerate(words) if word == CLOSE}
    rows: list[tuple[int, int, int, int, int]] = []
    ends, wrong = [0], []
    for i, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        try:
            rows += _tree(values[start:end].tolist(), opens, closes)
        except ValueError as err:
            wrong.append(f"{doc_ids[i] if doc_ids else i} {err}")
        ends.append(len(rows))
    if wrong:
        raise Fault(
            f"{len(wrong)} of {len(offsets) - 1} documents are no trees, first {', '.join(wrong[:SHOWN])}. Take a source of method trees, "
            "cut no text (max_characters), and tokenize it by method whitespace"
        )
    word, left, right, height, label = np.array(rows, np.int32).reshape(-1, 5).T
    return Trees(np.array(ends, np.int64), word, left, right, height, label.astype(np.int64))


def _tree(ids: list[int], opens: dict[int, int], closes: set[int]) -> list[tuple[int, int, int, int, int]]:
    """word, left, right, height and label of each node. Raises ValueError."""
    nodes: list[tuple[int, int, int, int, int]] = []
    stack: list[tuple[int, list[int]]] = [(NO_CLASS, [])]  # of each open bracket its label and the children until now

    def close(label: int, children: list[int]) -> int:
        at = children[0]
        for other in children[1:]:
            nodes.append((NONE, at, other, 1 + max(nodes[at][3], nodes[other][3]), NO_CLASS))
            at = len(nodes) - 1
        if label != NO_CLASS:  # that of the outermost bracket around one child
            nodes[at] = (*nodes[at][:4], label)
        return at

    for i in ids or [UNKNOWN_ID]:
        if i in opens:
            stack.append((opens[i], []))
        elif i in closes:
            label, children = stack.pop()
            if not stack:
                raise ValueError("closes a bracket that it has not opened")
            if not children:
                raise ValueError("has a node without a word")
            stack[-1][1].append(close(label, children))
        else:
            nodes.append((i, 0, 0, 0, NO_CLASS))
            stack[-1][1].append(len(nodes) - 1)
    if len(stack) > 1:
        raise ValueError("does not close a bracket")
    close(*stack[0])
    return nodes


def labels_of(trees: Trees, split: Split, params: Params) -> np.ndarray:
    """(nodes,) int64 class ids: the root's that of its document, and the inner nodes' where they are learned from."""
    found = trees.label.copy() if params.node_labels else np.full(len(trees.label), NO_CLASS)
    found[trees.offsets[1:] - 1] = split.class_ids
    return found


def nodes(column: np.ndarray, offsets: np.ndarray, rows: np.ndarray, fill: int) -> np.ndarray:
    """(B, N) of some trees, `fill` beyond a tree's nodes."""
    n = np.diff(offsets)[rows, None]
    place = np.arange(n.max())
    inside = place < n
    found = np.full(inside.shape, fill, column.dtype)
    found[inside] = column[(offsets[rows, None] + place)[inside]]
    return found


def block(trees: Trees, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """word, left, right and height of some trees, (B, N) each."""
    fills = {"word": NONE, "left": 0, "right": 0, "height": NONE}
    return tuple(nodes(getattr(trees, name), trees.offsets, rows, fill) for name, fill in fills.items())


class TreeLSTM(nn.Module):
    """Words to vectors, composed from the leaves to the root, a decision.

    Args:
        vectors: (V, D) float32, where training begins.
        frozen: leave them as they are.
    """

    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        self.leaf = nn.Linear(vectors.shape[1], 3 * params.hidden_size)
        self.inner = nn.Linear(2 * params.hidden_size, 5 * params.hidden_size)
        nn.init.ones_(self.inner.bias.data[params.hidden_size : 3 * params.hidden_size])  # forgets little at first
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(params.hidden_size, n_classes)

    def forward(self, word: Tensor, left: Tensor, right: Tensor, height: Tensor) -> Tensor:
        """(B, N) each -> (B, C) scores of the roots."""
        states, place = self.states(word, left, right, height)
        (B, N), n = height.shape, (height >= 0).sum(dim=1)
        row_of = torch.empty(B * N, dtype=torch.int64, device=height.device)
        row_of[place] = torch.arange(len(place), device=height.device)
        return self.decision(self.dropout(states[row_of[torch.arange(B, device=height.device) * N + n - 1]]))

    def scores(self, word: Tensor, left: Tensor, right: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
        """(nodes, C) of all nodes, and (nodes,) which of the B N they are."""
        states, place = self.states(word, left, right, height)
        return self.decision(self.dropout(states)), place

    def states(self, word: Tensor, left: Tensor, right: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
        """(nodes, H), lower nodes first, those of one height of all trees at once; and (nodes,) which of the B N they are."""
        B, N = height.shape
        n_at = torch.bincount(height[height >= 0]).tolist()
        place = torch.argsort(height.flatten(), stable=True)[B * N - sum(n_at) :]
        row_of = torch.empty(B * N, dtype=torch.int64, device=height.device)
        row_of[place] = torch.arange(len(place), device=height.device)
        tree = place // N * N  # where the node's tree begins
        l, r = row_of[tree + left.flatten()[place]], row_of[tree + right.flatten()[place]]
        i, o, u = self.leaf(self.dropout(self.embedding(word.flatten()[place[: n_at[0]]]))).chunk(3, dim=1)
        c = i.sigmoid() * u.tanh()
        h = o.sigmoid() * c.tanh()
        for n in n_at[1:]:
            here = slice(len(h), len(h) + n)
            gates = self.inner(torch.cat([h[l[here]], h[r[here]]], dim=1))
            i, f_l, f_r, o, u = gates.chunk(5, dim=1)
            new = i.sigmoid() * u.tanh() + f_l.sigmoid() * c[l[here]] + f_r.sigmoid() * c[r[here]]
            c, h = torch.cat([c, new]), torch.cat([h, o.sigmoid() * new.tanh()])
        return h, place


def scores_of(model: TreeLSTM, trees: Trees, n_classes: int, params: Params, run: Run) -> np.ndarray:
    """(n, C) float32, in the trees' order."""
    result = np.empty((len(trees.offsets) - 1, n_classes), np.float32)
    parts = by_length(Documents(trees.word, trees.offsets), params.batch_size)
    for rows, scores in zip(parts, apply(model, (block(trees, rows) for rows in parts), run), strict=True):
        result[rows] = scores
    return result


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(n, C) float32 of documents values[offsets[i]:offsets[i + 1]], from what the artifact keeps. Raises Fault as `trees_of` does."""
    params, classes = Params(**settings["params"]), settings["classes"]
    model = TreeLSTM(weights["embedding.weight"], True, len(classes), params)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    trees = trees_of(values, offsets, settings["words"], classes)
    return probabilities(scores_of(model, trees, len(classes), params, run), params.target)

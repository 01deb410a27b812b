"""Joint space: two kinds of data, such as images and their names, brought into one space where what belongs together is near.

reads   tokens        the names: a document each, with its class and split; its doc_id is the item that it is of
        vectors       the items: numbers of the things that are named
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each item of valid and test, by how near it is to the names of the class; the model
        beside it     retrieval.csv: direction, right, recall_1, recall_5, candidates, n; on valid, from items to texts and back, where
                      right is the item's very text, or any of its class
source  Frome et al. 2013 and Kiros, Salakhutdinov, Zemel 2014 (ranking: what belongs together is nearer than what does not, by a margin);
        van den Oord, Li, Vinyals 2018 and Radford et al. 2021 (contrastive: InfoNCE both ways; names of a class averaged)
shapes  B pairs of a batch, P numbers of an item, T tokens of the longest name, D = vector_size, J = joint_size, C classes

Of a batch all other names are wrong ones, but those that read the same. A text is the mean of its words' vectors, so their order says nothing.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.labels import NO_CLASS, Split, check_held_out, classes_of, read, write, write_classes
from pipelines.method import Run
from pipelines.reading import padded, random_vectors, tell_cut
from pipelines.training import FitKnobs

ROWS = 1024  # pairs that are embedded at a time
AXES = (0, 1, 0, 0)  # where the pairs lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class Params(FitKnobs):
    loss: Literal["contrastive", "ranking"] = "contrastive"
    joint_size: int = Field(32, ge=1)  # J
    hidden_size: int = Field(128, ge=1)  # of the layer between an item, or a text, and the space
    vector_size: int = Field(64, ge=1)  # D, of a word
    temperature: float = Field(0.1, gt=0)  # cosines are divided by it before a softmax: in the contrastive loss, and in the answers
    margin: float = Field(0.2, gt=0)  # of cosines, that a right name is nearer by; Kiros et al. have 0.2
    max_tokens: int = Field(50, ge=1)  # of a name; what is longer is cut
    dropout: float = Field(0.2, ge=0, lt=1)
    batch_size: int = Field(64, ge=2)  # pairs a step; the wrong names are the others'
    epochs: int = Field(40, ge=1)  # at most
    patience: int = Field(5, ge=1)  # epochs without a lower loss on valid before training stops


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    if (vectors is None) == (codings is None):
        raise Fault(f"{run.name}: items have either vectors or codings. Name one of them")
    given = vectors if vectors is not None else codings
    assert given is not None
    classes = classes_of(tokens)
    train, valid, test = (read(tokens, split, classes) for split in ("train", "valid", "test"))
    check_held_out(tokens, valid, test)
    numbers = {split.name: numbers_of(split, given, tokens.name) for split in (train, valid, test)}
    centre, scale = numbers["train"].mean(axis=0), numbers["train"].std(axis=0)
    numbers = {name: standardised(x, centre, scale) for name, x in numbers.items()}
    same = {split.name: same_texts(split) for split in (train, valid)}
    tell_cut((train, valid, test), params.max_tokens, run)
    prepare(run)
    model = JointSpace(random_vectors(tokens.n_rows("vocab"), params.vector_size, run), len(centre), params)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        order = rng.permutation(len(train))
        for rows in np.split(order, range(params.batch_size, len(order), params.batch_size)):
            yield numbers["train"][rows], *padded(train, rows, params.max_tokens), same["train"][rows]

    def loss(model: JointSpace, x: Tensor, ids: Tensor, lengths: Tensor, same: Tensor) -> Tensor:
        return losses(*model(x, ids, lengths).chunk(2, dim=1), same, params)

    drawn = np.random.default_rng(run.seed).permutation(len(valid))  # so that a batch of valid has names of several classes, too

    def validate() -> dict[str, float]:
        both = embedded(model, valid, numbers["valid"], params, run)
        parts = np.split(drawn, range(params.batch_size, len(drawn), params.batch_size))
        found = [
            losses(*torch.from_numpy(both[rows]).chunk(2, dim=1), torch.from_numpy(same["valid"][rows]), params).numpy() for rows in parts
        ]
        return {"valid_loss": float(np.concatenate(found).mean(dtype=np.float64))}

    best = fit(model, batches, loss, run, params.recipe(), validate if len(valid) else None, n_items=len(train), item_axis=AXES)
    run.say(f"keeps the weights of epoch {best}")
    names = class_names(embedded(model, train, numbers["train"], params, run)[:, params.joint_size :], train, len(classes))
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            both = embedded(model, split, numbers[split.name], params, run)
            write(out, split, classes, by_nearness(both[:, : params.joint_size], names, params))
            if split.name == "valid" and len(split):
                out.csv("retrieval", retrieval(*np.split(both, 2, axis=1), same["valid"], valid.class_ids))
        settings = {"model": "joint_space", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
        out.model(settings, {**arrays(model), "centre": centre, "scale": scale, "names": names})
    return out.artifact


def numbers_of(split: Split, given: Vectors | Codings, name: str) -> np.ndarray:
    """(n, P) float32 of the items that the documents are of. Raises Fault for documents that have none."""
    row_of = {item: row for row, item in enumerate(given.items())}
    doc_ids = split.doc_ids.to_pylist()
    missing = [doc_id for doc_id in doc_ids if doc_id not in row_of]
    if missing:
        raise Fault(
            f"{len(missing)} of {len(doc_ids)} documents of split {split.name} of {name} are of no item of {given.name}, first {missing[0]!r}; "
            f"its items begin with {', '.join(map(repr, list(row_of)[:3]))}. A name's id must be that of what it names"
        )
    return given.memmap()[[row_of[doc_id] for doc_id in doc_ids]].astype(np.float32).reshape(len(doc_ids), -1)


def standardised(x: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 on train; a number that is always the same there is 0."""
    return np.where(scale > 0, (x - centre) / np.where(scale > 0, scale, 1), 0).astype(np.float32)


def same_texts(split: Split) -> np.ndarray:
    """(n,) int64, the same number for documents that read the same."""
    number: dict[bytes, int] = {}
    texts = (split.values[start:end].tobytes() for start, end in zip(split.offsets[:-1], split.offsets[1:], strict=True))
    return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)


class JointSpace(nn.Module):
    """A layer and a projection for each of the two; what comes out has length 1.

    Args:
        vectors: (V, D) float32, where training begins.
    """

    def __init__(self, vectors: np.ndarray, n_numbers: int, params: Params):
        super().__init__()

        def projection(size: int) -> nn.Sequential:
            parts = (
                nn.Linear(size, params.hidden_size),
                nn.ReLU(),
                nn.Dropout(params.dropout),
                nn.Linear(params.hidden_size, params.joint_size),
            )
            return nn.Sequential(*parts)

        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=False)
        self.of_item, self.of_text = projection(n_numbers), projection(vectors.shape[1])

    def forward(self, x: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, P) numbers, (T, B) token ids, (B,) lengths -> (B, 2 J): item, text."""
        inside = torch.arange(len(ids), device=ids.device)[:, None] < lengths
        mean = (self.embedding(ids) * inside[:, :, None]).sum(dim=0) / lengths[:, None]
        return torch.cat([self.item(x), nn.functional.normalize(self.of_text(mean), dim=1)], dim=1)

    def item(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.of_item(x), dim=1)


def losses(items: Tensor, texts: Tensor, same: Tensor, params: Params) -> Tensor:
    """(B, J) twice, pair by pair, and (B,) which texts read the same -> (B,), both ways."""
    cosine = items @ texts.T  # (B, B)
    own = torch.eye(len(cosine), dtype=torch.bool, device=cosine.device)
    wrong = same[:, None] != same
    if params.loss == "ranking":
        right = cosine.diagonal()
        too_near = (params.margin + cosine - right[:, None]).relu() + (params.margin + cosine.T - right[:, None]).relu()
        return (too_near * wrong).sum(dim=1)
    logits = (cosine / params.temperature).masked_fill(~(wrong | own), -torch.inf)
    return -(logits.log_softmax(dim=1).diagonal() + logits.log_softmax(dim=0).diagonal()) / 2


def embedded(model: JointSpace, split: Split, numbers: np.ndarray, params: Params, run: Run) -> np.ndarray:
    """(n, 2 J) float32: items, texts."""
    parts = np.split(np.arange(len(split)), range(ROWS, len(split), ROWS))
    blocks = ((numbers[rows], *padded(split, rows, params.max_tokens)) for rows in parts if len(rows))
    return np.concatenate([np.empty((0, 2 * params.joint_size), np.float32), *apply(model, blocks, run, AXES[:3])])


def class_names(texts: np.ndarray, train: Split, n_classes: int) -> np.ndarray:
    """(C, J) float32, the mean of each class's names in train, of length 1."""
    total = np.zeros((n_classes, texts.shape[1]))
    np.add.at(total, train.class_ids, texts)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def by_nearness(items: np.ndarray, names: np.ndarray, params: Params) -> np.ndarray:
    """(n, C) float32"""
    logits = torch.from_numpy(items).double() @ torch.from_numpy(names).double().T / params.temperature
    return logits.softmax(dim=1).float().numpy()


def retrieval(items: np.ndarray, texts: np.ndarray, same: np.ndarray, class_ids: np.ndarray) -> list[dict]:
    """How often what is right is among the nearest: of an item a text, of a text, each that differs once, an item.

    One whose class train does not have is of no other's class: what is asked of it by class finds nothing.
    """
    _, first, text_of = np.unique(same, return_index=True, return_inverse=True)
    cosine = items @ texts[first].T  # (n, texts that differ)
    own = {
        "text": text_of[:, None] == np.arange(len(first)),
        "class": (class_ids[:, None] == class_ids[first]) & (class_ids[first] != NO_CLASS),
    }
    rows = []
    for direction, axis in (("item to text", 1), ("text to item", 0)):
        for right, is_right in own.items():
            nearest = np.where(is_right, cosine, -np.inf).max(axis=axis, keepdims=True)
            before = (cosine > nearest).sum(axis=axis)  # wrong ones that are nearer than the nearest right one
            found = is_right.any(axis=axis)
            recall = {f"recall_{k}": round(float((found & (before < k)).mean()), 4) for k in (1, 5)}
            rows.append({"direction": direction, "right": right, **recall, "candidates": cosine.shape[axis], "n": len(before)})
    return rows


def probabilities_of_items(numbers: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(n, C) float32 of items of (n, P) numbers, from what the artifact keeps."""
    params = Params(**settings["params"])
    model = JointSpace(weights["embedding.weight"], len(weights["centre"]), params)
    model.load_state_dict({name: torch.from_numpy(weights[name]) for name in model.state_dict()})
    x = torch.from_numpy(standardised(numbers, weights["centre"], weights["scale"]))
    with torch.no_grad():
        return by_nearness(model.eval().item(x).numpy(), weights["names"], params)

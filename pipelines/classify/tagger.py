"""Tagger: says a label of each token; a BiLSTM over words and the characters they are spelled with, a softmax a token.

reads   tokens        documents as token ids; a document's label is its tags, as many as tokens, with spaces between
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
writes  predictions   a text for each document of valid and test: its tags, with the geometric mean of their probabilities; the model
source  Ma, Hovy 2016 (a convolution over a word's characters beside its vector; without their CRF); Graves, Schmidhuber 2005 (both
        ways); Lample et al. 2016 (words left out in training, so that the unknown one is learned)
shapes  B documents of a batch, T tokens of the longest, V words, D = vector_size, L = max_characters, F = filters, H = hidden_size, C tags;
        time comes first, (T, B, ...)

A word that no training document has is known by its spelling alone, if the vocabulary has it: tokenize with
vocab_splits: [train, valid, test, unlabelled] and min_count: 1, since what is <unk> has no spelling.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.labels import Split, check_held_out, read, write_texts
from pipelines.method import Run
from pipelines.reading import Documents, by_length, matched, padded, random_vectors, shuffled
from pipelines.recurrence import backwards
from pipelines.training import FitKnobs

WHOLE = 2**31 - 1  # tokens of a document that are read: each has a tag
SHOWN = 10  # documents in a message
AXES = (1, 1, 0, 1)  # where the documents lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class Params(FitKnobs):
    vector_size: int = Field(100, ge=1)  # D when no vectors are given; theirs otherwise
    fine_tune: bool = True  # go on training the given vectors with the rest
    character_size: int = Field(30, ge=1)  # numbers a character; the paper's
    filters: int = Field(30, ge=0)  # F; the paper's; 0: spellings are not looked at
    width: int = Field(3, ge=1)  # characters that a filter sees; the paper's
    max_characters: int = Field(20, ge=2)  # L; of a longer word its two ends
    hidden_size: int = Field(128, ge=1)  # H, of each direction
    num_layers: int = Field(1, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)  # of what a layer is given, and of what the decision is
    word_dropout: float = Field(0.1, ge=0, lt=1)  # share of the words that a step shows by their spelling alone
    batch_size: int = Field(16, ge=1)  # documents a step
    epochs: int = Field(30, ge=1)  # at most
    patience: int = Field(3, ge=1)  # epochs without a lower loss on valid before training stops
    clip: float = Field(5.0, gt=0)  # largest norm of a step's gradient; the paper's


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None) -> Predictions:
    train, valid, test = (read(tokens, split, []) for split in ("train", "valid", "test"))
    classes = tags_of(tokens, train)
    truth, valid_truth = (tag_places(tokens, split, classes) for split in (train, valid))
    check_held_out(tokens, valid, test)
    words, seen = tokens.words(), tokens.known_counts(["train"]) > 0
    prepare(run)
    if vectors is None:
        start = random_vectors(len(words), params.vector_size, run)
    else:
        start = matched(tokens, vectors.items(), vectors.memmap(), vectors.name, run)
        seen |= start.any(axis=1)
    alphabet = sorted({character for word, is_seen in zip(words, seen, strict=True) if is_seen for character in word})
    model = Tagger(start, spelled(words, alphabet, params), len(alphabet), len(classes), params)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        for rows in shuffled(train, params.batch_size, rng):
            ids, lengths = padded(train, rows, WHOLE)
            shown = seen[ids] & (rng.random(ids.shape) >= params.word_dropout)
            yield np.where(shown, ids, UNKNOWN_ID), ids, lengths, padded(truth, rows, WHOLE)[0]

    def loss(model: Tagger, *batch: Tensor) -> Tensor:
        nats, n, _ = judged(model, *batch).unbind(dim=1)
        return nats / n.mean().clamp(min=1 / len(n))  # the mean over the batch is that over its tokens

    def validate() -> dict[str, float]:
        parts = by_length(valid, params.batch_size)
        asked = ((*block, padded(valid_truth, rows, WHOLE)[0]) for rows, block in zip(parts, blocks(valid, parts, seen), strict=True))
        nats, n, right = sum(rows.sum(axis=0, dtype=np.float64) for rows in apply(Judged(model), asked, run, AXES))
        return {"valid_loss": float(nats / max(n, 1)), "valid_accuracy": float(right / max(np.count_nonzero(valid_labelled), 1))}

    valid_labelled = np.repeat(valid.labelled, np.diff(valid.offsets))  # a tag that train does not have is an error, too
    best = fit(
        model, batches, loss, run, params.recipe(), validate if valid_truth.values.any() else None, n_items=len(train), item_axis=AXES
    )
    run.say(f"keeps the weights of epoch {best}")
    with run.open(Predictions) as out:
        for split in (valid, test):
            write_texts(out, split, *told(model, Documents(split.values, split.offsets), seen, classes, params, run))
        settings = {"model": "tagger", "classes": classes, "words": words, "alphabet": alphabet, "params": params.model_dump()}
        out.model(settings, {**arrays(model), "seen": seen})
    return out.artifact


def tags_of(tokens: Tokens, train: Split) -> list[str]:
    """The tags of the training documents, sorted. Raises Fault where there are no documents, or one has none."""
    if not len(train):
        raise Fault(f"{tokens.name}: no document is in split train, so nothing can be learned. Look at the split column of its corpus")
    if train.labels.null_count:
        raise Fault(
            f"{tokens.name}: {train.labels.null_count} of {len(train)} training documents have no label. Put them in split unlabelled"
        )
    return sorted({tag for label in train.labels.to_pylist() for tag in label.split()})


def tag_places(tokens: Tokens, split: Split, classes: Sequence[str]) -> Documents:
    """The tag of each token: its place among the classes, from 1 on, 0 for none that train has.

    Raises:
        Fault: documents have fewer tags than tokens, or more.
    """
    place = {tag: i for i, tag in enumerate(classes, 1)}
    found = np.zeros(len(split.values), np.int32)
    wrong = []
    for row, label in enumerate(split.labels.to_pylist()):
        start, end = split.offsets[row : row + 2].tolist()
        tags = [] if label is None else label.split()
        if label is not None and len(tags) != end - start:
            wrong.append(f"{split.doc_ids[row]} ({end - start} tokens, {len(tags)} tags)")
        elif tags:
            found[start:end] = [place.get(tag, 0) for tag in tags]
    if wrong:
        raise Fault(
            f"{tokens.name}: {len(wrong)} of {len(split)} documents of split {split.name} have not as many tags as tokens, first "
            f"{', '.join(wrong[:SHOWN])}. A label is a tag a token with spaces between; tokenize by method whitespace, which keeps the tokens"
        )
    return Documents(found, split.offsets)


def spelled(words: Sequence[str], alphabet: Sequence[str], params: Params) -> np.ndarray:
    """(V, L) int32: 0 beyond a word's end and for the unknown word, 1 for a character that is not of the alphabet, else from 2 on."""
    place = {character: i for i, character in enumerate(alphabet, 2)}
    letters = np.zeros((len(words), params.max_characters), np.int32)
    head = params.max_characters // 2
    for row, word in enumerate(words):
        if row != UNKNOWN_ID:
            shown = word if len(word) <= params.max_characters else word[:head] + word[head - params.max_characters :]
            letters[row, : len(shown)] = [place.get(character, 1) for character in shown]
    return letters


class Tagger(nn.Module):
    """A word is its vector and what filters find in its spelling; LSTMs read both ways; a decision a token.

    Args:
        vectors: (V, D) float32, where training begins.
        letters: (V, L) int32, of `spelled`.
    """

    def __init__(self, vectors: np.ndarray, letters: np.ndarray, n_characters: int, n_classes: int, params: Params):
        super().__init__()
        self.register_buffer("letters", torch.from_numpy(letters), persistent=False)
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=not params.fine_tune)
        self.characters = nn.Embedding(n_characters + 2, params.character_size)
        self.filters = nn.Conv1d(params.character_size, params.filters, params.width, padding="same") if params.filters else None
        widths = [vectors.shape[1] + params.filters] + [2 * params.hidden_size] * params.num_layers
        self.onward = nn.ModuleList(nn.LSTM(width, params.hidden_size) for width in widths[:-1])
        self.backward_ = nn.ModuleList(nn.LSTM(width, params.hidden_size) for width in widths[:-1])
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(widths[-1], n_classes)

    def forward(self, words: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) ids of the words that are known, (T, B) ids of all, (B,) lengths -> (T, B, C) scores."""
        x = self.embedding(words)  # (T, B, D)
        if self.filters is not None:
            distinct, place = ids.unique(return_inverse=True)
            x = torch.cat([x, self.spelling(distinct)[place]], dim=2)
        for onward, backward in zip(self.onward, self.backward_, strict=True):
            x = self.dropout(x)
            x = torch.cat([onward(x)[0], backwards(lambda x, layer=backward: layer(x)[0], x, lengths)], dim=2)  # (T, B, 2 H)
        return self.decision(self.dropout(x))

    def spelling(self, ids: Tensor) -> Tensor:
        """(n,) word ids -> (n, F), the most that each filter finds; zeros for the unknown word."""
        letters = self.letters[ids].long()  # (n, L)
        inside = letters > 0
        found = self.filters(self.dropout(self.characters(letters)).transpose(1, 2) * inside[:, None])  # (n, F, L)
        found = found.masked_fill(~inside[:, None], -torch.inf).amax(dim=2)
        return torch.where(inside[:, :1], found, 0.0)


class Judged(nn.Module):
    def __init__(self, model: Tagger):
        super().__init__()
        self.model = model

    def forward(self, *batch: Tensor) -> Tensor:
        return judged(self.model, *batch)


def judged(model: Tagger, words: Tensor, ids: Tensor, lengths: Tensor, truth: Tensor) -> Tensor:
    """(B, 3): the nats of a document's tags, how many train has, and how many are told."""
    scores = model(words, ids, lengths).float()  # (T, B, C)
    nats = nn.functional.cross_entropy(scores.flatten(0, 1), truth.flatten().long() - 1, ignore_index=-1, reduction="none")
    right = scores.argmax(dim=2) == truth - 1
    return torch.stack([nats.view_as(truth).sum(dim=0), (truth > 0).sum(dim=0).float(), right.sum(dim=0).float()], dim=1)


class Told(nn.Module):
    def __init__(self, model: Tagger):
        super().__init__()
        self.model = model

    def forward(self, words: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, 2): the place of each token's likeliest tag, and the logarithm of its probability."""
        logs, place = self.model(words, ids, lengths).log_softmax(dim=2).max(dim=2)
        return torch.stack([place.float(), logs], dim=2).transpose(0, 1)


def told(
    model: Tagger, documents: Documents, seen: np.ndarray, classes: Sequence[str], params: Params, run: Run
) -> tuple[list[str], np.ndarray]:
    """The tags of each document with spaces between, and (n,) float32, the geometric mean of their probabilities."""
    n = len(documents.offsets) - 1
    texts, probabilities = [""] * n, np.ones(n, np.float32)
    parts = by_length(documents, params.batch_size)
    for rows, found in zip(parts, apply(Told(model), blocks(documents, parts, seen), run, AXES[:3]), strict=True):
        for row, tags in zip(rows, found, strict=True):
            tags = tags[: documents.offsets[row + 1] - documents.offsets[row]]
            texts[row] = " ".join(classes[int(place)] for place in tags[:, 0])
            probabilities[row] = np.exp(tags[:, 1].mean()) if len(tags) else 1.0
    return texts, probabilities


def blocks(documents: Documents | Split, parts: list[np.ndarray], seen: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """What the tagger is called with, part by part; only words that were seen are shown as such."""
    for rows in parts:
        ids, lengths = padded(documents, rows, WHOLE)
        there = seen[np.minimum(ids, len(seen) - 1)] & (ids < len(seen))
        yield np.where(there, ids, UNKNOWN_ID).astype(np.int32), ids, lengths


def texts_of(
    values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run
) -> tuple[list[str], np.ndarray]:
    """The tags of documents values[offsets[i]:offsets[i + 1]], and their probability, from what the artifact keeps.

    Words may be put behind those of settings["words"]: they are known by their spelling.
    """
    params = Params(**settings["params"])
    letters = spelled(settings["words"], settings["alphabet"], params)
    model = Tagger(weights["embedding.weight"], letters, len(settings["alphabet"]), len(settings["classes"]), params)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items() if name != "seen"})
    return told(model, Documents(values, offsets), weights["seen"], settings["classes"], params, run)

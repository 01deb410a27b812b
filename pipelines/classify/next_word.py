"""Next word: a language model; foretells each word by those before it, and goes on with a text.

reads   tokens        documents as token ids, labels or not; the unknown token is read, and not foretold
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
writes  predictions   for each document of valid and test how it is likeliest to go on, the likeliest word taken at each step, after its
                      first prompt_tokens; label = how it does go on, for as many tokens. The probability is not of that text: it is the
                      geometric mean of those of the document's own tokens, its end among them, so 1 / probability is its perplexity
source  Bengio et al. 2003 (the task), Mikolov et al. 2010 and Zaremba, Sutskever, Vinyals 2014 (recurrent, dropout between the
        layers); Press, Wolf 2017 and Inan, Khosravi, Socher 2017 (tied); Grave et al. 2017 (adaptive softmax)
shapes  V words, B documents of a batch, T tokens of the longest, D = vector_size, H = hidden_size; time comes first, (T, B, ...)

Documents longer than max_tokens are learned in pieces, each begun without what stands before it but the last word; they are judged as wholes.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import too_few_words
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.labels import check_held_out, read, write_texts
from pipelines.method import Run
from pipelines.reading import Documents, by_length, matched, random_vectors, shuffled
from pipelines.softmax import ROWS, softmax_over, surprise
from pipelines.training import FitKnobs

END = UNKNOWN_ID  # the unknown token is never foretold, so its place in the softmax is the end's; and a document begins after its vector
NOT_ASKED = -1  # in the place of a word that is not foretold
CUTOFFS = (1_000, 5_000, 20_000)  # of the adaptive softmax; the vocabulary's first words are its most frequent
AXES = (1, 1)  # where the documents lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}

State = tuple[Tensor, Tensor]  # h and c, (num_layers, B, H) each


class Params(FitKnobs):
    vector_size: int = Field(128, ge=1)  # D when no vectors are given; theirs otherwise
    hidden_size: int = Field(256, ge=1)  # H
    num_layers: int = Field(1, ge=1)
    tied: bool = False  # the vectors that words are read by are those they are foretold by
    softmax: Literal["auto", "full", "adaptive"] = "auto"  # full below 5,000 words, and where tied; either gives the probability itself
    dropout: float = Field(0.2, ge=0, lt=1)  # of what a layer is given, and of what the decision is
    max_tokens: int = Field(100, ge=1)  # of a piece that is learned at once
    prompt_tokens: int = Field(5, ge=0)  # of a document, that are given
    told_tokens: int = Field(10, ge=1)  # that it goes on for, at most
    batch_size: int = Field(32, ge=1)  # documents, or pieces of them, a step
    epochs: int = Field(10, ge=1)  # at most
    splits: list[Literal["train", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @model_validator(mode="after")
    def _can_be_tied(self) -> Self:
        if self.tied and self.softmax == "adaptive":
            raise ValueError("tied wants the full softmax: the adaptive one has vectors of several sizes")
        return self


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None) -> Predictions:
    n_words = np.count_nonzero(tokens.known_counts(params.splits))
    if n_words < 2:
        raise too_few_words(f"{tokens.name}: the documents of {', '.join(params.splits)}", n_words)
    train, valid, test = Documents(*tokens.ids(params.splits)), read(tokens, "valid", []), read(tokens, "test", [])
    check_held_out(tokens, valid, test)
    prepare(run)
    if vectors is None:
        start = random_vectors(tokens.n_rows("vocab"), params.vector_size, run)
    else:
        start = matched(tokens, vectors.items(), vectors.memmap(), vectors.name, run)
    model = LanguageModel(start, params)
    document, first, lengths = pieces(train, params.max_tokens)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        as_documents = Documents(train.values, np.concatenate([[0], np.cumsum(lengths)]))
        return (block(train, document[rows], first[rows], lengths[rows]) for rows in shuffled(as_documents, params.batch_size, rng))

    def loss(model: LanguageModel, *batch: Tensor) -> Tensor:
        nats, n = model(*batch).unbind(dim=1)
        return nats / n.mean().clamp(min=1 / len(n))  # the mean over the batch is that over its tokens

    def validate() -> dict[str, float]:
        nats, n = judged(model, Documents(valid.values, valid.offsets), params, run).sum(axis=0, dtype=np.float64)
        return {"valid_loss": float(nats / n), "valid_perplexity": math.exp(min(nats / n, 700))}

    best = fit(model, batches, loss, run, params.recipe(), validate if len(valid) else None, n_items=len(document), item_axis=AXES)
    run.say(f"keeps the weights of epoch {best}")
    words, between = tokens.words(), joint(tokens)
    with run.open(Predictions) as out:
        for split in (valid, test):
            documents = Documents(split.values, split.offsets)
            if split.name == "valid":
                split = replace(split, labels=pa.array(continuations(documents, words, between, params), pa.string()))
            write_texts(out, split, *told(model, documents, words, between, params, run))
        # perplexity: what the probabilities are for, to who scores them
        settings = {"model": "next_word", "perplexity": True, "words": words, "between": between, "params": params.model_dump()}
        out.model(settings, arrays(model))
    return out.artifact


def joint(tokens: Tokens) -> str:
    """What stands between two tokens of a text: nothing between characters, else a space."""
    path = tokens.folder / "tokenizer.json"
    fused = path.exists() and (json.loads(path.read_text(encoding="utf-8"))["decoder"] or {}).get("type") == "Fuse"
    return "" if fused else " "


def pieces(documents: Documents, max_tokens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All documents cut into pieces: (n,) which document, the place that a piece begins at, and how many are foretold, ends among them."""
    n = np.diff(documents.offsets) + 1
    n_pieces = -(-n // max_tokens)
    document = np.repeat(np.arange(len(n)), n_pieces)
    first = (np.arange(len(document)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * max_tokens
    return document, first, np.minimum(n[document] - first, max_tokens)


def block(documents: Documents, document: np.ndarray, first: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some pieces as (T, B) int32 words that are read, and (T, B) int64, the word after each; END after the last, NOT_ASKED for one unknown."""
    place = np.arange(lengths.max())[:, None] + first
    inside = place < first + lengths
    at, n = documents.offsets[document] + place, np.diff(documents.offsets)[document]
    before, after = np.full(place.shape, END, np.int32), np.full(place.shape, NOT_ASKED, np.int64)
    later, within = inside & (place > 0), inside & (place < n)
    before[later] = documents.values[at[later] - 1]
    words = documents.values[at[within]]
    after[within] = np.where(words == UNKNOWN_ID, NOT_ASKED, words)
    after[inside & (place == n)] = END
    return before, after


class LanguageModel(nn.Module):
    """A table of words, a stack of LSTMs, a softmax.

    Args:
        vectors: (V, D) float32, where training begins.
    """

    def __init__(self, vectors: np.ndarray, params: Params):
        super().__init__()
        n_words, vector_size = vectors.shape
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=False)
        between = params.dropout if params.num_layers > 1 else 0.0
        self.lstm = nn.LSTM(vector_size, params.hidden_size, params.num_layers, dropout=between)
        self.dropout = nn.Dropout(params.dropout)
        self.tied = params.tied
        if params.tied:
            self.narrow = nn.Linear(params.hidden_size, vector_size)
            self.bias = nn.Parameter(torch.zeros(n_words))
        else:
            adaptive = params.softmax == "adaptive" or (params.softmax == "auto" and n_words >= 5_000)
            self.softmax = softmax_over(n_words, params.hidden_size, adaptive, CUTOFFS)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """(T, B) words, each before the next, and (T, B) these -> (B, 2): minus the logarithm of their probability, and how many are asked for."""
        states = self.step(before)[0]
        asked = after != NOT_ASKED
        nats = torch.zeros(after.shape, device=states.device)
        parts = zip(states[asked].split(ROWS), after[asked].split(ROWS), strict=True)
        nats[asked] = torch.cat([nats.new_zeros(0), *(self.surprise(*part).float() for part in parts)])
        return torch.stack([nats.sum(dim=0), asked.sum(dim=0).float()], dim=1)

    def step(self, before: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(T, B) words and the state before them -> (T, B, H), and the state after."""
        states, state = self.lstm(self.dropout(self.embedding(before)), state)
        return self.dropout(states), state

    def surprise(self, states: Tensor, words: Tensor) -> Tensor:
        """(n, H) states and (n,) the words that follow -> (n,) minus the logarithm of their probability."""
        if self.tied:
            return nn.functional.cross_entropy(self.scores(states), words, reduction="none")
        return surprise(self.softmax, states, words)

    def scores(self, states: Tensor) -> Tensor:
        return nn.functional.linear(self.narrow(states), self.embedding.weight, self.bias) if self.tied else self.softmax(states)

    def logs(self, states: Tensor) -> Tensor:
        """(n, H) -> (n, V), the logarithm of each word's probability, and of the end's."""
        if not self.tied and isinstance(self.softmax, nn.AdaptiveLogSoftmaxWithLoss):
            return self.softmax.log_prob(states)
        return self.scores(states).log_softmax(dim=1)


class Teller(nn.Module):
    """(P, B) tokens of as many beginnings -> (B, told_tokens), the likeliest word at each step; END from the end on."""

    def __init__(self, model: LanguageModel, n: int):
        super().__init__()
        self.model, self.n = model, n

    def forward(self, prompt: Tensor) -> Tensor:
        border = prompt.new_full((1, prompt.shape[1]), END)
        states, state = self.model.step(torch.cat([border, prompt]))
        going, words = torch.ones_like(border[0], dtype=torch.bool), []
        for _ in range(self.n):
            word = self.model.logs(states[-1]).argmax(dim=1)
            going = going & (word != END)
            words.append(torch.where(going, word, END))
            states, state = self.model.step(words[-1][None], state)
        return torch.stack(words, dim=1)


def judged(model: LanguageModel, documents: Documents, params: Params, run: Run) -> np.ndarray:
    """(n, 2) float32: minus the logarithm of each document's probability, and how many tokens were foretold."""
    found = np.zeros((len(documents.offsets) - 1, 2), np.float32)
    parts = by_length(documents, params.batch_size)
    blocks = (block(documents, rows, np.zeros(len(rows), np.int64), np.diff(documents.offsets)[rows] + 1) for rows in parts)
    for rows, part in zip(parts, apply(model, blocks, run, AXES), strict=True):
        found[rows] = part
    return found


def told(
    model: LanguageModel, documents: Documents, words: Sequence[str], between: str, params: Params, run: Run
) -> tuple[list[str], np.ndarray]:
    """How each document is likeliest to go on after its prompt, and (n,) float32, the geometric mean of its own tokens' probabilities."""
    nats, n = judged(model, documents, params, run).T
    texts = [""] * len(n)
    given = np.minimum(np.diff(documents.offsets), params.prompt_tokens)
    groups = [np.flatnonzero(given == length) for length in np.unique(given)]
    parts = [rows for group in groups for rows in np.split(group, range(params.batch_size, len(group), params.batch_size))]
    prompts = ((documents.values[documents.offsets[rows] + np.arange(given[rows[0]])[:, None]],) for rows in parts)
    for rows, part in zip(parts, apply(Teller(model, params.told_tokens), prompts, run, item_axis=1), strict=True):
        for row, ids in zip(rows, part, strict=True):
            texts[row] = between.join(words[i] for i in ids if i != END)
    return texts, np.exp(-nats / n).astype(np.float32)


def continuations(documents: Documents, words: Sequence[str], between: str, params: Params) -> list[str]:
    """How documents do go on after their prompt."""
    starts = np.minimum(documents.offsets[:-1] + params.prompt_tokens, documents.offsets[1:])
    ends = np.minimum(starts + params.told_tokens, documents.offsets[1:])
    return [between.join(words[i] for i in documents.values[start:end]) for start, end in zip(starts, ends, strict=True)]


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> LanguageModel:
    """The model that `classify` left in its artifact."""
    model = LanguageModel(weights["embedding.weight"], Params(**settings["params"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()


def texts_of(
    values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run
) -> tuple[list[str], np.ndarray]:
    """What `classify` says of documents values[offsets[i]:offsets[i + 1]], from what the artifact keeps."""
    params = Params(**settings["params"])
    return told(rebuild(settings, weights), Documents(values, offsets), settings["words"], settings["between"], params, run)


def continued(settings: dict, weights: dict[str, np.ndarray], prompt: Sequence[int], n: int, temperature: float, seed: int) -> str:
    """How a text goes on, for n tokens or to its end.

    Args:
        prompt: the token ids of its beginning; may be none.
        temperature: what the logarithms of the probabilities are divided by before a word is drawn; 0 takes the likeliest.
    """
    model, rng, found = rebuild(settings, weights), np.random.default_rng(seed), []
    with torch.no_grad():
        states, state = model.step(torch.tensor([END, *prompt])[:, None])
        for _ in range(n):
            logs = model.logs(states[-1])[0].double().numpy()
            if temperature:
                p = np.exp((logs - logs.max()) / temperature)
                word = int(rng.choice(len(p), p=p / p.sum()))
            else:
                word = int(logs.argmax())
            if word == END:
                break
            found.append(settings["words"][word])
            states, state = model.step(torch.tensor([[word]]), state)
    return settings["between"].join(found)

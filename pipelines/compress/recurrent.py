"""Recurrent autoencoder: reads a document word by word into one coding, and learns to tell the document from it again.

reads   tokens    documents as token ids; the unknown token is read, and not foretold
        vectors   optional: word vectors to begin with, matched to the vocabulary by the word itself
writes  codings   one float32 coding of K numbers per document of every split; its error is the mean cross-entropy, in nats,
                  of a token that is told, the end among them; the model, whose encoder an LSTM classifier can begin with
source  Sutskever, Vinyals, Le 2014 (one LSTM reads, another tells); Dai, Le 2015 (of the same text, so that the encoder may
        start a classifier; one table of word vectors for both); Srivastava, Mansimov, Salakhutdinov 2015 (told from the
        last word to the first); Cho et al. 2014 (the decoder sees the coding at every word); Jozefowicz et al. 2015 (gates
        that forget little at first): without these two all codings of the sample's passages came to be the same. Bowman et al.
        2016 for word_dropout; adaptive softmax: Grave et al. 2017
shapes  B documents of a batch, T tokens of the longest, V words, D = vector_size, H = hidden_size, L = num_layers,
        K = coding_size or H; time comes first. In memory: 4 bytes a token of `splits`, 16 a weight, and a batch

    coding = W h_T + a,  c_0 = U coding + b,  h_0 = tanh(c_0),  loss = -1/(T + 1) sum_t ln p(w_t | w_(t+1), ..., w_T, coding)
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import fitting
from pipelines.errors import Fault, too_few_words
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.method import Run
from pipelines.reading import Documents, by_length, matched, padded, random_vectors, shuffled, tell_cut
from pipelines.softmax import softmax_over, surprise
from pipelines.training import FitKnobs

ROWS = 8192  # documents that are coded and written together
END = UNKNOWN_ID  # the unknown token is never told, so its place in the softmax is the end's; and a telling begins with its vector
CUTOFFS = (1_000, 5_000, 20_000)  # of the adaptive softmax; the vocabulary's first words are its most frequent
AXES = (1, 0)  # where the documents lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class Params(FitKnobs):
    hidden_size: int = Field(128, ge=1)  # H
    num_layers: int = Field(1, ge=1)  # L, of encoder and decoder each
    coding_size: int | None = Field(None, ge=1)  # K; none: the encoder's last state itself, H numbers
    vector_size: int = Field(100, ge=1)  # D when no vectors are given; theirs otherwise
    max_tokens: int = Field(200, ge=1)  # of a document; what follows is left out
    backwards: bool = True  # tells the last word first: the one whose traces are freshest
    word_dropout: float = Field(0.0, ge=0, lt=1)  # share of the words before, by which the decoder tells, that it is not shown
    softmax: Literal["auto", "full", "adaptive"] = "auto"  # full below 5,000 words; either gives the probability itself
    epochs: int = Field(10, ge=1)  # at most
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


def compress(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None) -> Codings:
    n_words = np.count_nonzero(tokens.known_counts(params.splits))
    if n_words < 2:
        raise too_few_words(f"{tokens.name}: the documents of {', '.join(params.splits)}", n_words)
    train, valid = Documents(*tokens.ids(params.splits)), Documents(*tokens.ids(["valid"]))
    tell_cut((train, valid), params.max_tokens, run)
    prepare(run)
    if vectors is None:
        start = random_vectors(tokens.n_rows("vocab"), params.vector_size, run)
    else:
        start = matched(tokens, vectors.items(), vectors.memmap(), vectors.name, run)
    model = SequenceAutoencoder(start, params)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (padded(train, rows, params.max_tokens) for rows in shuffled(train, params.batch_size, rng))

    def loss(model: SequenceAutoencoder, ids: Tensor, lengths: Tensor) -> Tensor:
        return model(ids, lengths)[:, -1]

    def validate() -> dict[str, float]:
        return {"valid_loss": float(np.concatenate([rows[:, -1] for _, rows in coded(model, valid, params, run)]).mean(dtype=np.float64))}

    best = fit(
        model, batches, loss, run, params.recipe(), validate if len(valid.values) else None, n_items=len(train.offsets) - 1, item_axis=AXES
    )
    run.say(f"keeps the weights of epoch {best}")

    total = 0.0
    with run.open(Codings) as out, run.progress(tokens.n_rows(), "documents", "codings") as bar:
        out.model({"model": "recurrent", "words": tokens.words(), "params": params.model_dump()}, arrays(model))
        for batch in tokens.batches(["doc_id", "token_ids"], ROWS):
            ids = batch.column("token_ids")
            documents = Documents(ids.flatten().to_numpy(), np.concatenate([[0], np.cumsum(ids.value_lengths().to_numpy())]))
            found = np.empty((len(ids), model.size + 1), np.float32)
            for rows, part in coded(model, documents, params, run):
                found[rows] = part
                bar.advance(len(rows))
            out.append(item=batch.column("doc_id"), coding=found[:, :-1], error=found[:, -1])
            total += float(found[:, -1].sum(dtype=np.float64))
    mean = total / tokens.n_rows()
    run.say(f"{model.size} numbers a document; {mean:.3f} nats a token, a perplexity of {math.exp(min(mean, 700)):.4g}")
    return out.artifact


def coded(model: "SequenceAutoencoder", documents: Documents, params: Params, run: Run) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows of the documents at a time, and (n, K + 1) float32: coding, and nats a token."""
    parts = by_length(documents, params.batch_size)
    blocks = (padded(documents, rows, params.max_tokens) for rows in parts)
    return zip(parts, apply(model, blocks, run, AXES), strict=True)


class SequenceAutoencoder(nn.Module):
    """A stack of LSTMs that reads, a linear layer to the coding where one is asked for, a stack of LSTMs that tells.

    Args:
        vectors: (V, D) float32, where training begins.
    """

    def __init__(self, vectors: np.ndarray, params: Params):
        super().__init__()
        (n_words, vector_size), hidden_size = vectors.shape, params.hidden_size
        self.size = params.coding_size or hidden_size
        self.backwards, self.word_dropout = params.backwards, params.word_dropout
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=False)
        widths = [vector_size] + [hidden_size] * params.num_layers
        self.encoder = nn.ModuleList(nn.LSTM(width, hidden_size) for width in widths[:-1])
        self.encoder_coding = nn.Linear(hidden_size, self.size) if params.coding_size else nn.Identity()
        self.begin = nn.Linear(self.size, params.num_layers * hidden_size)
        self.decoder = nn.LSTM(vector_size + self.size, hidden_size, params.num_layers)  # sees the coding at every word
        for name, bias in [*self.encoder.named_parameters(), *self.decoder.named_parameters()]:
            if "bias_hh" in name:
                nn.init.ones_(bias.data[hidden_size : 2 * hidden_size])  # of the forget gate
        adaptive = params.softmax == "adaptive" or (params.softmax == "auto" and n_words >= 5_000)
        self.softmax = softmax_over(n_words, hidden_size, adaptive, CUTOFFS)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) token ids, (B,) lengths -> (B, K)"""
        states = self.embedding(ids)  # (T, B, D)
        for lstm in self.encoder:
            states = lstm(states)[0]  # (T, B, H); what follows a document's last word is never looked at
        return self.encoder_coding(states[lengths - 1, torch.arange(len(lengths), device=ids.device)])

    def first(self, coding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K) -> the state that the decoder begins in: h and c, (L, B, H) each."""
        c = self.begin(coding).view(len(coding), self.decoder.num_layers, -1).transpose(0, 1).contiguous()
        return torch.tanh(c), c

    def step(self, before: Tensor, coding: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, B) words, each told before the next, (B, K) and the state before them -> (T, B, H), and the state after."""
        return self.decoder(torch.cat([self.embedding(before), coding.expand(len(before), *coding.shape)], dim=2), state)

    def tell(self, coding: Tensor, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """How improbable the documents are, each word by the coding and the words told before it: (B,) nats, (B,) tokens."""
        place = torch.arange(len(ids), device=ids.device)[:, None]  # (T, 1)
        told = ids.long()
        if self.backwards:
            told = told.gather(0, torch.where(place < lengths, lengths - 1 - place, place))
        border = told.new_full((1, len(lengths)), END)
        before, target = torch.cat([border, told]), torch.cat([told, border])  # (T + 1, B)
        if self.training and self.word_dropout:
            before = before.masked_fill(torch.rand(before.shape, device=ids.device) < self.word_dropout, UNKNOWN_ID)
        states = self.step(before, coding, self.first(coding))[0]
        place = torch.arange(len(target), device=ids.device)[:, None]
        asked = (target != UNKNOWN_ID) | (place == lengths)  # beyond a document's end all is unknown
        nats = torch.zeros(target.shape, device=ids.device)
        nats[asked] = surprise(self.softmax, states[asked], target[asked])
        return nats.sum(dim=0), asked.sum(dim=0).float()

    def likeliest(self, states: Tensor) -> Tensor:
        """(n, H) -> (n,) token ids."""
        return self.softmax(states).argmax(dim=1) if isinstance(self.softmax, nn.Linear) else self.softmax.predict(states)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B), (B,) -> (B, K + 1): the coding, and the nats of a token."""
        coding = self.encode(ids, lengths)
        nats, n = self.tell(coding, ids, lengths)
        return torch.cat([coding, (nats / n)[:, None]], dim=1)


def in_words(folder: Path | str, codings: np.ndarray, max_tokens: int | None = None) -> list[list[str]]:
    """What codings tell, the likeliest word taken at each step.

    Args:
        folder: of the codings that `compress` wrote.
        codings: (n, K) float32, some of these, or others between them.
        max_tokens: of a document; none: as in training.

    Raises:
        Fault: the model is another's, or cannot be used; its codings have another size.
    """
    made = Codings(folder)
    settings, weights = made.model()
    if settings.get("model") != "recurrent":
        raise Fault(f"{made.name}: its model is {settings.get('model')!r}; words are told by codings of 'recurrent'")
    with fitting(f"{made.name}: its weights", weights):
        model, words = rebuild(settings, weights), settings["words"]
        most = max_tokens or settings["params"]["max_tokens"]
        if len(words) != model.embedding.num_embeddings:
            raise ValueError(f"{len(words)} words for {model.embedding.num_embeddings} vectors")
    if codings.ndim != 2 or codings.shape[1] != model.size:
        raise Fault(f"{made.name}: its codings have {model.size} numbers, these are of shape {codings.shape}. Give (n, {model.size})")
    told: list[list[str]] = [[] for _ in codings]
    with torch.no_grad():
        coding = torch.from_numpy(np.array(codings, np.float32))
        state = model.first(coding)
        ids = torch.full((len(codings),), END)
        going = torch.ones(len(codings), dtype=torch.bool)
        for _ in range(most):
            out, state = model.step(ids[None], coding, state)
            ids = model.likeliest(out[0])
            going &= ids != END
            if not going.any():
                break
            for i in torch.nonzero(going).flatten().tolist():
                told[i].append(words[ids[i]])
    return [document[::-1] for document in told] if model.backwards else told


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> SequenceAutoencoder:
    """The model that `compress` left in its artifact."""
    model = SequenceAutoencoder(weights["embedding.weight"], Params(**settings["params"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()

"""Encoder and decoder with attention: from a text to a text, such as from a misspelling to the word.

reads   tokens        documents as token ids; a document's label is the text that it shall become
writes  predictions   a text for each document of valid and test, with its probability; the model
source  Bahdanau, Cho, Bengio 2015 (a BiRNN reads; before each symbol the decoder weighs what was read by its state; here with LSTMs, and a
        linear layer where they have a maxout one); Sutskever, Vinyals, Le 2014 (beam search)
shapes  B documents of a batch, T tokens of the longest, L symbols of the longest label, S symbols and the end, D = vector_size, H = hidden_size,
        A = attention_size, K = beam; time comes first, (T, B, ...)

    e_tj = v . tanh(W s_(t-1) + U h_j),  c_t = sum_j softmax_j(e_t) h_j,  s_t = LSTM(y_(t-1), c_t; s_(t-1)),  p(y_t) = softmax(V [s_t, c_t, y_(t-1)])
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.labels import Split, check_held_out, read, write_texts
from pipelines.method import Run
from pipelines.reading import Documents, by_length, padded, random_vectors, shuffled, tell_cut
from pipelines.recurrence import backwards
from pipelines.training import FitKnobs

END = 0  # of a label; stands before its first symbol, too
WHOLE = 2**31 - 1  # symbols of a label that are learned
AXES = (1, 0, 1, 0)  # where the documents lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}

State = tuple[Tensor, Tensor]  # h and c, (B, H) each


class Params(FitKnobs):
    told: Literal["characters", "words"] = "characters"  # what a label is told in
    vector_size: int = Field(64, ge=1)  # D, of a token and of a symbol
    hidden_size: int = Field(128, ge=1)  # H, of the decoder and of each direction of the encoder
    attention_size: int = Field(64, ge=1)  # A
    max_tokens: int = Field(400, ge=1)  # of a document; what is longer is cut
    max_told: int | None = Field(None, ge=1)  # symbols of an answer at most; none: of the longest label of train
    beam: int = Field(1, ge=1)  # K beginnings that are followed; 1 takes the likeliest symbol at each step
    dropout: float = Field(0.2, ge=0, lt=1)  # of the vectors, and of what the decision is
    epochs: int = Field(30, ge=1)  # at most
    patience: int = Field(3, ge=1)  # epochs without a lower loss on valid before training stops
    clip: float = Field(1.0, gt=0)  # largest norm of a step's gradient; the paper's


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    train, valid, test = (read(tokens, split, []) for split in ("train", "valid", "test"))
    symbols = symbols_of(tokens, train, params)
    labels, valid_labels = (in_symbols(split, symbols, params) for split in (train, valid))
    check_held_out(tokens, valid, test)
    if params.max_told is None:
        params = params.model_copy(update={"max_told": max(int(np.diff(labels.offsets).max()), 1)})
    tell_cut((train, valid, test), params.max_tokens, run)
    prepare(run)
    model = Translator(random_vectors(tokens.n_rows("vocab"), params.vector_size, run), len(symbols), params)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        return (block(train, labels, rows, params) for rows in shuffled(train, params.batch_size, rng))

    def loss(model: Translator, *batch: Tensor) -> Tensor:
        nats, n = model(*batch).unbind(dim=1)
        return nats / n.mean()  # the mean over the batch is that over its symbols

    known = np.flatnonzero(valid.labelled)
    parts = [known[rows] for rows in np.split(np.arange(len(known)), range(params.batch_size, len(known), params.batch_size))]

    def validate() -> dict[str, float]:
        found = apply(model, (block(valid, valid_labels, rows, params) for rows in parts), run, AXES)
        nats, n = sum(rows.sum(axis=0, dtype=np.float64) for rows in found)
        return {"valid_loss": float(nats / n)}

    best = fit(model, batches, loss, run, params.recipe(), validate if len(known) else None, n_items=len(train), item_axis=AXES)
    run.say(f"keeps the weights of epoch {best}")
    with run.open(Predictions) as out:
        for split in (valid, test):
            write_texts(out, split, *translated(model, split, symbols, params, run))
        settings = {"model": "seq2seq_attention", "words": tokens.words(), "symbols": symbols, "params": params.model_dump()}
        out.model(settings, arrays(model))
    return out.artifact


def symbols_of(tokens: Tokens, train: Split, params: Params) -> list[str]:
    """What the labels of train are made of, sorted. Raises Fault where there are none, or a document has no label."""
    if train.labels.null_count or not len(train):
        raise Fault(
            f"{tokens.name}: {train.labels.null_count} of {len(train)} training documents have no label, and each needs the text that it shall "
            "become. Put others in split unlabelled"
        )
    return sorted({symbol for label in train.labels.to_pylist() for symbol in cut(label, params)})


def cut(label: str, params: Params) -> Sequence[str]:
    return label if params.told == "characters" else label.split()


def in_symbols(split: Split, symbols: Sequence[str], params: Params) -> Documents:
    """The labels as places among the symbols, from 1 on; len(symbols) + 1 is a symbol that train does not have."""
    place = {symbol: i for i, symbol in enumerate(symbols, 1)}
    ids = [[place.get(symbol, len(symbols) + 1) for symbol in cut(label or "", params)] for label in split.labels.to_pylist()]
    return Documents(np.array([i for label in ids for i in label], np.int32), np.cumsum([0, *map(len, ids)]))


def block(documents: Split, labels: Documents, rows: np.ndarray, params: Params) -> tuple[np.ndarray, ...]:
    return *padded(documents, rows, params.max_tokens), padded(labels, rows, WHOLE)[0], np.diff(labels.offsets)[rows]


class Translator(nn.Module):
    """An encoder that reads both ways, and a decoder that looks at all that was read before each symbol.

    Args:
        vectors: (V, D) float32, where training begins.
    """

    def __init__(self, vectors: np.ndarray, n_symbols: int, params: Params):
        super().__init__()
        D, H = params.vector_size, params.hidden_size
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=False)
        self.symbols = nn.Embedding(n_symbols + 2, D)  # the end, the symbols, and one for all others
        self.onward, self.backward_ = nn.LSTM(D, H), nn.LSTM(D, H)
        self.begin = nn.Linear(H, H)
        self.attend_read = nn.Linear(2 * H, params.attention_size)  # U
        self.attend_state = nn.Linear(H, params.attention_size, bias=False)  # W
        self.attend = nn.Linear(params.attention_size, 1, bias=False)  # v
        self.cell = nn.LSTMCell(D + 2 * H, H)
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(H + 2 * H + D, n_symbols + 1)

    def encode(self, ids: Tensor, lengths: Tensor) -> tuple["Read", State]:
        """(T, B) token ids and (B,) lengths -> what was read, and the state that the decoder begins in."""
        x = self.dropout(self.embedding(ids))
        back = backwards(lambda x: self.backward_(x)[0], x, lengths)
        states = torch.cat([self.onward(x)[0], back], dim=2)  # (T, B, 2 H)
        c = self.begin(back[0])
        return Read(states, self.attend_read(states), torch.arange(len(ids), device=ids.device)[:, None] < lengths), (torch.tanh(c), c)

    def step(self, y: Tensor, read: "Read", state: State) -> tuple[Tensor, State]:
        """(B, D) vectors of the symbols before -> (B, 2 H) what is looked at, and the state after."""
        energy = self.attend(torch.tanh(read.keys + self.attend_state(state[0])))[:, :, 0]  # (T, B)
        weights = energy.masked_fill(~read.inside, -torch.inf).softmax(dim=0)
        context = torch.einsum("tb,tbh->bh", weights, read.states)
        return context, self.cell(torch.cat([y, context], dim=1), state)

    def scores(self, state: Tensor, context: Tensor, y: Tensor) -> Tensor:
        """(..., S) of the next symbol."""
        return self.decision(self.dropout(torch.cat([state, context, y], dim=-1))).float()

    def forward(self, ids: Tensor, lengths: Tensor, told: Tensor, told_lengths: Tensor) -> Tensor:
        """What is read, and (L, B) symbols that are told of it, (B,) how many -> (B, 2): nats, and how many symbols, the end among them."""
        read, state = self.encode(ids, lengths)
        end = told.new_full((1, told.shape[1]), END)
        before, target = torch.cat([end, told]).long(), torch.cat([told, end]).long()  # (L + 1, B); beyond a label's end all is the end
        y = self.dropout(self.symbols(before))
        states, contexts = [], []
        for now in y:
            context, state = self.step(now, read, state)
            states.append(state[0])
            contexts.append(context)
        scores = self.scores(torch.stack(states), torch.stack(contexts), y)  # (L + 1, B, S), in one product
        asked = torch.arange(len(target), device=ids.device)[:, None] <= told_lengths
        asked &= target < scores.shape[2]
        nats = nn.functional.cross_entropy(scores.flatten(0, 1), (target * asked).flatten(), reduction="none").view_as(target) * asked
        return torch.stack([nats.sum(dim=0), asked.sum(dim=0).float()], dim=1)


class Read:
    """What an encoder has read: states (T, B, 2 H), their part in the attention (T, B, A), and where they are of a token (T, B)."""

    def __init__(self, states: Tensor, keys: Tensor, inside: Tensor):
        self.states, self.keys, self.inside = states, keys, inside

    def repeated(self, n: int) -> "Read":
        """Each document n times."""
        return Read(*(part.repeat_interleave(n, dim=1) for part in (self.states, self.keys, self.inside)))


class Search(nn.Module):
    """The likeliest answers: (T, B) token ids and (B,) lengths -> (B, max_told + 1): symbols, END from the end on, and the logarithm of the probability.

    Of `beam` beginnings each is tried with all symbols, and the likeliest `beam` are gone on with; one that has come to its end waits.
    """

    def __init__(self, model: Translator, beam: int, max_told: int):
        super().__init__()
        self.model, self.beam, self.max_told = model, beam, max_told

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        B, K = len(lengths), self.beam
        read, state = self.model.encode(ids, lengths)
        read, state = read.repeated(K), tuple(part.repeat_interleave(K, dim=0) for part in state)  # (B K, ...)
        total = ids.new_full((B, K), -torch.inf, dtype=torch.float32)
        total[:, 0] = 0.0  # K times the same beginning would stay K times the same
        told = ids.new_full((B, K, self.max_told), END, dtype=torch.int64)
        before, done = told.new_full((B * K,), END), torch.zeros((B, K), dtype=torch.bool, device=ids.device)
        for at in range(self.max_told + 1):
            y = self.model.symbols(before)
            context, state = self.model.step(y, read, state)
            logs = self.model.scores(state[0], context, y).log_softmax(dim=1).view(B, K, -1)
            n_symbols = logs.shape[2]
            waits = torch.full_like(logs, -torch.inf)
            waits[:, :, END] = 0.0
            logs = torch.where(done[:, :, None], waits, logs)
            if at == self.max_told:  # no more may follow
                logs[:, :, END + 1 :] = -torch.inf
            total, best = (total[:, :, None] + logs).flatten(1).topk(K, dim=1)  # (B, K)
            parent, symbol = best // n_symbols, best % n_symbols
            rows = (torch.arange(B, device=ids.device)[:, None] * K + parent).flatten()
            told, done, state = (
                told.flatten(0, 1)[rows].view(B, K, -1),
                done.flatten()[rows].view(B, K),
                tuple(part[rows] for part in state),
            )
            if at < self.max_told:
                told[:, :, at] = symbol
            done = done | (symbol == END)
            before = symbol.flatten()
            if done.all():
                break
        return torch.cat([told[:, 0].float(), total[:, :1]], dim=1)


def translated(
    model: Translator, documents: Documents | Split, symbols: Sequence[str], params: Params, run: Run
) -> tuple[list[str], np.ndarray]:
    """The answer to each document, and (n,) float32, its probability."""
    assert params.max_told is not None
    n = len(documents.offsets) - 1
    texts, probabilities = [""] * n, np.zeros(n, np.float32)
    parts = by_length(documents, params.batch_size)
    blocks = (padded(documents, rows, params.max_tokens) for rows in parts)
    between = "" if params.told == "characters" else " "
    for rows, found in zip(parts, apply(Search(model, params.beam, params.max_told), blocks, run, AXES[:2]), strict=True):
        probabilities[rows] = np.exp(found[:, -1])
        for row, told in zip(rows, found[:, :-1].astype(np.int64), strict=True):
            texts[row] = between.join(symbols[i - 1] for i in told if i != END)
    return texts, probabilities


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> Translator:
    """The model that `classify` left in its artifact."""
    model = Translator(weights["embedding.weight"], len(settings["symbols"]), Params(**settings["params"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()


def texts_of(
    values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run
) -> tuple[list[str], np.ndarray]:
    """What documents values[offsets[i]:offsets[i + 1]] become, and how probable that is, from what the artifact keeps."""
    model, params = rebuild(settings, weights), Params(**settings["params"])
    return translated(model, Documents(values, offsets), settings["symbols"], params, run)

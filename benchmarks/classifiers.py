"""The LSTM classifier against a plain torch loop; and how fast a trained one answers.

python -m benchmarks.classifiers

Needs WORDLOOM_DATA with imdb/. 20,000 reviews to learn from, 5,000 to judge by, cut at 400 tokens, 40,000 words at most; vectors of 100
numbers drawn at random, 128 LSTM cells, max pooling, dropout .5, Adam, batches of 64. The plain loop is what a tutorial has: documents in
any order, padded to the longest of their batch, a mask, the same network, the same rate. The cost of an epoch, its judging included, is
half of what three epochs cost beyond one, with the first seed; accuracy is that of three seeds.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.measure import THREADS, Cost, measure, race
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.classify import lstm
from pipelines.ingest import imdb
from pipelines.labels import Split, classes_of, read
from pipelines.method import Run
from pipelines.reading import random_vectors
from pipelines.tokenize import words

LONGEST, BATCH, H, D, LR = 400, 64, 128, 100, 0.002
SEEDS = 1, 2, 3


def prepare(folder: Path) -> None:
    corpus = imdb.ingest(imdb.Params(), Run(folder / "corpus", seed=1, threads=THREADS, raw=folder / "raw"))
    words.tokenize(corpus, words.Params(min_count=10, max_vocab=40_000), Run(folder / "tokens", threads=THREADS))


def ours(folder: Path, epochs: int, seed: int) -> Iterator[float | None]:
    tokens, run = Tokens(folder / "tokens"), Run(folder / f"lstm {epochs} {seed}", seed=seed, threads=THREADS)
    yield None
    lstm.classify(tokens, lstm.Params(epochs=epochs, patience=epochs, max_tokens=LONGEST), run)
    yield run.curve[-1]["valid_accuracy"]


class Plain(nn.Module):
    def __init__(self, vectors: np.ndarray):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=False)
        self.lstm = nn.LSTM(D, H, batch_first=True)
        self.dropout, self.decision = nn.Dropout(0.5), nn.Linear(H, 2)

    def forward(self, ids, lengths):
        states = self.lstm(self.dropout(self.embedding(ids)))[0]
        outside = torch.arange(ids.shape[1])[None, :] >= lengths[:, None]
        return self.decision(self.dropout(states.masked_fill(outside[:, :, None], -torch.inf).amax(1)))


def plain(folder: Path, epochs: int, seed: int) -> Iterator[float | None]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    tokens = Tokens(folder / "tokens")
    classes = classes_of(tokens)
    train, valid = (items(read(tokens, split, classes)) for split in ("train", "valid"))
    model = Plain(random_vectors(tokens.n_rows("vocab"), D, Run(folder / "x", seed=seed)))
    yield None
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)
    for _ in range(epochs):
        model.train()
        for ids, lengths, class_ids in DataLoader(train, batch_size=BATCH, shuffle=True, collate_fn=collate):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(ids, lengths), class_ids).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for ids, lengths, class_ids in DataLoader(valid, batch_size=BATCH, collate_fn=collate):
                right += int((model(ids, lengths).argmax(1) == class_ids).sum())
    yield right / len(valid)


def items(split: Split) -> list[tuple[torch.Tensor, int]]:
    documents = np.split(split.values, split.offsets[1:-1])
    return [(torch.from_numpy(ids[:LONGEST].copy()), int(c)) for ids, c in zip(documents, split.class_ids, strict=True)]


def collate(batch: list[tuple[torch.Tensor, int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = nn.utils.rnn.pad_sequence([ids for ids, _ in batch], batch_first=True)
    return ids, torch.tensor([max(len(ids), 1) for ids, _ in batch]), torch.tensor([c for _, c in batch])


def answers(folder: Path, threads: int) -> Iterator[float | None]:
    """5,000 reviews, from token ids to probabilities; the seconds that reading the model takes are not in it."""
    split = read(Tokens(folder / "tokens"), "valid", classes_of(Tokens(folder / "tokens")))
    settings, weights = Predictions(folder / "lstm 1 1").model()
    torch.set_num_threads(threads)
    yield None
    yield split.accuracy(lstm.probabilities_of(split.values, split.offsets, settings, weights, Run(folder / "y", threads=threads)))


def main() -> None:
    if not (Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "imdb").is_dir():
        sys.exit("WORDLOOM_DATA names no folder with imdb/ in it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder)
        made = []
        for name, work in (("`lstm`, an epoch", ours), ("a padded loop, an epoch", plain)):
            once, more, *others = measure(work, folder, 1, 1), *(measure(work, folder, 3, seed) for seed in SEEDS)
            right = np.array([more.result, *(other.result for other in others)])
            made.append((name, Cost((more.wall - once.wall) / 2, (more.cpu - once.cpu) / 2, more.peak, right), 20_000))
        print(f"IMDb, {THREADS} threads.\n")
        accuracy = [f"{cost.result.mean():.3f} ({', '.join(f'{right:.3f}' for right in cost.result)})" for _, cost, _ in made]
        print(race("reviews", made, **{"accuracy on valid after three epochs": accuracy}))
        said = [(f"answers, {n} thread{'s' * (n > 1)}", measure(answers, folder, n), 5_000) for n in (1, THREADS)]
        print("\n" + race("reviews", said))


if __name__ == "__main__":
    main()

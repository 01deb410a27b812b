"""Words: raw Parquet to token ids and a vocabulary, against gensim and scikit-learn.

python -m benchmarks.tokens

Each starts at the same Parquet files. `words` writes the corpus, reads it again, cuts it and writes tokens and
vocabulary; the others keep in memory what they make. gensim's Dictionary and scikit-learn's CountVectorizer count
the words of each document; their order, which `words` keeps, is lost. The last rows take the same files ten times.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import THREADS, measure, race
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run
from pipelines.tokenize import words

COPIES = 10


def raw(folder: Path) -> tuple[list[Path], str]:
    """The Parquet files to start from, and what they are: Wikipedia where WORDLOOM_DATA has it, else made-up words."""
    data = Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "wikipedia"
    if data.is_dir():
        return sorted(data.glob("*.parquet")), "English Wikipedia articles of 2015"
    rng, share = np.random.default_rng(0), 1 / np.arange(1, 70_001)
    spelled = np.array(["".join(rng.choice(list("etaoinshrdlu"), 3 + int(np.log2(rank)) // 3)) + f"{rank}" for rank in range(1, 70_001)])
    texts = [" ".join(spelled[rng.choice(len(share), 2500, p=share / share.sum())]) for _ in range(1600)]
    pq.write_table(pa.table({"id": [str(i) for i in range(len(texts))], "text": texts}), folder / "made-up.parquet", compression="zstd")
    return [folder / "made-up.parquet"], "Words made up, drawn from a Zipf law (WORDLOOM_DATA names no folder with wikipedia/ in it)"


def texts(parts: list[Path]) -> Iterator[str]:
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(words.ROWS, columns=["text"]):
            yield from batch["text"].to_pylist()


def write_corpus(parts: list[Path], folder: Path) -> Corpus:
    with Run(folder).open(Corpus) as out:
        for copy, part in enumerate(parts):
            for batch in pq.ParquetFile(part).iter_batches(words.ROWS, columns=["id", "text"]):
                n = len(batch)
                doc_id = [f"{copy}-{name}" for name in batch["id"].to_pylist()]
                out.append(doc_id=doc_id, text=batch["text"], label=[None] * n, split=["train"] * n, group=[None] * n)
    return out.artifact


def from_raw(parts: list[Path], folder: Path, threads: int) -> Iterator[tuple[int, int] | None]:
    warm(folder)
    yield None
    yield facts(words.tokenize(write_corpus(parts, folder / "corpus"), words.Params(), Run(folder / "tokens", threads=threads)))


def from_corpus(corpus: Path, folder: Path, threads: int) -> Iterator[tuple[int, int] | None]:
    warm(folder)
    yield None
    yield facts(words.tokenize(Corpus(corpus), words.Params(), Run(folder / "tokens", threads=threads)))


def warm(folder: Path) -> None:
    """The kernel is compiled when the environment is made; its table of characters, some tenths of a second, counts."""
    with Run(folder / "warm").open(Corpus) as out:
        out.append(doc_id=["a"], text=["a"], label=[None], split=["train"], group=[None])
    words.tokenize(out.artifact, words.Params(min_count=1), Run(folder / "warm-tokens"))
    words.kernel.alphabet.cache_clear()


def facts(tokens: Tokens) -> tuple[int, int]:
    """Words of the vocabulary, and tokens."""
    return tokens.n_rows("vocab"), sum(len(batch.column(0).flatten()) for batch in tokens.batches(["token_ids"], words.ROWS))


def gensim_dictionary(parts: list[Path]) -> Iterator[tuple[int, int] | None]:
    from gensim.corpora import Dictionary
    from gensim.utils import simple_preprocess

    yield None
    dictionary = Dictionary(simple_preprocess(text) for text in texts(parts))
    yield len(dictionary), dictionary.num_pos


def count_vectorizer(parts: list[Path]) -> Iterator[tuple[int, int] | None]:
    from sklearn.feature_extraction.text import CountVectorizer

    yield None
    counts = CountVectorizer().fit_transform(texts(parts))
    yield counts.shape[1], int(counts.sum())


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        parts, what = raw(scratch)
        n_bytes = sum(len(text.encode()) for text in texts(parts))
        rows = []
        for name, work, arguments, copies in (
            ("`words`, from raw Parquet", from_raw, (THREADS,), 1),
            ("`words`, from raw Parquet, one thread", from_raw, (1,), 1),
            ("`words` alone, from the corpus", from_corpus, (THREADS,), 1),
            ("gensim, `simple_preprocess` and `Dictionary`", gensim_dictionary, None, 1),
            ("scikit-learn, `CountVectorizer`", count_vectorizer, None, 1),
            (f"`words`, from raw Parquet, {COPIES} times the text", from_raw, (THREADS,), COPIES),
        ):
            folder = scratch / f"run-{len(rows)}"
            folder.mkdir()
            if work is from_corpus:
                cost = measure(work, write_corpus(parts, folder / "corpus").folder, folder, *arguments)
            else:
                cost = measure(work, parts * copies, *([] if arguments is None else [folder, *arguments]))
            rows.append((name, cost, n_bytes * copies))
            print(f"{name}: {cost.wall:.1f} s, {cost.result[0]:,} words, {cost.result[1]:,} tokens", flush=True)
    print(f"\n{what}, {n_bytes / 1e6:.0f} MB of text. {THREADS} threads where nothing else is said.\n")
    print(race("bytes", rows))


if __name__ == "__main__":
    main()

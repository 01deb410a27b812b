"""BPE: tokenize/bpe and tokenize/wordpiece against the `tokenizers` library called directly.

python -m benchmarks.bpe [bpe] [wordpiece]

Train on all documents, then encode all. The methods run as the pipeline runs them, from a corpus on disk to
tokens on disk, a few megabytes at a time; the library has the whole text in memory and keeps the ids there.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import THREADS, measure, race, wikipedia
from pipelines.artifacts.corpus import Corpus
from pipelines.method import Run
from pipelines.registry import load

VOCAB_SIZE = 30_000


def ours(folder: Path, out: Path, name: str) -> Iterator[int | None]:
    method = load("tokenize", name)
    yield None
    tokens = method.call(Corpus(folder), method.params(vocab_size=VOCAB_SIZE), Run(out, threads=THREADS))
    yield sum(tokens.vocab().column("count").to_pylist())


def library(folder: Path, name: str) -> Iterator[int | None]:
    os.environ.update(TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS=str(THREADS))
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    if name == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=VOCAB_SIZE, min_frequency=2, special_tokens=["<unk>"], limit_alphabet=1000, show_progress=False
        )
    texts = Corpus(folder).read(columns=["text"])["text"].to_pylist()
    yield None
    tokenizer.train_from_iterator(texts, trainer)
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    yield sum(map(len, ids))


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = wikipedia(Path(scratch)).folder.parent / "corpus"
        for name in names or ("bpe", "wordpiece"):
            mine = measure(ours, folder, Path(scratch) / name, name)
            theirs = measure(library, folder, name)
            # wordpiece gives each character a token inside words, too, where the library gives it to those it has met there
            if abs(mine.result / theirs.result - 1) > 0.01:
                raise SystemExit(f"they do not agree: {name} makes {mine.result:,} tokens, the library {theirs.result:,}")
            print(race("tokens", [(f"`{name}`, written to Parquet", mine, mine.result), ("the library, in memory", theirs, theirs.result)]))
            print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

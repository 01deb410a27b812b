"""What the tests of the token forms share: a corpus of a few texts, and tokens as a person reads them."""

from pathlib import Path
from types import ModuleType

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run


def corpus_of(folder: Path, texts: list[str], splits: list[str] | None = None) -> Corpus:
    """Documents d0, d1, ..., of split train unless told otherwise."""
    with Run(folder / "corpus").open(Corpus) as out:
        n = len(texts)
        out.append(doc_id=[f"d{i}" for i in range(n)], text=texts, label=[None] * n, split=splits or ["train"] * n, group=[None] * n)
    return out.artifact


def tokens_of(
    method: ModuleType, folder: Path, texts: list[str], splits: list[str] | None = None, threads=1, seed=1, name="tokens", **knobs
) -> Tokens:
    return method.tokenize(corpus_of(folder, texts, splits), method.Params(**knobs), Run(folder / name, seed=seed, threads=threads))


def read(tokens: Tokens) -> list[list[str]]:
    """The documents, each a list of its tokens."""
    words = tokens.words()
    return [[words[i] for i in ids] for ids in tokens.read().column("token_ids").to_pylist()]


def vocab_of(tokens: Tokens) -> list[tuple[str, int]]:
    return list(zip(tokens.words(), tokens.vocab().column("count").to_pylist(), strict=True))

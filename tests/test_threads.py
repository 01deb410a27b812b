"""The same bytes on any number of threads, asked of every method that counts or trains in compiled loops.

In a process of its own: numba never has more threads than it was started with, and there are to be more than cores.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines import run as runs
from pipelines.artifacts.parquet import Artifact
from pipelines.cooccur import documents, sentences, windowed
from pipelines.embed import cbow, char, continued, doc2vec, fasttext, glove, lsa, ppmi_svd, random_projection, skipgram
from pipelines.layout import hash_path
from pipelines.method import Run
from tests.support import HOME
from tests.texts import tokens_of

THREADS = (1, 2, 4, 8)
N_VOCAB, N_DOCUMENTS, LENGTH = 3_000, 150, 200  # many chunks a batch, so that eight threads have work


def methods(folder: Path) -> dict[str, Callable[[Run], Artifact]]:
    """Each on the same text with a Zipf law; name -> what makes its artifact."""
    chance = 1 / np.arange(1, N_VOCAB + 1)
    rng = np.random.default_rng(0)
    text = [(1 + rng.choice(N_VOCAB, LENGTH, p=chance / chance.sum())).tolist() for _ in range(N_DOCUMENTS)]
    tokens = tokens_of(folder / "tokens", text, N_VOCAB + 1)
    small = {"vector_size": 20, "epochs": 1}
    counts = windowed.cooccur(tokens, windowed.Params(window=5), Run(folder / "w5"))
    bags = documents.cooccur(tokens, documents.Params(weighting="tfidf"), Run(folder / "bags"))
    vectors = skipgram.embed(tokens, skipgram.Params(**small), Run(folder / "vectors"))
    made = {
        "windowed": lambda it: windowed.cooccur(tokens, windowed.Params(dynamic=True, sample=1e-3, shard_tokens=4000), it),
        "sentences": lambda it: sentences.cooccur(tokens, sentences.Params(), it),
        "fasttext": lambda it: fasttext.embed(tokens, fasttext.Params(**small, bucket=5000), it),
        "char": lambda it: char.embed(tokens, char.Params(**small), it),
        "continued": lambda it: continued.embed(vectors, tokens, continued.Params(epochs=1), it),
        "glove": lambda it: glove.embed(counts, glove.Params(vector_size=20, epochs=2), it),
        "ppmi_svd": lambda it: ppmi_svd.embed(counts, ppmi_svd.Params(vector_size=100), it),
        "lsa": lambda it: lsa.embed(bags, lsa.Params(vector_size=50), it),
        "random_projection": lambda it: random_projection.embed(counts, random_projection.Params(vector_size=100), it),
    }
    for loss in ("negative", "hierarchical", "nce"):
        made[f"skipgram {loss}"] = lambda it, loss=loss: skipgram.embed(tokens, skipgram.Params(**small, loss=loss), it)
        made[f"cbow {loss}"] = lambda it, loss=loss: cbow.embed(tokens, cbow.Params(**small, loss=loss, engine="own"), it)
    for form in ("dbow", "dbow_words", "dm_mean", "dm_concat"):
        knobs = doc2vec.Params(**small, form=form, window=2)
        made[f"doc2vec {form}"] = lambda it, knobs=knobs: doc2vec.embed(tokens, knobs, it)
    return made


def main(folder: Path) -> None:
    for name, make in methods(folder).items():
        hashes = []
        for threads in THREADS:
            run = Run(folder / str(threads) / name, threads=threads, seed=1)
            with runs._threads(threads):
                hashes.append(hash_path(make(run).folder))
        print(name, *hashes, sep="\t")


def test_one_two_four_and_eight_threads_leave_the_same_bytes(tmp_path):
    code = "import sys; from pathlib import Path; from tests.test_threads import main; main(Path(sys.argv[1]))"
    env = {**os.environ, "NUMBA_NUM_THREADS": str(max(THREADS))}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=HOME, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == len(methods(tmp_path / "here"))
    for name, *hashes in lines:
        assert len(hashes) == len(THREADS)
        assert len(set(hashes)) == 1, f"{name}: {hashes}"
    assert len({hashes[0] for _, *hashes in lines}) == len(lines)  # no two of them made the same

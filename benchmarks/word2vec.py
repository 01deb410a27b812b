"""Skip-gram, CBOW, fastText, doc2vec: ours against gensim's.

python -m benchmarks.word2vec [FORM ...]

One epoch each on the same tokens, D = 100, window 5, 5 noise words, sample 1e-3; gensim with as many workers as
threads, reading a file of lines (its fastest way, and one whose result no second run repeats). Words/s are of the
text, those that subsampling passes over included. Ours once more on one thread: it must leave the same bytes.
"""

import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.glove import first_documents
from benchmarks.measure import THREADS, measure, race, text
from pipelines import layout
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.embed import cbow, doc2vec, fasttext, skipgram
from pipelines.method import Run
from pipelines.word2vec_gensim import LONGEST

FORMS = {
    "skipgram": (skipgram.embed, skipgram.Params),
    "cbow": (cbow.embed, cbow.Params),
    "doc2vec": (doc2vec.embed, doc2vec.Params),
    "fasttext": (fasttext.embed, fasttext.Params),
}


def ours(form: str, folder: Path, out: Path, threads: int) -> Iterator[str | None]:
    import numba

    embed, params = FORMS[form]
    numba.set_num_threads(threads)
    # what is compiled is kept on disk, and read at the first call
    embed(Tokens(folder.parent / "few"), params(vector_size=100, epochs=1, engine="own"), Run(out.with_name(f"{out.name}-warm")))
    yield None
    vectors = embed(Tokens(folder), params(vector_size=100, epochs=1, engine="own"), Run(out, seed=1))
    yield layout.hash_path(vectors.folder)


def gensims(form: str, lines: Path) -> Iterator[int | None]:
    from gensim.models import Doc2Vec, FastText, Word2Vec

    model = {
        "skipgram": (Word2Vec, {"sg": 1}), "cbow": (Word2Vec, {"sg": 0, "alpha": 0.05}),
        "doc2vec": (Doc2Vec, {"dm": 0}), "fasttext": (FastText, {"sg": 1, "alpha": 0.05}),
    }  # fmt: skip
    make, knobs = model[form]
    trained = make(vector_size=100, window=5, negative=5, sample=1e-3, min_count=1, workers=THREADS, epochs=1, **knobs)
    trained.build_vocab(corpus_file=str(lines))
    yield None
    more = {"total_words": trained.corpus_total_words, "total_examples": trained.corpus_count}
    trained.train(corpus_file=str(lines), epochs=1, **more)
    yield trained.corpus_total_words


def as_lines(tokens: Tokens, path: Path) -> int:
    """Writes the known words, a line a document, cut where gensim has no more room; gives how many they are."""
    words, n = np.array(tokens.words(), object), 0
    with path.open("w") as file:
        for values, offsets in tokens.documents(["train", "unlabelled"], rows=1024):
            for start, stop in itertools.pairwise(offsets):
                document = values[start:stop]
                known = words[document[document != UNKNOWN_ID]]
                n += len(known)
                file.writelines(" ".join(known[at : at + LONGEST]) + "\n" for at in range(0, len(known), LONGEST))
    return n


def main(forms: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens, what = text(folder)
        first_documents(tokens, folder / "few")
        print(f"{what}, one epoch, D = 100. {THREADS} threads.\n")
        n = as_lines(tokens, folder / "lines.txt")
        for form in forms or FORMS:
            fast = measure(ours, form, tokens.folder, folder / f"{form}-{THREADS}", THREADS)
            slow = measure(ours, form, tokens.folder, folder / f"{form}-1", 1)
            assert fast.result == slow.result, f"{form}: one thread and {THREADS} left other bytes"
            theirs = measure(gensims, form, folder / "lines.txt")
            rows = [(f"`{form}`", fast, n), ("on one thread", slow, n), (f"gensim, {THREADS} workers", theirs, n)]
            print(race("words", rows) + "\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""t-SNE: words in the plane, and how far the picture can be believed.

A picture depends on its perplexity and on where it starts, and some neighbours are always torn apart. So several are made, of
each perplexity from several starts, and each is held against the vectors and against the others. The best is kept, word for word
with the share of its neighbours that are its neighbours in the vectors (kept), and in the other pictures (agreed).

reads   vectors, codings   one row of float32 numbers per word, the most frequent words first
writes  scores    overlap, the share of a word's k nearest of the vectors that are among its k nearest in the best picture;
                  trustworthiness, which counts a strange neighbour in the picture by how far off it is in the vectors;
                  agreement, the share of a word's k nearest in the best picture that the others have, too
        beside it tsne.csv: of, word, x, y, kept, agreed (the best); pictures.csv: of, perplexity, start, overlap,
                  trustworthiness, divergence, best
source  van der Maaten, Hinton 2008, by scikit-learn (Barnes-Hut), of vectors of length 1; Kobak, Berens 2019 (starts at the
        first principal components); Venna, Kaski 2001 (trustworthiness)
shapes  n = n_words words, k neighbours, D = vector_size
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field, field_validator
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import nearest, shared, unit
from pipelines.lookup import frequent
from pipelines.method import Knobs, Run

PLOTS = {"tsne": {"template": "scatter", "x": "x", "y": "y", "title": "words in the plane"}}


class Params(Knobs):
    perplexities: list[float] = Field([10.0, 30.0, 50.0], min_length=1)  # how many neighbours a word attends to, about
    n_starts: int = Field(3, ge=1)  # of each perplexity: the first two principal components, then random ones
    n_words: int = Field(1000, ge=10, le=2000)  # n, drawn by the seed
    max_vocab: int = Field(2000, ge=10)  # from the first so many
    max_iter: int = Field(1000, ge=300)  # steps of a picture; the first 250 exaggerate, and say no divergence
    k: int = Field(10, ge=1, le=100)
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval

    @field_validator("perplexities")
    @classmethod
    def _each_once(cls, perplexities: list[float]) -> list[float]:
        if min(perplexities) < 1 or len(set(perplexities)) < len(perplexities):
            raise ValueError("must be at least 1, and each named once")
        return perplexities


class Picture(NamedTuple):
    perplexity: float
    start: str
    plane: np.ndarray  # (n, 2) float32
    divergence: float  # Kullback-Leibler, nats; of pictures of one perplexity the least is the best

    @property
    def name(self) -> str:
        return f"perplexity {self.perplexity:g} from {self.start}"


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    drawn = [(matrix.name, *_drawn(matrix, params, run)) for matrix in [*vectors, *codings]]
    words_placed, tried = [], []
    with run.open(Scores) as out:
        for of, words, x in drawn:
            k = min(params.k, (len(x) - 1) // 2)
            wanted = nearest(x, x, k, np.arange(len(x)))[0]
            pictures = _pictures(x, params, run, of)
            found = [nearest_in_plane(picture.plane, k) for picture in pictures]
            kept = [shared(near, wanted) for near in found]  # (n,) each
            trust = [_trustworthiness(x, picture.plane, k) for picture in pictures]
            best = max(range(len(pictures)), key=lambda i: (kept[i].mean(), trust[i]))
            others = [shared(found[best], near) for i, near in enumerate(found) if i != best]
            agreed = np.mean(others, axis=0) if others else np.ones(len(x))

            spread = f"of {len(pictures)} pictures with %.3f to %.3f, the best: {pictures[best].name}"
            note = f"the {k} nearest of {len(x):,} words; "
            figures = [
                _mean("overlap", kept[best], note + spread % _ends([it.mean() for it in kept]), params.n_bootstrap, run.seed),
                {"metric": "trustworthiness", "value": trust[best], "n": len(x), "note": note + spread % _ends(trust)},
            ]
            if others:
                figures.append(_mean("agreement", agreed, f"{note}the best with {len(others)} others", params.n_bootstrap, run.seed))
            out.append(**columns({"of": of, "on": "vocab", **figure} for figure in figures))
            for i, picture in enumerate(pictures):
                line = {"of": of, "perplexity": f"{picture.perplexity:g}", "start": picture.start, "overlap": f"{kept[i].mean():.4f}"}
                line |= {"trustworthiness": f"{trust[i]:.4f}", "divergence": f"{picture.divergence:.4f}"}
                tried.append(line | {"best": "yes" if i == best else ""})
            words_placed += [
                {"of": of, "word": word, "x": f"{a:.3f}", "y": f"{b:.3f}", "kept": f"{own:.2f}", "agreed": f"{other:.2f}"}
                for word, (a, b), own, other in zip(words, pictures[best].plane, kept[best], agreed, strict=True)
            ]
            run.say(f"{of}: {pictures[best].name}, " + ", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures))
        out.csv("tsne", words_placed)
        out.csv("pictures", tried)
    return out.artifact


def _drawn(matrix: Vectors | Codings, params: Params, run: Run) -> tuple[list[str], np.ndarray]:
    """Words, and (n, D) of length 1. Raises Fault where they are too few for the greatest perplexity."""
    words, x = frequent(matrix, params.max_vocab)
    rows = np.sort(np.random.default_rng(run.seed).choice(len(words), min(params.n_words, len(words)), replace=False))
    most = max(params.perplexities)
    if len(rows) <= 3 * most:
        raise Fault(
            f"{matrix.name}: {len(rows)} words are too few for perplexity {most:g}, which takes {int(3 * most) + 1}. Lower perplexities"
        )
    return [words[row] for row in rows], unit(x[rows])


def _pictures(x: np.ndarray, params: Params, run: Run, of: str) -> list[Picture]:
    seeds = [int(seed) for seed in np.random.default_rng(run.seed).integers(2**31, size=params.n_starts)]
    tries = [(perplexity, i, seed) for perplexity in params.perplexities for i, seed in enumerate(seeds)]
    made = []
    with run.progress(len(tries), "pictures", of) as bar:
        for picture in run.map(draw, tries, x, params.max_iter):
            made.append(picture)
            bar.advance()
    return made


def draw(which: tuple[float, int, int], x: np.ndarray, max_iter: int) -> Picture:
    """One picture of (n, D) rows; `which` is its perplexity, number of the start, and seed."""
    from sklearn.manifold import TSNE

    perplexity, i, seed = which
    init = "pca" if i == 0 and x.shape[1] > 1 else "random"
    with threadpool_limits(1):  # sums over threads would differ from run to run
        tsne = TSNE(perplexity=perplexity, init=init, max_iter=max_iter, random_state=seed)
        plane = tsne.fit_transform(x)
    return Picture(perplexity, "principal components" if init == "pca" else f"random start {i + 1}", plane, float(tsne.kl_divergence_))


def nearest_in_plane(plane: np.ndarray, k: int) -> np.ndarray:
    """(n, k) the nearest rows of each row, by distance, the nearest first."""
    from scipy.spatial.distance import cdist

    distance = cdist(plane, plane)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def _trustworthiness(x: np.ndarray, plane: np.ndarray, k: int) -> float:
    from sklearn.manifold import trustworthiness

    with threadpool_limits(1):
        return float(trustworthiness(x, plane, n_neighbors=k))


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _mean(metric: str, values: np.ndarray, note: str, n_bootstrap: int, seed: int) -> dict:
    low, high = interval(values.mean(), mean_draws(values, n_bootstrap, np.random.default_rng(seed)), len(values))
    return {"metric": metric, "value": float(values.mean()), "low": low, "high": high, "n": len(values), "note": note}

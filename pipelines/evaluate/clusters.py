"""Clusters: the groups that the vectors of the frequent words fall into, each with the words that stand for it.

reads   vectors, codings   one row of float32 numbers per word, the most frequent words first
writes  scores    silhouette, by cosine: how much nearer a word is to its own cluster than to the next, from -1 to 1; of n_sample
                  words drawn by the seed
        beside it clusters.csv: of, cluster, n, cosine, words (the largest cluster first; cosine, the mean of its words and its
                  centre; words, those nearest to the centre); words.csv: of, word, cluster
source  MacQueen 1967 (k-means), by scikit-learn, of vectors of length 1; Rousseeuw 1987 (silhouette)
shapes  V = max_vocab words, K = n_clusters, D = vector_size. In memory: V x D, and n_sample squared
"""

import warnings

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import unit
from pipelines.lookup import frequent
from pipelines.method import Knobs, Run


class Params(Knobs):
    n_clusters: int = Field(50, ge=2, le=10_000)  # K
    max_vocab: int = Field(10_000, ge=3)  # V: the first so many
    n_words: int = Field(10, ge=1, le=1000)  # that stand for a cluster
    n_starts: int = Field(3, ge=1)  # of k-means; the one with the least inertia is kept
    n_sample: int = Field(2000, ge=3, le=20_000)  # words whose silhouette is taken
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    clusters, assigned = [], []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            words, x = frequent(matrix, params.max_vocab, least=params.n_clusters + 1)
            x = unit(x)
            if len(np.unique(x, axis=0)) <= params.n_clusters:
                raise Fault(f"{matrix.name}: no more than {params.n_clusters} of its directions differ, so many as n_clusters. Lower it")
            cluster, centre = clustered(x, params.n_clusters, params.n_starts, run.seed)
            value = silhouettes(x, cluster, params.n_sample, np.random.default_rng(run.seed))
            low, high = interval(value.mean(), mean_draws(value, params.n_bootstrap, np.random.default_rng(run.seed)))
            note = f"{params.n_clusters} clusters of the first {len(words):,} words; of {len(value):,} drawn"
            figure = {"metric": "silhouette", "on": "vocab", "value": value.mean(), "low": low, "high": high, "n": len(value), "note": note}
            out.append(**columns([{"of": matrix.name, **figure}]))
            lines = told(words, x, cluster, centre, params.n_words)
            clusters += [{"of": matrix.name, **line} for line in lines]
            assigned += [{"of": matrix.name, "word": word, "cluster": int(i) + 1} for word, i in zip(words, cluster, strict=True)]
            run.say(f"{matrix.name}: silhouette {value.mean():.3f}; the largest: {lines[0]['words']}")
        out.csv("clusters", clusters)
        out.csv("words", assigned)
    return out.artifact


def clustered(x: np.ndarray, k: int, n_starts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(V,) the cluster of each row of x, from 0, the largest, on; and (k, D) centres of length 1."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that are all but the same
        fit = KMeans(k, n_init=n_starts, random_state=seed).fit(x)
    order = np.argsort(-np.bincount(fit.labels_, minlength=k), kind="stable")
    place = np.empty(k, np.int64)
    place[order] = np.arange(k)
    return place[fit.labels_], unit(fit.cluster_centers_[order])


def silhouettes(x: np.ndarray, cluster: np.ndarray, n_sample: int, rng: np.random.Generator) -> np.ndarray:
    """(at most n_sample,) of rows that are drawn, among those that are drawn; 0 of a row that is its cluster's only one."""
    from sklearn.metrics import silhouette_samples

    rows = np.sort(rng.choice(len(x), min(n_sample, len(x)), replace=False))
    if not 1 < len(np.unique(cluster[rows])) < len(rows):  # each by itself, or all together
        return np.zeros(len(rows))
    with threadpool_limits(1):
        return silhouette_samples(x[rows], cluster[rows], metric="cosine").astype(np.float64)


def told(words: list[str], x: np.ndarray, cluster: np.ndarray, centre: np.ndarray, n_words: int) -> list[dict]:
    """A line a cluster."""
    cosine = np.einsum("vd,vd->v", x, centre[cluster], dtype=np.float64)
    lines = []
    for i in range(len(centre)):
        mine = np.flatnonzero(cluster == i)
        best = mine[np.argsort(-cosine[mine], kind="stable")[:n_words]]
        mean = f"{cosine[mine].mean():.4f}" if len(mine) else ""
        lines.append({"cluster": i + 1, "n": len(mine), "cosine": mean, "words": " ".join(words[row] for row in best)})
    return lines

"""Topics: the units of an autoencoder over bags of words as topics, beside those of LDA and NMF on the same bags.

reads   vectors   bags of words (embed, method bags), whose model names the columns
        codings   one or more compressions of them
        counts    optional: rows of documents (cooccur, method documents) that words are counted in, else the bags' own
writes  scores    coherence, the mean over topics of the normalised pointwise mutual information of each topic's top words, from -1
                  to 1: of two words NPMI(i, j) = ln(p(i, j) / (p(i) p(j))) / -ln p(i, j), where p is a share of documents, whatever
                  their length; -1 for words that never meet, 1 for words that are in all documents. diversity, how many different
                  words the top words of all topics are, as a share of these: topics that say the same are coherent, too
        beside it topics.csv: of, topic, coherence, words
source  Bouma 2009 (NPMI); Lau, Newman, Baldwin 2014 (of topics: the mean over pairs of top words); Dieng, Ruiz, Blei 2020 (diversity);
        Blei, Ng, Jordan 2003 (LDA) and Lee, Seung 1999 (NMF), by scikit-learn
shapes  N documents, D = vector_size columns, K units or topics, T = n_words

A unit's top words are those columns that rise most in the decoded bag when the unit goes up from its mean by one standard deviation:
for a linear decoder the order of its weights. Where a unit takes values of both signs, up is where its codings lie further out.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, vstack
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import are_bits, are_names, decoder
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.method import Knobs, Run

Topics = np.ndarray  # (K, T) int64 columns, the most telling first


class Params(Knobs):
    n_words: int = Field(10, ge=2, le=100)  # T
    rivals: bool = True  # LDA and NMF with as many topics as each of the codings has units
    max_iter: int = Field(20, ge=1)  # passes of LDA over the bags; NMF takes ten times as many steps
    n_bootstrap: int = Field(1000, ge=100)  # draws of topics for an interval


def evaluate(vectors: Vectors, codings: list[Codings], params: Params, run: Run, counts: Counts | None = None) -> Scores:
    words = _words(vectors, params.n_words)
    faults = [
        f"{coding.name}: its items are not those of {vectors.name}. Name the vectors that it was made from"
        for coding in codings
        if coding.items() != vectors.items()
    ]
    faults += [
        f"{coding.name}: its numbers only name entries of codebooks, so none of them goes up and down as a topic does. Name a row of a network or of pca"
        for coding in codings
        if are_names(coding.settings())
    ]
    faults += [
        f"{coding.name}: its codings are bits, and none of them goes up and down as a topic does. Name a row of another network, or of pca"
        for coding in codings
        if are_bits(coding.settings())
    ]
    if faults:
        raise Fault(faults)
    bags = vstack([csr_array(piece) for piece in vectors.pieces(1024)]).tocsr()
    there, counted = (_there(words, counts), counts.name) if counts is not None else (bags != 0, vectors.name)
    note = f"NPMI of the first {params.n_words} words, counted over {there.shape[0]:,} documents of {counted}, a document as a whole"
    listed = []
    with run.open(Scores) as out:
        for of, topics, n_units in _all_topics(vectors, codings, bags, params, run):
            npmi = coherence(topics, there)
            live = f"; {n_units - len(topics)} of {n_units} units are the same for all documents, and no topics" * (len(topics) < n_units)
            low, high = interval(npmi.mean(), mean_draws(npmi, params.n_bootstrap, np.random.default_rng(run.seed)))
            diversity = len(np.unique(topics)) / topics.size
            out.append(
                **columns(
                    {"of": of, "on": vectors.name, "n": len(topics), **figure}
                    for figure in (
                        {"metric": "coherence", "value": npmi.mean(), "low": low, "high": high, "note": note + live},
                        {"metric": "diversity", "value": diversity, "note": f"different words among {topics.size:,}"},
                    )
                )
            )
            listed += [
                {"of": of, "topic": k + 1, "coherence": f"{npmi[k]:.4f}", "words": " ".join(words[i] for i in topics[k])}
                for k in np.argsort(-npmi, kind="stable")
            ]
            run.say(
                f"{of}: {len(topics)} topics, coherence {npmi.mean():.3f}, diversity {diversity:.3f}; first {listed[-len(topics)]['words']}"
            )
        out.csv("topics", listed)
    return out.artifact


def _words(vectors: Vectors, n_words: int) -> list[str]:
    """column -> word. Raises Fault where the vectors are no bags, or have too few columns."""
    settings = vectors.settings()
    if settings.get("model") != "bags":
        raise Fault(f"{vectors.name}: its columns have no names, so topics have no words. Name a row of embed, method bags")
    if len(settings["columns"]) < n_words:
        raise Fault(f"{vectors.name}: it has {len(settings['columns'])} columns, and n_words is {n_words}. Lower n_words")
    return settings["columns"]


def _there(words: list[str], counts: Counts) -> csr_array:
    """(documents, D) bool: which words each document of other counts has; a word that is not in their vocabulary is in none."""
    matrix = counts.sparse()
    if not counts.n_rows("documents"):
        raise Fault(f"{counts.name}: its rows are tokens; name a row of cooccur, method documents, or none")
    place = {word: i for i, word in enumerate(counts.words())}
    column = np.array([place.get(word, -1) for word in words])
    if (column < 0).all():
        raise Fault(f"{counts.name}: none of the {len(words):,} words of the bags is among its columns. Name counts of the same language")
    known = csr_array((matrix.data != 0, matrix.indices, matrix.indptr), shape=matrix.shape)[:, np.maximum(column, 0)]
    return known.multiply((column >= 0)[None, :]).tocsr().astype(bool)


def _all_topics(
    vectors: Vectors, codings: list[Codings], bags: csr_array, params: Params, run: Run
) -> Iterator[tuple[str, Topics, int]]:  # fmt: skip
    """(what has them, topics, units) of each of the codings, then of the rivals."""
    for coding in codings:
        x = coding.finite(coding.matrix()).astype(np.float64)
        yield coding.name, unit_topics(x, decoder(coding), params.n_words, coding.name), coding.size
    if not params.rivals:
        return
    if (bags.data < 0).any():
        raise Fault(f"{vectors.name}: it holds numbers below 0, and LDA and NMF take none. Take other weights, or say rivals: false")
    for k in sorted({coding.size for coding in codings}):
        for name, weights in rivals(bags, k, params.max_iter, run.seed).items():
            yield f"scikit-learn/{name}-{k}", _top(weights, params.n_words), k


def unit_topics(x: np.ndarray, back: Callable[[np.ndarray], np.ndarray], n_words: int, name: str) -> Topics:
    """Of each unit that is not the same for all documents.

    Args:
        x: (N, K) codings.
        back: (n, K) float32 -> (n, D).
    """
    mean, spread = x.mean(axis=0), x.std(axis=0)
    live = spread > 1e-6 * spread.max()
    if not live.any():
        raise Fault(f"{name}: all its codings are the same, so it has no topics. Look at its training curve")
    skewed = ((x - mean) ** 3).sum(axis=0) < 0
    step = np.where((x.min(axis=0) < 0) & skewed, -spread, spread)
    up = mean + np.diag(step)[live]  # (live, K)
    return _top(back(up.astype(np.float32)) - back(mean[None].astype(np.float32)), n_words)


def rivals(bags: csr_array, k: int, max_iter: int, seed: int) -> dict[str, np.ndarray]:
    """Name -> (K, D) weights of the columns in each topic."""
    from sklearn.decomposition import NMF, LatentDirichletAllocation

    with threadpool_limits(1, "blas"):
        lda = LatentDirichletAllocation(k, max_iter=max_iter, learning_method="online", batch_size=256, random_state=seed)
        # nndsvda begins with singular vectors, of which there are no more
        init = "nndsvda" if k <= min(bags.shape) else "random"
        nmf = NMF(k, init=init, max_iter=10 * max_iter, random_state=seed)
        return {"lda": lda.fit(bags).components_, "nmf": _settled(nmf, bags)}


def _settled(nmf, bags: csr_array) -> np.ndarray:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # who wants more steps raises max_iter
        warnings.simplefilter("ignore", ConvergenceWarning)
        return nmf.fit(bags).components_


def _top(weights: np.ndarray, n_words: int) -> Topics:
    return np.argsort(-weights, axis=1, kind="stable")[:, :n_words]


def coherence(topics: Topics, there: csr_array) -> np.ndarray:
    """(K,) mean NPMI of all pairs of a topic's words.

    Args:
        there: (documents, D), other than 0 where a document has a word.
    """
    used = np.unique(topics)
    x = there.tocsc()[:, used].astype(np.float64).tocsr()
    n, together = x.shape[0], (x.T @ x).toarray()
    df = together.diagonal()
    place = np.searchsorted(used, topics)  # (K, T)
    first, second = np.array(list(combinations(range(topics.shape[1]), 2))).T
    i, j = place[:, first], place[:, second]
    return npmi(together[i, j], df[i], df[j], n).mean(axis=1)


def npmi(both: np.ndarray, first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Of words in `first` and `second` of n documents, and in `both` together; any shape.

    The limits: -1 where two never meet, also when one of them is nowhere; 1 where both are everywhere.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(both * n / (first * second)) / -np.log(both / n)
    return np.where(both == 0, -1.0, np.where(both == n, 1.0, value))

"""Search: how many of the nearest by cosine are found by codings, which are smaller and faster to go through.

For each word that is asked for, the k nearest of the vocabulary by the codings are held against the k nearest by the vectors;
and again when the codings only choose `rerank` words, which the cosines of the vectors themselves put in order. Bits are
compared by Hamming distance, codes of quantisers by the cosine of their reconstructions, other codings by their own. A word
as near by the vectors as the last of the k counts as one of them: of words whose vectors are equal any will do.

reads   vectors   what was compressed
        codings   one or more compressions of it
writes  scores    recall, the share of the k nearest that is found; recall_reranked, the same after re-ranking
source  Jégou, Douze, Schmid 2011, section V: recall of a short list; Tissier, Gravier, Habrard 2019 for Hamming distance
shapes  V = max_vocab words, Q = n_queries of them, k neighbours
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field, model_validator

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import nearest, unit
from pipelines.method import Knobs, Run
from pipelines.search import Index, reranked

ROUNDING = 1e-6  # by which cosines of equal vectors may differ


class Params(Knobs):
    k: int = Field(10, ge=1, le=1000)
    rerank: int = Field(100, ge=1, le=100_000)  # how many the codings choose
    n_queries: int = Field(1000, ge=1)  # Q, drawn by the seed
    max_vocab: int = Field(1_000_000, ge=3)  # V: the first so many
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval

    @model_validator(mode="after")
    def _chosen_from_more(self) -> "Params":
        if self.rerank < self.k:
            raise ValueError(f"rerank must be at least k, {self.k}, and is {self.rerank}")
        return self


def evaluate(vectors: Vectors, codings: list[Codings], params: Params, run: Run) -> Scores:
    items = vectors.items()
    rows = np.array([row for row, item in enumerate(items[: params.max_vocab]) if item != UNKNOWN], np.int64)
    if len(rows) < 2:
        raise Fault(f"{vectors.name}: {len(rows)} words have no neighbours. Bring more rows")
    exact = unit(vectors.finite(vectors.matrix())[rows])
    k, chosen = min(params.k, len(rows) - 1), min(params.rerank, len(rows) - 1)
    asked = np.sort(np.random.default_rng(run.seed).choice(len(rows), min(params.n_queries, len(rows)), replace=False))
    least = nearest(exact[asked], exact, k, asked)[1][:, -1:]  # (Q, 1), the cosine of the last of the k
    with run.open(Scores) as out:
        for coding in codings:
            if coding.items() != items:
                raise Fault(f"{coding.name}: its items are not those of {vectors.name}. Name the vectors that it was made from")
            index = Index(coding, rows)
            found, _ = index.nearest(asked, chosen)
            _, first = reranked(found[:, :k], exact[asked], exact, k)
            _, again = reranked(found, exact[asked], exact, k)
            note = f"the {k} nearest of {len(rows):,} words, by {index.by}"
            figures = [
                *_recall("recall", first, least, note, params, run),
                *_recall("recall_reranked", again, least, f"{note}; re-ranked: the first {chosen}", params, run),
            ]
            out.append(**columns({"of": coding.name, "on": vectors.name, **figure} for figure in figures))
            run.say(f"{coding.name}: " + ", ".join(f"{figure['metric']} {figure['value']:.1%}" for figure in figures))
    return out.artifact


def _recall(metric: str, cosine: np.ndarray, least: np.ndarray, note: str, params: Params, run: Run) -> Iterator[dict]:
    share = (cosine >= least - ROUNDING).mean(axis=1)  # (Q,)
    low, high = interval(share.mean(), mean_draws(share, params.n_bootstrap, np.random.default_rng(run.seed)), len(share))
    yield {"metric": metric, "value": float(share.mean()), "low": low, "high": high, "n": len(share), "note": note}

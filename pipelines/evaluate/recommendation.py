"""Recommendation: how well vectors of items tell what comes last in a sequence from what came before, beside what is most popular.

reads   vectors   of items, such as codes of events: made from the sequences, or matched to the vocabulary by the item itself
        tokens    the sequences; those of valid are held out, and their last item is asked for. Popularity is counted in `splits`
        texts     optional: a table with columns item and text
writes  scores    hit_rate, the share of sequences whose last item is among the first k; ndcg among these, which of one right answer is
                  1 / log2(1 + its place); of the vectors, and of popularity; where there are texts once more, with vectors of
                  new items foretold from these, of all sequences and of those that end with a new item
source  Hidasi et al. 2016 and Grbovic et al. 2015 (prod2vec): items by the cosine with the mean of what came before;
        Cremonesi, Koren, Turrin 2010: a ranking of all items, popularity as the rival; Gantner et al. 2010, for new items: from what
        is known of them (here TF-IDF of their texts) to where the others lie, by ridge regression
shapes  S sequences of two items or more, V items, D = vector_size

All items of the vocabulary are ranked. One without a vector comes last, so new items are recommended by their texts alone. A last item
that the vocabulary does not know, or that nothing before it has a vector for, is missed; so let the vocabulary be of valid, too
(`vocab_splits` of its row, `min_count: 1`).
"""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from pipelines import told_rows
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import of_columns
from pipelines.kernels.nearest import unit
from pipelines.method import Knobs, Run
from pipelines.named_sets import once
from pipelines.sources import paths

CELLS = 4_000_000  # scores held at once: 16 MB


class Params(Knobs):
    context: int = Field(5, ge=1)  # how many items before the last one are looked at
    ks: Annotated[list[Annotated[int, Field(ge=1)]], once("a k")] = Field([10], min_length=1)  # how far down the list is looked
    again: bool = True  # whether what is in the context can come again; if not, sequences that end with such an item are left out
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)  # that popularity is of
    texts: str | None = None  # a path or data:NAME; what has no vector gets one foretold from its text, and is scored once more
    l2: float = Field(1.0, gt=0)  # of that regression, on texts of length 1 and vectors of length 1
    n_bootstrap: int = Field(1000, ge=100)  # draws of sequences for an interval


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths(params.texts) if params.texts else []


def evaluate(vectors: list[Vectors], tokens: Tokens, params: Params, run: Run) -> Scores:
    texts = _texts(params.texts, tokens) if params.texts else {}
    context, target, n_short = _sequences(tokens, params)
    counts, words = tokens.known_counts(params.splits), tokens.words()
    unknown = int((target == UNKNOWN_ID).sum())
    about = f"all {len(words) - 1:,} items ranked; {unknown:,} of {len(target):,} last items are unknown"
    about += f"; {n_short:,} sequences that are too short, or end with what they have, are left out" if n_short else ""
    with run.open(Scores) as out:
        popular = _places(lambda part: np.tile(counts.astype(np.float64), (part.stop - part.start, 1)), context, target, params)
        figures = _figures(popular, "valid", about, params, run)
        out.append(**columns({"of": f"{tokens.name}, popularity", **figure} for figure in figures))
        for artifact in vectors:
            x, known = _matched(artifact, words, tokens)
            note = f"{about}; {int((~known[1:]).sum()):,} items have no vector" if not known[1:].all() else about
            figures = _figures(_places(_cosines(x, known, context), context, target, params), "valid", note, params, run)
            out.append(**columns({"of": artifact.name, **figure} for figure in figures))
            if texts:
                x, told = _foretold(x, known, words, texts, artifact, params)
                place = _places(_cosines(x, told, context), context, target, params)
                new = (told & ~known)[target]
                note = f"{about}; vectors of {int((told & ~known).sum()):,} items are foretold from their texts"
                more = _figures(place, "valid", note, params, run)
                more += _figures(place[new], "valid, new items", note, params, run) if new.any() else []
                out.append(**columns({"of": f"{artifact.name}, with texts", **figure} for figure in more))
                figures += more
            run.say(f"{artifact.name}: " + ", ".join(f"{figure['metric']} {figure['value']:.4f}, {figure['on']}" for figure in figures))
    return out.artifact


def _texts(source: str, tokens: Tokens) -> dict[str, str]:
    """Item -> its text. Raises Fault for a table that is none, or that is of other items."""
    texts: dict[str, str] = {}
    twice = []
    for where, (item, text) in told_rows.read(source, ["item", "text"]):
        if item in texts:
            twice.append(f"{where} has {item!r} once more; an item has one text")
        texts[item] = text
    told_rows.refuse(twice, source)
    if not texts.keys() & set(tokens.words()):
        first = ", ".join(map(repr, list(texts)[:3]))
        raise Fault(f"{source} has a text of none of the items of {tokens.name}; its first are {first}. Name texts of these items")
    return texts


def _sequences(tokens: Tokens, params: Params) -> tuple[csr_array, np.ndarray, int]:
    """((S, V) how often each item is in the context, (S,) the last item, how many sequences are left out). Raises Fault where S is 0."""
    values, offsets = tokens.ids(["valid"])
    start, end = offsets[:-1], offsets[1:]
    n_all = len(start)
    long = end - start >= 2
    last = end[long] - 1
    first = np.maximum(start[long], last - params.context)
    places = np.concatenate([np.empty(0, np.int64), *(np.arange(a, b) for a, b in zip(first, last, strict=True))])
    indptr = np.concatenate([[0], np.cumsum(last - first)])
    context = csr_array((np.ones(len(places)), values[places], indptr), shape=(len(last), tokens.n_rows("vocab")))
    context.sum_duplicates()
    target = values[last].astype(np.int64)
    if not params.again:
        new = np.array([item not in context[[row]].indices for row, item in enumerate(target)], bool)
        context, target = context[np.flatnonzero(new)], target[new]
    if not len(target):
        raise Fault(
            f"{tokens.name}: none of its {n_all:,} sequences of split valid has two items{'' if params.again else ', the last a new one'}. "
            "Give its corpus a validation split of longer sequences"
        )
    return context, target, n_all - len(target)


def _matched(artifact: Vectors, words: list[str], tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """((V, D) directions, zeros for an item without one; (V,) bool, which have one). Raises Fault where no item has."""
    row_of = {item: row for row, item in enumerate(artifact.items())}
    rows = np.array([row_of.get(word, -1) for word in words], np.int64)
    rows[UNKNOWN_ID] = -1
    if (rows < 0).all():
        raise Fault(
            f"{artifact.name}: none of the {len(words) - 1:,} items of {tokens.name} has a vector; its first are "
            f"{', '.join(map(repr, list(row_of)[:3]))}. Name vectors made from these tokens"
        )
    x = unit(artifact.finite(artifact.matrix()))[np.maximum(rows, 0)]
    x[rows < 0] = 0
    return x, rows >= 0


def _foretold(
    x: np.ndarray, known: np.ndarray, words: list[str], texts: dict[str, str], artifact: Vectors, params: Params
) -> tuple[np.ndarray, np.ndarray]:
    """The same with vectors of items that have none and have a text; what joins the two is learned from the items that have both."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    has_text = np.array([word in texts for word in words])
    both, new = np.flatnonzero(known & has_text), np.flatnonzero(~known & has_text)
    if len(both) < 2:
        raise Fault(
            f"{artifact.name}: {len(both)} of its {int(known.sum()):,} items have a text in {params.texts}; to learn what a text says of a "
            "vector takes two. Add texts of items that have vectors"
        )
    if not len(new):
        return x, known
    weigh = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        learned = Ridge(params.l2, solver="sparse_cg", tol=1e-6).fit(weigh.fit_transform([texts[words[i]] for i in both]), x[both])
        x = x.copy()
        x[new] = unit(learned.predict(weigh.transform([texts[words[i]] for i in new])))
    known = known.copy()
    known[new] = True
    return x, known


def _cosines(x: np.ndarray, known: np.ndarray, context: csr_array) -> Callable[[slice], np.ndarray]:
    means = unit((context @ x) / np.maximum((context @ known.astype(np.float64))[:, None], 1))

    def scores(part: slice) -> np.ndarray:
        found = np.where(known, means[part] @ x.T, -np.inf)
        found[~means[part].any(axis=1)] = -np.inf
        return found

    return scores


def _places(scoring: Callable[[slice], np.ndarray], context: csr_array, target: np.ndarray, params: Params) -> np.ndarray:
    """(S,) the place of the last item among all, from 1; of equal scores the first item comes first. inf where it is not found.

    Args:
        scoring: which sequences -> (those, V) scores, -inf of what is not found.
    """
    n_items = context.shape[1]
    place = np.full(len(target), np.inf)
    step = max(1, CELLS // n_items)
    for start in range(0, len(target), step):
        part = slice(start, min(start + step, len(target)))
        scores = scoring(part)
        scores[:, UNKNOWN_ID] = -np.inf
        if not params.again:
            scores[context[part].nonzero()] = -np.inf
        mine = scores[np.arange(len(scores)), target[part]][:, None]
        before = (scores > mine) | ((scores == mine) & (np.arange(n_items) < target[part][:, None]))
        found = mine[:, 0] > -np.inf
        place[part][found] = 1 + before[found].sum(axis=1)
    return place


def _figures(place: np.ndarray, of: str, note: str, params: Params, run: Run) -> list[dict]:
    what = [(metric, k) for k in params.ks for metric in ("hit_rate", "ndcg")]
    each = np.column_stack([(place <= k) * (1.0 if metric == "hit_rate" else 1 / np.log2(1 + place)) for metric, k in what])
    figures = zip(what, of_columns(each, params.n_bootstrap, np.random.default_rng(run.seed)), strict=True)
    return [
        {"metric": metric, "on": f"{of}, first {k}", "value": value, "low": low, "high": high, "n": len(place), "note": note}
        for (metric, k), (value, low, high) in figures
    ]

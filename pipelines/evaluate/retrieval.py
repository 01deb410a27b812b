"""Retrieval: how well vectors of documents find those that answer a query, beside BM25.

reads   vectors   of documents, items their doc_id: doc2vec, lsa, mean_of_words, bags; the documents' order is that of the cosines. Or of
                  words: documents and queries are then the means of their words, in each of the ways of `words`
        tokens    the same documents, which BM25 counts the words of; the unknown token is left out
        queries   a table with columns query, doc_id and grade: how relevant a document is, from 0. A query is the doc_id of a document,
                  or else a text. Without one each document of valid is a query, and those of its class are relevant
writes  scores    ndcg and recall among the first k; reciprocal_rank, the mean of one over the place of the first relevant document
source  Järvelin, Kekäläinen 2002 (nDCG); Voorhees 1999 (reciprocal rank); Robertson, Zaragoza 2009 (BM25); Arora, Liang, Ma 2017 (sif)
shapes  Q queries, N documents, V words, D = vector_size

A text is cut by the tokens' tokenizer.json, for BM25 and for vectors of words. Vectors of documents have none of it, and are asked the
queries that are documents, as the others are once more; to ask them for a text, too, let it be a document of the corpus. What a vector
is missing for is found by nobody.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, vstack
from threadpoolctl import threadpool_limits

from pipelines import told_rows
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import of_columns
from pipelines.kernels.nearest import unit
from pipelines.kernels.pooling import leading
from pipelines.kernels.retrieval import bm25, in_order, ndcg, recall, reciprocal_rank
from pipelines.lookup import lookup
from pipelines.method import Knobs, Run
from pipelines.named_sets import once
from pipelines.sources import paths

CELLS = 4_000_000  # scores held at once: 16 MB
A = 1e-3  # of sif; the paper's value
ZERO = 1e-6  # of the longest vector; what is shorter is rounding


class Params(Knobs):
    queries: str | None = None  # a path or data:NAME. None: by class
    n_queries: int = Field(1000, ge=1)  # by class: so many documents of valid, drawn by the seed
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train"], min_length=1)  # of the documents that can be found
    ks: Annotated[list[Annotated[int, Field(ge=1)]], once("a k")] = Field([10, 100], min_length=1)  # how far down the list is looked
    # of vectors of words: the plain mean of a text's words; rare ones weighing more, less the first component of the documents
    words: Annotated[list[Literal["mean", "sif"]], once("a way")] = Field(["mean", "sif"], min_length=1)
    k1: float = Field(1.2, ge=0)  # of BM25: how slowly further sightings of a word cease to count
    b: float = Field(0.75, ge=0, le=1)  # of BM25: how much less a long document's are worth
    n_bootstrap: int = Field(1000, ge=100)  # draws of queries for an interval


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths(params.queries) if params.queries else []


@dataclass(frozen=True)
class Documents:
    names: list[str]  # doc_id
    counts: csr_array  # (n, V)
    split: np.ndarray
    label: list[str | None]  # None for those of test


@dataclass(frozen=True)
class Asked:
    title: str
    names: list[str | None]  # (Q,) doc_id of a query that is a document
    counts: csr_array  # (Q, V)
    gains: csr_array  # (Q, N) grades


# (which queries) -> (those, N) scores, -inf for what is not found
Scoring = Callable[[slice], np.ndarray]


def evaluate(vectors: list[Vectors], tokens: Tokens, params: Params, run: Run) -> Scores:
    every = _documents(tokens)
    among = np.flatnonzero(np.isin(every.split, params.splits))
    if not len(among):
        raise Fault(f"{tokens.name} has no document of {', '.join(params.splits)}, so there is none to find. Name other splits")
    names = [every.names[i] for i in among]
    asked = _told(params.queries, every, among, tokens) if params.queries else [_by_class(every, among, params, run, tokens)]
    with run.open(Scores) as out:
        weights = bm25(every.counts[among], params.k1, params.b)
        note = f"BM25, k1 {params.k1:.4g}, b {params.b:.4g}"
        for one in asked:
            figures = _figures(one, names, _counted(one, weights), note, params, run)
            out.append(**columns({"of": f"{tokens.name}, BM25", **figure} for figure in figures))
        for artifact in vectors:
            word = _words(artifact, every.names, tokens)
            for by in params.words if word is not None else [""]:
                of = f"{artifact.name}, {by} of words" if by else artifact.name
                for one in asked if by else asked[-1:]:
                    cosines = _by_words(word, by, one, every.counts[among]) if word is not None else _by_cosine(artifact, one, names)
                    figures = _figures(one, names, *cosines, params, run)
                    out.append(**columns({"of": of, **figure} for figure in figures))
                    run.say(f"{of}: " + ", ".join(f"{figure['metric']} {figure['value']:.4f}, {figure['on']}" for figure in figures))
    return out.artifact


def _documents(tokens: Tokens) -> Documents:
    n_vocab = tokens.n_rows("vocab")
    counts = []
    for batch in tokens.batches(["token_ids"]):
        ids = batch.column("token_ids")
        offsets = np.concatenate([[0], np.cumsum(ids.value_lengths().to_numpy(zero_copy_only=False))])
        counts.append(_bags(ids.flatten().to_numpy(zero_copy_only=False), offsets, n_vocab))
    table = tokens.read(columns=["doc_id", "split", "label"])
    split = table["split"].to_numpy()
    label = [None if where == "test" else name for where, name in zip(split, table["label"].to_pylist(), strict=True)]
    return Documents(table["doc_id"].to_pylist(), vstack(counts, format="csr"), split, label)


def _bags(values: np.ndarray, offsets: np.ndarray, n_vocab: int) -> csr_array:
    """(n, V) float32 counts, without the unknown token."""
    known = csr_array(((values != UNKNOWN_ID).astype(np.float32), values, offsets), shape=(len(offsets) - 1, n_vocab))
    known.sum_duplicates()
    known.eliminate_zeros()
    return known


def _by_class(every: Documents, among: np.ndarray, params: Params, run: Run, tokens: Tokens) -> Asked:
    """Documents of valid, and all that are of their class. Raises Fault where there are none."""
    place = {name: i for i, name in enumerate(sorted({label for label in every.label if label is not None}))}
    label = np.array([place.get(name, -1) for name in every.label])
    there = np.unique(label[among])
    queries = np.flatnonzero((every.split == "valid") & (label >= 0) & np.isin(label, there))
    if not len(queries):
        raise Fault(
            f"{tokens.name} has no document of valid with a class that one of {', '.join(params.splits)} has. "
            "Give its corpus classes and a validation split, or name a table of queries"
        )
    drawn = np.random.default_rng(run.seed).choice(queries, min(params.n_queries, len(queries)), replace=False)
    queries = np.sort(drawn)
    same = csr_array(label[queries][:, None] == label[among], dtype=np.float32)
    return Asked("valid, by class", [every.names[i] for i in queries], every.counts[queries], same)


def _told(source: str, every: Documents, among: np.ndarray, tokens: Tokens) -> list[Asked]:
    """All queries of the table; then those that are documents, where others are texts. Raises Fault with all that is wrong in it."""
    row_of = {name: i for i, name in enumerate(every.names)}
    place = {every.names[i]: n for n, i in enumerate(among)}
    graded: dict[str, dict[int, float]] = {}
    faults = []
    for where, (query, doc_id, grade) in told_rows.read(source, ["query", "doc_id", "grade"]):
        number = _number(grade)
        if number is None:
            faults.append(f"{where}: the grade {grade!r} is no number from 0 on")
        elif doc_id not in place:
            what = "is no document of" if doc_id not in row_of else "is in a split that `splits` does not name, of"
            faults.append(f"{where}: {doc_id!r} {what} {tokens.name}")
        elif graded.setdefault(query, {}).setdefault(place[doc_id], number) != number:
            faults.append(f"{where}: {doc_id!r} has another grade for the same query in a line before it")
    told_rows.refuse(faults, source)
    if blank := [query for query, grades in graded.items() if not any(grades.values())]:
        raise Fault(f"{source}: {len(blank):,} of {len(graded):,} queries have no document of a grade above 0, first {blank[0][:60]!r}")
    texts = [query for query in graded if query not in row_of]
    queries = [*texts, *(query for query in graded if query in row_of)]
    counts = vstack([_cut(texts, tokens), every.counts[[row_of[query] for query in queries[len(texts) :]]]], format="csr")
    gains = np.zeros((len(queries), len(among)), np.float32)
    for i, query in enumerate(queries):
        gains[i, list(graded[query])] = list(graded[query].values())
    title = Path(source).stem
    found = [Asked(title, [None if query in texts else query for query in queries], counts, csr_array(gains))]
    if 0 < len(texts) < len(queries):
        part = slice(len(texts), None)
        found.append(Asked(f"{title}, documents as queries", queries[part], counts[part], csr_array(gains[part])))
    return found


def _number(grade: str) -> float | None:
    try:
        number = float(grade)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _cut(texts: Sequence[str], tokens: Tokens) -> csr_array:
    """(n, V), as the tokenizer that is kept beside the tokens cuts. Raises Fault where there is none."""
    n_vocab = tokens.n_rows("vocab")
    if not texts:
        return csr_array((0, n_vocab), dtype=np.float32)
    path = tokens.folder / "tokenizer.json"
    if not path.exists():
        raise Fault(
            f"{tokens.name} has no tokenizer.json to cut the query {texts[0][:60]!r} with. Let queries be documents of the corpus, by their "
            "doc_id, or take tokens of words (with a pattern as its own), whitespace, characters, bpe or wordpiece"
        )
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(path)).encode_batch(list(texts), add_special_tokens=False)
    offsets = np.concatenate([[0], np.cumsum([len(encoding.ids) for encoding in found])])
    return _bags(np.array([i for encoding in found for i in encoding.ids], np.int64), offsets, n_vocab)


def _counted(asked: Asked, weights: csr_array) -> Scoring:
    def scores(part: slice) -> np.ndarray:
        found = (asked.counts[part] @ weights.T).toarray()
        found[found == 0] = -np.inf  # no word in common
        return found

    return scores


def _by_cosine(artifact: Vectors, asked: Asked, names: list[str]) -> tuple[Scoring, str]:
    """And what has no vector. Raises Fault where that is all queries, or all documents."""
    row_of = {item: row for row, item in enumerate(artifact.items())}
    x = artifact.finite(artifact.matrix())
    query, document = (np.array([row_of.get(name, -1) for name in some]) for some in (asked.names, names))
    if (query < 0).all() or (document < 0).all():
        what = f"query of {asked.title}" if (query < 0).all() else "document that could be found"
        raise Fault(
            f"{artifact.name} has a vector of no {what}; its first items are {', '.join(map(repr, list(row_of)[:3]))}. "
            "Name vectors of documents, and queries that are documents of the corpus, by their doc_id; or vectors of words"
        )
    return _cosines(*(np.where(rows[:, None] >= 0, x[rows], 0) for rows in (query, document)))


def _words(artifact: Vectors, names: list[str], tokens: Tokens) -> np.ndarray | None:
    """(V, D) float32 of the vocabulary, zeros where a word has none; None where the rows are documents, as most of their names say."""
    items = set(artifact.items())
    words = tokens.words()
    if np.mean([name in items for name in names]) >= np.mean([word in items for word in words]):
        return None
    found = lookup(artifact, words, compose=False)
    found.vector[UNKNOWN_ID] = 0  # its vector, where there is one, is of no word
    return artifact.finite(found.vector, words)


def _by_words(word: np.ndarray, by: str, asked: Asked, counts: csr_array) -> tuple[Scoring, str]:
    """Of means of words.

    Args:
        word: (V, D), zeros of a word that has no vector.
        counts: (N, V) of the documents that can be found; how rare a word is, and the component, are theirs.
    """
    known = word.any(axis=1).astype(np.float64)
    seen = counts.sum(axis=0)
    weight = A / (A + seen / max(seen.sum(), 1)) if by == "sif" else np.ones(len(word))
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        queries, documents = (
            (bags @ (word * weight[:, None])) / np.maximum(bags @ known, 1)[:, None] for bags in (asked.counts, counts)
        )  # fmt: skip
        if by == "sif":
            first = leading(documents, 1)
            queries, documents = (x - (x @ first.T) @ first for x in (queries, documents))
    return _cosines(queries, documents)


def _cosines(queries: np.ndarray, documents: np.ndarray) -> tuple[Scoring, str]:
    """Of (Q, D) and (N, D); a row of zeros has no vector, and the second says how many have none."""
    lengths = [np.linalg.norm(x, axis=1) for x in (queries, documents)]
    query, document = (length > ZERO * np.concatenate(lengths).max() for length in lengths)
    x, y = unit(queries), unit(documents)
    n_query, n_document = int((~query).sum()), int((~document).sum())
    missing = f"{n_query:,} queries and {n_document:,} documents have no vector" if n_query or n_document else ""

    def scores(part: slice) -> np.ndarray:
        return np.where(query[part, None] & document, x[part] @ y.T, -np.inf)

    return scores, missing


def _figures(asked: Asked, names: list[str], scoring: Scoring, note: str, params: Params, run: Run) -> list[dict]:
    place = {name: i for i, name in enumerate(names)}
    n = len(asked.names)
    parts = []
    step = max(1, CELLS // len(names))
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        scores, gains = scoring(part), asked.gains[part].toarray()
        own = np.array([place.get(name, -1) if name is not None else -1 for name in asked.names[part]])
        itself = np.flatnonzero(own >= 0), own[own >= 0]
        scores[itself], gains[itself] = -np.inf, 0  # a document that is the query is no answer to it
        found = in_order(scores, gains)
        parts.append(np.column_stack([reciprocal_rank(found), *(of(found, gains, k) for k in params.ks for of in (ndcg, recall))]))
    each = np.concatenate(parts)  # (Q, 1 + 2 ks)
    what = [("reciprocal_rank", asked.title), *((metric, f"{asked.title}, first {k}") for k in params.ks for metric in ("ndcg", "recall"))]
    note = "; ".join(filter(None, [f"among {len(names):,} documents", note]))
    figures = zip(what, of_columns(each, params.n_bootstrap, np.random.default_rng(run.seed)), strict=True)
    return [
        {"metric": metric, "on": on, "value": value, "low": low, "high": high, "n": n, "note": note}
        for (metric, on), (value, low, high) in figures
    ]

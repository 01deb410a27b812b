"""Search: the documents nearest to a text, which gets a vector in the way that theirs were made.

reads   vectors   of documents, by a row of mean_of_words, lsa (of: documents), bags or doc2vec (of: tags); what that row reads; the corpus

mean_of_words  the weighted mean of the text's known words, less the components that were taken away
lsa, bags      the text as a bag, weighed as `cooccur: documents` weighed theirs, folded into the directions, or its chosen columns
doc2vec        inferred: the words stand still, as for the row's `infer`; drawn by the row's seed. A row of engine gensim is inferred by
               the descent of engine own, from the same weights

Exact search looks at all vectors. `approximate` asks a graph of them (HNSW: Malkov, Yashunin 2018, by faiss), which is made once and
kept in .wordloom/search.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.nearest import unit
from pipelines.params import Row, read_row
from pipelines.use.cutting import Cutter
from pipelines.use.space import Near, Space

INDEXES = ".wordloom/search"
# of HNSW: neighbours that a vector is linked to, candidates while it is built, and while it is asked
LINKS, BUILT, ASKED = 32, 40, 200
SHOWN = 80  # characters of a text


class Hit(NamedTuple):
    doc_id: str  # of doc2vec with tag: label, the class
    label: str | None
    cosine: float
    text: str  # its beginning; empty of a class

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict() | {"cosine": round(self.cosine, 6)}


def search(root: Path, row: str, query: str, k: int = 10, approximate: bool = False) -> list[Hit]:
    """The k documents whose vectors have the highest cosine with the text's.

    Raises:
        Fault: the row is not of documents, or cannot place a text; the text has no known word.
    """
    row = row.removeprefix("embed/")
    space = Space(root, row)
    made = read_row(root, "embed", row)
    vector = of_text(root, made, space.vectors, query)
    found = by_graph(root, space, vector, k) if approximate else space.near(vector[None], np.array([-1]), k)[0]
    return _told(root, made, space, found)


def of_text(root: Path, made: Row, vectors: Vectors, query: str) -> np.ndarray:
    """(D,) float32, the vector of a text by a row of embed. Raises Fault."""
    of = getattr(made.knobs, "of", "documents")
    if made.method.name not in PLACED or of not in ("documents", "tags"):
        what = f"of {of}" if made.method.name in PLACED else f"by {made.method.name}"
        raise Fault(
            f"embed.{made.name} has vectors {what}, and a text is placed among documents of {', '.join(PLACED)}. Name a row of one of these; "
            f"of vectors of words: {{method: mean_of_words, tokens: ..., vectors: {made.name}}}"
        )
    vector = PLACED[made.method.name](root, made, vectors, query)
    if not vector.any():
        raise Fault(f"the text has no word that {vectors.name} knows, or its words cancel out: {query[:SHOWN]!r}. Say it in other words")
    return vector.astype(np.float32)


def _mean(root: Path, made: Row, vectors: Vectors, query: str) -> np.ndarray:
    from pipelines.lookup import lookup

    tokens, values = _cut(root, made.inputs["tokens"][0], query)
    kind, noun = (Vectors, "vectors") if made.inputs["vectors"] else (Codings, "codings")
    _, weights = vectors.model()
    words = tokens.words()
    _same(len(words), len(weights["weight"]), vectors, tokens.name)
    found = lookup(kind(root / layout.artifact(noun, made.inputs[noun][0])), [words[i] for i in values], compose=False)
    known = found.row >= 0
    weight = weights["weight"][values[known]].astype(np.float64)
    x = weight @ found.vector[known] / max(known.sum(), 1)
    return x - (x @ weights["components"].T) @ weights["components"]


def _folded(root: Path, made: Row, vectors: Vectors, query: str) -> np.ndarray:
    settings, weights = vectors.model()
    bag = _bag(root, made.inputs["counts"][0], query)
    _same(bag.shape[1], len(weights["directions"]), vectors, f"counts/{made.inputs['counts'][0]}")
    return (bag @ weights["directions"])[0] * weights["singular_values"] ** (settings["exponent"] - 1)


def _columns(root: Path, made: Row, vectors: Vectors, query: str) -> np.ndarray:
    settings, weights = vectors.model()
    bag = _bag(root, made.inputs["counts"][0], query)
    _same(bag.shape[1], max(bag.shape[1], weights["column"].max() + 1), vectors, f"counts/{made.inputs['counts'][0]}")
    x = bag[:, weights["column"]].toarray()[0]
    if settings["normalise"] != "none" and x.any():
        x = x / (np.abs(x).sum() if settings["normalise"] == "sum" else np.linalg.norm(x))
    x = x / weights["largest"]
    return np.minimum(x, 1) if settings["scale"] else x


def _bag(root: Path, row: str, query: str) -> csr_array:
    """(1, F): the text as the row's other documents are."""
    from pipelines.kernels.bags import inverse_frequency, weigh

    made = read_row(root, "cooccur", row)
    if made.method.name != "documents":
        raise Fault(
            f"cooccur.{row} is made by {made.method.name}, and a text is counted by `documents`. Name a row that reads one of these"
        )
    tokens, values = _cut(root, made.inputs["tokens"][0], query)
    counts, knobs = Counts(root / layout.artifact("counts", row)), made.knobs
    if knobs.buckets:
        from sklearn.utils import murmurhash3_32

        words = tokens.words()
        values = np.array([murmurhash3_32(words[i], positive=True) % knobs.buckets for i in values], np.int64)
    n_columns = counts.n_rows("vocab")
    column, count = np.unique(values, return_counts=True)
    bag = csr_array((count.astype(np.float32), column, [0, len(column)]), shape=(1, n_columns))
    if knobs.weighting == "binary":
        bag.data[:] = 1
    if knobs.weighting == "log":
        bag.data[:] = 1 + np.log(bag.data)
    if knobs.weighting == "tfidf":
        mine = np.isin(counts.documents()["split"].to_numpy(), knobs.idf_splits)
        df = np.zeros(n_columns, np.int64)
        for document, col, _ in counts.blocks():
            df += np.bincount(col[mine[document]], minlength=n_columns)
        return weigh(bag, inverse_frequency(df, int(mine.sum())), knobs.sublinear)
    return bag


def _inferred(root: Path, made: Row, vectors: Vectors, query: str) -> np.ndarray:
    from pipelines import word2vec
    from pipelines.embed.doc2vec import FORMS
    from pipelines.kernels import word2vec as kernel
    from pipelines.method import Run

    tokens, values = _cut(root, made.inputs["tokens"][0], query)
    knobs = made.knobs.model_copy(update={"engine": "own"})
    run = Run(root, f"embed/{made.name}", made.world.seed, threads=1)
    words, (_, kept) = word2vec.words_of(tokens, knobs.splits, run), vectors.model()
    _same(len(words.ids), len(kept["words"]), vectors, tokens.name)
    if not (words.place[values] >= 0).any():
        return np.zeros(vectors.size)
    size, wide = vectors.size, kernel.padded(vectors.size)
    context = kept["context"].reshape(len(kept["context"]), -1, size)

    def padded(x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, wide - size)])

    document = word2vec.begin(1, size, run.rng)
    weights = kernel.Weights(padded(kept["words"]), document, padded(context).reshape(len(context), -1))
    piece = word2vec.Piece(values.astype(np.int32), np.array([0, len(values)]), np.zeros(1, np.int32))
    word2vec.infer(lambda: iter([piece]), words, weights, knobs, knobs.infer_epochs, run, FORMS[knobs.form])
    return document[0, :size]


PLACED: dict[str, Callable[[Path, Row, Vectors, str], np.ndarray]] = {
    "mean_of_words": _mean, "lsa": _folded, "bags": _columns, "doc2vec": _inferred,
}  # fmt: skip


def _cut(root: Path, row: str, query: str) -> tuple[Tokens, np.ndarray]:
    """The tokens that a text is cut by, and (n,) token ids of its known words."""
    values = Cutter(root, row).cut([query]).values
    return Tokens(root / layout.artifact("tokens", row)), values[values != UNKNOWN_ID]


def _same(there: int, wanted: int, vectors: Vectors, of: str) -> None:
    if there != wanted:
        raise Fault(f"{vectors.name} was made of {wanted:,} words, and {of} has {there:,} now. Run: dvc repro embed-{vectors.row}")


def by_graph(root: Path, space: Space, vector: np.ndarray, k: int) -> Near:
    """The same by HNSW, which may miss some; the index is made where there is none of these vectors."""
    import faiss

    digest = layout.hash_path(space.vectors.folder / "vectors.parquet")
    page = root / INDEXES / f"{space.vectors.row}-{digest[:16]}.faiss"
    if page.exists():
        index = faiss.read_index(str(page))
    else:
        index = faiss.IndexHNSWFlat(space.vectors.size, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILT
        for piece in space.vectors.pieces():
            index.add(unit(piece))
        page.parent.mkdir(parents=True, exist_ok=True)
        for old in page.parent.glob(f"{space.vectors.row}-{'?' * 16}.faiss"):
            old.unlink()
        part = page.with_suffix(".part")
        faiss.write_index(index, str(part))
        part.replace(page)
    index.hnsw.efSearch = max(ASKED, 2 * k)
    cosine, found = index.search(unit(vector[None]), min(k, index.ntotal))
    return [(space.items[i], float(it)) for i, it in zip(found[0].tolist(), cosine[0], strict=True) if i >= 0]


def _told(root: Path, made: Row, space: Space, found: Near) -> list[Hit]:
    """With labels, and the beginnings of their texts."""
    wanted = [item for item, _ in found]
    table = space.vectors.read(columns=["item", "label"])
    table = table.filter(pc.is_in(table["item"], pa.array(wanted)))
    label = dict(zip(table["item"].to_pylist(), table["label"].to_pylist(), strict=True))
    text = _texts(root, made, wanted)
    return [Hit(item, label[item], cosine, text.get(item, "")) for item, cosine in found]


def _texts(root: Path, made: Row, wanted: list[str]) -> dict[str, str]:
    """doc_id -> the beginning of the text on one line, of those that the corpus has."""
    tokens = made.inputs.get("tokens") or read_row(root, "cooccur", made.inputs["counts"][0]).inputs["tokens"]
    corpus = Corpus(root / layout.artifact("corpus", read_row(root, "tokenize", tokens[0]).inputs["corpus"][0]))
    if not corpus.folder.exists():
        return {}
    found: dict[str, str] = {}
    for batch in corpus.batches(["doc_id", "text"]):
        batch = batch.filter(pc.is_in(batch.column("doc_id"), pa.array(wanted)))
        lines = (" ".join(text.split()) for text in pc.utf8_slice_codeunits(batch.column("text"), 0, 2 * SHOWN).to_pylist())
        short = [line if len(line) <= SHOWN else line[: SHOWN - 1].rstrip() + "…" for line in lines]
        found |= zip(batch.column("doc_id").to_pylist(), short, strict=True)
        if len(found) == len(wanted):
            break
    return found

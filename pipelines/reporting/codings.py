"""What the report shows of codings: images beside what comes back of them, draws, maps, how active sparse units are.

reads   codings with their models, and the vectors that they were made from
source  maps: t-SNE, van der Maaten, Hinton 2008, by scikit-learn
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines import charts
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import DECODERS, are_names, cost, decoder

SHOWN = 12  # images in a line
TALL = 44  # pixels of the screen, about, that an image is high
LARGEST = 256  # pixels of an image's side that is shown
MAPPED, STEPS = 500, 400  # items of a map, and steps of its descent
MOST_MAPS = 12  # they take half a second each
FREQUENT = 5_000  # items whose loss is looked at: the first, which are the most frequent words
NAMED = 12  # of them, those that are lost the least and the most
FEWEST = 50  # of fewer items no map is drawn
MOST_CLASSES = 40  # labels beyond are names, or numbers, more than classes
BINS = 24
ACTIVE, HALF = 1e-6, 0.5  # a unit above this is active: of those that may be 0; of those that have a target, which a sigmoid keeps above 0
NEVER = 1e-3  # a unit whose mean activity is below this share of the mean of all never is


def images(vectors: Vectors, codings: Sequence[Codings], seed: int) -> dict[str, Any] | None:
    """Some images, and what each of the codings gives back of them; draws of those that follow a law. None where there are no images."""
    shape = vectors.image()
    if shape is None or not codings or max(shape) > LARGEST or shape[2] not in (1, 3) or not vectors.n_rows():
        return None
    rows = _some(vectors, seed)
    originals = vectors.rows(rows)
    low, high = float(originals.min()), float(originals.max())
    height = shape[0] * max(1, round(TALL / shape[0]))

    def line(pixels: np.ndarray) -> str:
        return charts.strip(pixels.reshape(-1, *shape), low, high)

    lines, drawn = [], []
    items = vectors.items()
    for coding in codings:
        if coding.items() != items or (settings := coding.settings()).get("model") not in DECODERS:
            continue
        back = decoder(coding)
        lost = float(coding.read(columns=["error"]).column("error").to_numpy().mean(dtype=np.float64)) / vectors.size
        lines.append(
            {"of": coding.name, "bytes": cost(coding)[0], "size": coding.size, "lost": lost, "picture": line(back(coding.rows(rows)))}
        )
        if "prior" in settings:
            from pipelines.prior import draws  # torch takes seconds to import

            made = back(draws(coding, 2 * SHOWN, seed))
            drawn.append({"of": coding.name, "pictures": [line(half) for half in np.split(made, 2)]})
    return {"of": vectors.name, "n": len(rows), "height": height, "originals": line(originals), "lines": lines, "drawn": drawn}


def whole(codings: Codings) -> bool:
    """True. Raises Fault for codings whose model cannot be read, or makes no decoder though it is of a kind that has one."""
    if codings.settings().get("model") in DECODERS:
        decoder(codings)
    return True


def _some(vectors: Vectors, seed: int) -> np.ndarray:
    """Rows of as many classes as there are, drawn by seed, sorted."""
    order = np.random.default_rng(seed).permutation(vectors.n_rows())
    label = np.array(vectors.read(columns=["label"]).column("label").to_pylist(), dtype=object)[order]
    _, first = np.unique([str(it) for it in label], return_index=True)
    first = np.sort(first)[:SHOWN]
    rest = np.setdiff1d(np.arange(min(len(order), 2 * SHOWN)), first)[: SHOWN - len(first)]
    return np.sort(order[np.concatenate([first, rest])])


def map_of(matrix: Matrix, vectors: Vectors, seed: int) -> dict[str, Any] | None:
    """Vectors or codings of items with classes, in the plane, so that near ones stay near.

    None where there are no classes, and of codes, whose numbers are names.
    """
    if isinstance(matrix, Codings) and are_names(matrix.settings()):
        return None
    table = vectors.read(columns=["item", "label"])
    label = np.array(table.column("label").to_pylist(), dtype=object)
    known = np.flatnonzero(label != None)  # noqa: E711  of each cell
    classes = set(label[known])
    if len(known) < FEWEST or not 2 <= len(classes) <= MOST_CLASSES or matrix.items() != table.column("item").to_pylist():
        return None
    from sklearn.manifold import TSNE

    rows = np.sort(np.random.default_rng(seed).choice(known, min(MAPPED, len(known)), replace=False))
    x = matrix.rows(rows)
    if len(np.unique(x, axis=0)) < FEWEST:  # all but the same: nothing to lay out
        return None
    tsne = TSNE(init="pca" if x.shape[1] > 1 else "random", perplexity=min(30, len(rows) / 4), max_iter=STEPS, random_state=seed)
    return {"of": matrix.name, "size": matrix.size, "n": len(rows), "picture": charts.scatter(tsne.fit_transform(x), label[rows].tolist())}


def lost(codings: Codings, vectors: Vectors) -> dict[str, Any] | None:
    """How much of each of the first FREQUENT items a coding loses: squared error over squared length. None of images, and of few items."""
    if vectors.image() or codings.n_rows() < FEWEST or codings.items() != vectors.items():
        return None
    rows = np.arange(min(codings.n_rows(), FREQUENT))
    error = codings.read(columns=["error"]).column("error").to_numpy()[rows].astype(np.float64)
    share = error / np.maximum((vectors.rows(rows).astype(np.float64) ** 2).sum(axis=1), 1e-30)
    order, items = np.argsort(share, kind="stable"), codings.items()
    counts, borders = np.histogram(share, BINS)
    ends = [[(items[i], float(share[i])) for i in some] for some in (order[:NAMED], order[::-1][:NAMED])]
    return {
        "of": codings.name, "on": vectors.name, "n": len(rows), "mean": float(share.mean()), "least": ends[0], "most": ends[1],
        "borders": borders.tolist(), "counts": counts.tolist(),
    }  # fmt: skip


def activity(codings: Codings) -> dict[str, Any] | None:
    """How active the units of a sparse method are, beside their target where they have one. None for codings of other methods."""
    settings = codings.settings()
    target = settings.get("activity")
    if target is None and settings.get("code") != "relu":
        return None
    most = max(float(piece.max()) for piece in codings.pieces())
    top, above = (most or 1.0, ACTIVE) if target is None else (1.0, HALF)
    borders = np.linspace(0, top, BINS + 1)
    counts, total, active = np.zeros(BINS, np.int64), np.zeros(codings.size), 0
    for piece in codings.pieces():
        counts += np.histogram(np.minimum(piece, top), borders)[0]
        total += piece.sum(axis=0, dtype=np.float64)
        active += int((piece > above).sum())
    mean = total / codings.n_rows()  # (K,)
    return {
        "of": codings.name, "target": target, "units": codings.size, "mean": float(mean.mean()), "low": float(mean.min()),
        "high": float(mean.max()), "active": active / (codings.n_rows() * codings.size), "never": int((mean <= NEVER * mean.mean()).sum()),
        "borders": borders.tolist(), "counts": counts.tolist(), "means": mean.tolist(),
    }  # fmt: skip


def loss_picture(it: dict[str, Any]) -> Any:
    """Histogram of one `lost`."""
    return charts.histogram(it["borders"], {"items": it["counts"]}, "share of an item's squared length that is lost")


def pictures(it: dict[str, Any]) -> list[dict[str, Any]]:
    """Histograms of one `activity`: of all activities, and of the units' means."""
    top = 1.25 * max(it["high"], it["target"] or 0) or 1.0
    borders = np.linspace(0, top, BINS + 1)
    means = np.histogram(it["means"], borders)[0].tolist()
    return [
        {"what": "activities", "picture": charts.histogram(it["borders"], {"activities": it["counts"]}, "activity of a unit for an item")},
        {"what": "means", "picture": charts.histogram(borders.tolist(), {"means": means}, "mean activity of a unit", mark=it["target"])},
    ]

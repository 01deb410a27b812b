"""How good answers are that are texts: exact, nearly, token by token, by the entities that tags say; each with its bootstrap interval.

source  Levenshtein 1966 (edit distance); Tjong Kim Sang, De Meulder 2003 and their conlleval (entities: one is right where
        its tokens and its kind are)
shapes  n documents; a text is spelled in code points, and its tokens have white space between them
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numba
import numpy as np

from pipelines.kernels.classification import Figure, precision_recall_f1, ratio
from pipelines.kernels.intervals import interval, mean_draws

Array = np.ndarray
Span = tuple[int, int, str]  # the first token of an entity, the one beyond its last, its kind
TAG = re.compile(r"O|[BIES]-\S+")
OUTSIDE = "O"
UNBOUNDED = ("character_errors", "perplexity")  # the others are 0 where nothing is right, and 1 where all is
LEAST = 1e-30  # no probability counts as less


def score(actual: Sequence[str], predicted: Sequence[str], n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """Figures over documents drawn anew n_bootstrap times.

    Args:
        actual, predicted: n texts each, n > 0.
        seed: the same for two models, so that both are asked of the same documents.

    Returns:
        exact_match; character_errors, the edits that make the answer the truth, over the truth's characters; tokens_right,
        the share of the truth's tokens that stand at their place; and where the texts are tags (`are_tags`), entity_f1, entity_precision
        and entity_recall. A figure of no character, token or entity is 0.
    """
    tags = are_tags(actual, predicted)
    pairs = list(zip(actual, predicted, strict=True))
    seen = np.zeros((len(pairs), 8))
    seen[:, 0] = [a == b for a, b in pairs]
    seen[:, 1], seen[:, 2] = edit_distances(actual, predicted), [len(a) for a in actual]
    for row, (a, b) in enumerate(pairs):
        seen[row, 3:5] = sum(x == y for x, y in zip(a.split(), b.split(), strict=False)), len(a.split())
        if tags:
            there, told = spans(a.split()), spans(b.split())
            seen[row, 5:] = len(there & told), len(told), len(there)

    def figures(means: Array) -> dict[str, Array]:
        exact, edits, characters, right, tokens, hit, told, there = np.moveaxis(means, -1, 0)
        found = {"exact_match": exact, "character_errors": ratio(edits, characters), "tokens_right": ratio(right, tokens)}
        entities = precision_recall_f1(hit, told, there) if tags else {}
        return found | {f"entity_{name}": entities[name] for name in ("f1", "precision", "recall") if tags}

    return _with_intervals(figures, seen, n_bootstrap, seed)


def perplexity(probabilities: Array, n_bootstrap: int, seed: int) -> Figure:
    """One over the geometric mean of (n,) probabilities."""

    def figures(means: Array) -> dict[str, Array]:
        return {"perplexity": np.exp(means[..., 0])}

    nats = -np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    return _with_intervals(figures, nats[:, None], n_bootstrap, seed)["perplexity"]


def _with_intervals(figures, seen: Array, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    found, drawn = figures(seen.mean(axis=0)), figures(mean_draws(seen, n_bootstrap, np.random.default_rng(seed)))
    return {
        name: (float(value), *interval(float(value), drawn[name], len(seen) if name not in UNBOUNDED else None))
        for name, value in found.items()
    }


def are_tags(*columns: Sequence[str]) -> bool:
    """Whether all tokens are tags of entities, as IOB1, IOB2 and BIOES have them, and one at least is of an entity."""
    tags = {tag for texts in columns for text in texts for tag in text.split()}
    return bool(tags - {OUTSIDE}) and all(TAG.fullmatch(tag) for tag in tags)


def spans(tags: Sequence[str]) -> set[Span]:
    """The entities that tags say, ill-formed ones taken as conlleval takes them: an entity ends where the kind changes, and one begins there."""
    return set(_spans(tags))


def _spans(tags: Sequence[str]) -> Iterator[Span]:
    start = 0
    parts = [(tag[0], tag[2:]) for tag in [OUTSIDE, *tags, OUTSIDE]]
    for at, ((was, old), (now, new)) in enumerate(pairwise(parts)):
        breaks = old != new or was in "OES" or now in "OBS"  # between the token before `at` and this one
        if breaks and was != OUTSIDE:
            yield start, at, old
        if breaks and now != OUTSIDE:
            start = at


def by_kind(actual: Sequence[str], predicted: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Kind of entity -> how many were told rightly, were told, and are there."""
    found: dict[str, list[int]] = {}
    for a, b in zip(actual, predicted, strict=True):
        there, told = spans(a.split()), spans(b.split())
        for place, some in enumerate((there & told, told, there)):
            for *_, kind in some:
                found.setdefault(kind, [0, 0, 0])[place] += 1
    return {kind: (hit, told, there) for kind, (hit, told, there) in sorted(found.items())}


def edit_distances(a: Sequence[str], b: Sequence[str]) -> Array:
    """(n,) int64, the fewest characters that are put in, left out or changed, to make each of `a` that of `b`."""
    return _edit_distances(*_code_points(a), *_code_points(b))


def _code_points(texts: Sequence[str]) -> tuple[Array, Array]:
    points = np.frombuffer(bytearray("".join(texts).encode("utf-32-le", "surrogatepass")), np.uint32)
    return points, np.cumsum([0, *map(len, texts)])


@numba.njit(cache=True)
def _edit_distances(a, a_offsets, b, b_offsets):
    found = np.empty(len(a_offsets) - 1, np.int64)
    for n in range(len(found)):
        x, y = a[a_offsets[n] : a_offsets[n + 1]], b[b_offsets[n] : b_offsets[n + 1]]
        row = np.arange(len(y) + 1)  # of each beginning of y, from the beginning of x that was read
        for i in range(len(x)):
            corner, row[0] = row[0], i + 1
            for j in range(len(y)):
                least = min(corner + (x[i] != y[j]), row[j] + 1, row[j + 1] + 1)
                corner, row[j + 1] = row[j + 1], least
        found[n] = row[-1]
    return found

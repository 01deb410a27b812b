"""Dividing labelled documents into parts."""

from collections.abc import Sequence

import numpy as np


def stratified(ids: Sequence[str], labels: Sequence[str], shares: dict[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Every label's documents into parts of the given shares, the first part taking the rest.

    The parts depend on the seed and on the set of ids, not on their order.

    Args:
        shares: part -> share in [0, 1); their sum stays below 1. The rest goes to `train`.

    Returns:
        id -> part. A label with at least as many documents as there are parts has one in each.
    """
    by_label: dict[str, list[str]] = {}
    for doc_id, label in zip(ids, labels, strict=True):
        by_label.setdefault(label, []).append(doc_id)
    part_of = dict.fromkeys(ids, "train")
    for label in sorted(by_label):
        shuffled = rng.permutation(np.array(sorted(by_label[label]), dtype=object))
        start = 0
        for part, share in shares.items():
            n = round(share * len(shuffled))
            if n == 0 and share > 0 and len(shuffled) > len(shares):
                n = 1
            part_of.update(dict.fromkeys(shuffled[start : start + n], part))
            start += n
    return part_of

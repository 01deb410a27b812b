"""Dividing labelled documents into parts.

Shares are {part: share in [0, 1)}, their sum below 1; part 0, train, takes the rest. What is drawn depends on the
seed and on the set of keys, not on their order.
"""

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


def keys(hashed: np.ndarray, seed: int) -> np.ndarray:
    """What a draw orders by: (n,) uint64, hashes mixed with the seed (the finaliser of SplitMix64; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = hashed.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def ranks(key: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """The place of each item in the order of `key`, of equal ones in that of `tie`: (n,) int64."""
    place = np.empty(len(key), np.int64)
    place[np.lexsort((tie, key))] = np.arange(len(key))
    return place


def same(hashed: np.ndarray) -> np.ndarray:
    """A number for each item, (n,) int64, equal for equal hashes of (n, 2) uint64."""
    order = np.argsort(hashed[:, 0], kind="stable")
    new, differ = (hashed[order[1:]] != hashed[order[:-1]]).T
    if (differ & ~new).any():  # the same first half of another hash
        order = np.lexsort((hashed[:, 1], hashed[:, 0]))
        new = np.any(hashed[order[1:]] != hashed[order[:-1]], axis=1)
    number = np.empty(len(hashed), np.int64)
    number[order] = np.concatenate([[0], np.cumsum(new)])
    return number


def first(number: np.ndarray) -> np.ndarray:
    """Which items are the first of their number: (n,) bool."""
    is_first = np.zeros(len(number), bool)
    is_first[np.unique(number, return_index=True)[1]] = True
    return is_first


def drawn(key: np.ndarray, strata: np.ndarray, shares: dict[int, float]) -> np.ndarray:
    """Each stratum's items into parts of the given shares, by key.

    Args:
        key: (n,) int. strata: (n,) int, the class of each.

    Returns:
        (n,) int8. A stratum of more items than there are shares has one in each part.
    """
    part = np.zeros(len(key), np.int8)
    order = np.lexsort((key, strata))
    starts = np.flatnonzero(np.diff(strata[order], prepend=strata[order[:1]] - 1))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        at, size = start, end - start
        for name, share in shares.items():
            n = round(share * size)
            if n == 0 and share > 0 and size > len(shares):
                n = 1
            part[order[at : at + n]] = name
            at += n
    return part


def grouped(group: np.ndarray, shares: dict[int, float]) -> np.ndarray:
    """Whole groups into parts: (n,) int8.

    In the order of their keys, a part takes each group that brings it nearer to its share of the items; where
    all are too large for that, the smallest.

    Args:
        group: (n,) uint64, a key that is the same for all items of a group.
    """
    groups, member, size = np.unique(group, return_inverse=True, return_counts=True)
    part_of = np.zeros(len(groups), np.int8)
    wanted = [part for part, share in shares.items() if share]
    for n_before, part in enumerate(wanted):
        free = np.flatnonzero(part_of == 0)
        if len(free) == 1:
            break
        missing = max(1, round(shares[part] * len(group)))
        for it in free[: n_before - len(wanted)].tolist():  # one is left for each part after it, and for train
            if size[it] < 2 * missing:
                part_of[it] = part
                missing -= size[it]
        if not (part_of == part).any():
            part_of[free[np.argmin(size[free])]] = part
    return part_of[member]


def latest(time: np.ndarray, key: np.ndarray, shares: dict[int, float]) -> np.ndarray:
    """The past to train on, what follows to the parts in the order of `shares`: (n,) int8; at the same time, by key."""
    return _in_a_row(np.lexsort((key, time)), shares)


def blocks(n: int, seed: int, shares: dict[int, float]) -> np.ndarray:
    """One unbroken block for each part, beginning at a place drawn by seed and going on at the start: (n,) int8."""
    return _in_a_row(np.roll(np.arange(n), -int(np.random.default_rng(seed).integers(n))), shares)


def _in_a_row(order: np.ndarray, shares: dict[int, float]) -> np.ndarray:
    part = np.zeros(len(order), np.int8)
    end = len(order)
    for name, share in reversed(shares.items()):
        start = end - round(share * len(order))
        part[order[start:end]] = name
        end = start
    return part


def held_out(same: np.ndarray, split: np.ndarray, test: int, valid: int) -> np.ndarray:
    """Which items stand in a part that is held out from their own: in test, or, those not in test, in valid.

    Args:
        same: (n,) int, equal for equal items.
    """
    in_test, in_valid = np.zeros(same.max() + 1, bool), np.zeros(same.max() + 1, bool)
    in_test[same[split == test]] = True
    in_valid[same[split == valid]] = True
    return (in_test[same] & (split != test)) | (in_valid[same] & (split != test) & (split != valid))


def beyond(limit: int, key: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Which items are not among the first `limit` of their stratum, by key: (n,) bool."""
    order = np.lexsort((key, strata))
    starts = np.flatnonzero(np.diff(strata[order], prepend=strata[order[:1]] - 1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    found = np.zeros(len(key), bool)
    found[order] = rank >= limit
    return found

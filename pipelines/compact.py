"""A network's weights in few bytes: the table of words in 8 or 4 bits a number, other matrices in half precision.

source  Jacob et al. 2018 (whole numbers between a lowest and a highest); a range for each row, as word vectors differ in length
"""

import numpy as np

TABLE = "embedding.weight"  # (V, D), by far the largest of a reader's weights
LOW, STEP, CODES = f"{TABLE}.low", f"{TABLE}.step", f"{TABLE}.codes"

Weights = dict[str, np.ndarray]


def compact(weights: Weights, bits: int) -> Weights:
    """What to keep: 4 or 8 bits a number of the table and 4 bytes a row, 2 bytes a number of other matrices; 32: all as it is."""
    if bits == 32:
        return weights
    kept = {name: it.astype(np.float16) if it.ndim > 1 and it.dtype == np.float32 else it for name, it in weights.items() if name != TABLE}
    table = weights[TABLE]
    low = table.min(axis=1).astype(np.float16)
    step = np.maximum((table.max(axis=1) - low) / (2**bits - 1), np.finfo(np.float16).tiny).astype(np.float16)
    codes = np.clip(np.rint((table - low[:, None]) / step[:, None].astype(np.float32)), 0, 2**bits - 1).astype(np.uint8)
    if bits == 4:
        codes = np.concatenate([codes, np.zeros((len(codes), codes.shape[1] % 2), np.uint8)], axis=1)
        codes = codes[:, ::2] | codes[:, 1::2] << 4
    return kept | {LOW: low, STEP: step, CODES: codes}


def whole(kept: Weights, size: int) -> Weights:
    """The weights again, float32.

    Args:
        size: D.
    """
    if CODES not in kept:
        return kept
    codes = kept[CODES]
    if codes.shape[1] < size:
        codes = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)[:, :size]
    table = kept[LOW].astype(np.float32)[:, None] + codes * kept[STEP].astype(np.float32)[:, None]
    others = {name: it.astype(np.float32) if it.dtype == np.float16 else it for name, it in kept.items() if name not in (LOW, STEP, CODES)}
    return others | {TABLE: table}

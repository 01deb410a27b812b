"""Search among binary codes: kernels/hamming against float cosine, both exact, on one core.

python -m benchmarks.hamming

The 10 nearest among 400,000: codes of 256 bits, and vectors of 300 float32 of length 1, whose products are BLAS' on one
thread and whose best NumPy's argpartition picks. First queries that come one at a time, then a hundred at once, which
lets BLAS go through the vectors once. The numbers are drawn, which is no matter to either: all of them are gone through.
"""

import os
from collections.abc import Iterator

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.measure import Cost, measure
from pipelines.kernels import hamming
from pipelines.kernels.nearest import nearest, unit

N, BITS, SIZE, K, QUERIES = 400_000, 256, 300, 10, 100


def bits(at_once: int, n_queries: int) -> Iterator[int | None]:
    one_core()
    codes = np.random.default_rng(1).integers(0, 2**64, (BITS // 64, N), dtype=np.uint64)
    parts = [np.arange(start, start + at_once) for start in range(0, n_queries, at_once)]
    queries = [np.ascontiguousarray(codes[:, own]) for own in parts]
    hamming.nearest(queries[0], codes, K, parts[0])  # compiled
    yield None
    found = [hamming.nearest(query, codes, K, own)[0] for query, own in zip(queries, parts, strict=True)]
    yield len(found)


def floats(at_once: int, n_queries: int) -> Iterator[int | None]:
    one_core()
    vectors = unit(np.random.default_rng(1).standard_normal((N, SIZE), np.float32))
    parts = [np.arange(start, start + at_once) for start in range(0, n_queries, at_once)]
    queries = [vectors[own] for own in parts]
    with threadpool_limits(1, "blas"):
        nearest(queries[0], vectors, K, parts[0])
        yield None
        found = [nearest(query, vectors, K, own)[0] for query, own in zip(queries, parts, strict=True)]
        yield len(found)


def one_core() -> None:
    numba.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def table(rows: list[tuple[str, Cost, int]]) -> str:
    """The first is the measure of the others."""
    _, first, n_first = rows[0]
    lines = ["| | wall, ms a query | CPU, ms a query | wall, times faster | CPU, times faster |", "| --- | --: | --: | --: | --: |"]
    for name, cost, n in rows:
        faster = (first.wall / n_first) / (cost.wall / n), (first.cpu / n_first) / (cost.cpu / n)
        lines.append(f"| {name} | {cost.wall / n * 1e3:.2f} | {cost.cpu / n * 1e3:.2f} | {faster[0]:.1f} | {faster[1]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    print(f"Top {K} of {N:,}, one core.\n")
    for at_once in (1, QUERIES):
        how = "one at a time" if at_once == 1 else f"{at_once} at once"
        rows = [
            (f"cosine of {SIZE} float32, BLAS, {how}", measure(floats, at_once, QUERIES), QUERIES),
            (f"Hamming distance of {BITS} bits, {how}", measure(bits, at_once, 10 * QUERIES), 10 * QUERIES),
        ]
        print(table(rows) + "\n")


if __name__ == "__main__":
    main()

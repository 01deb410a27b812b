"""Truncated SVD of sparse rows."""

import numpy as np
import pytest

from pipelines.coding import decode
from pipelines.compress.svd import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.classify.test_logreg import bags
from tests.classify.test_tfidf_logreg import topics


def test_the_error_is_what_the_best_matrix_of_that_rank_leaves(tmp_path):
    counts = bags(tmp_path, topics(120), weighting="tfidf")
    codings = compress(counts, Params(coding_size=5, n_iter=20), Run(tmp_path / "c", seed=1))
    singular = np.linalg.svd(counts.sparse().toarray(), compute_uv=False)
    error = codings.read().column("error").to_numpy().sum()
    assert error == pytest.approx((singular[5:] ** 2).sum(), rel=1e-3)  # Eckart, Young 1936
    assert codings.items() == counts.documents().column("doc_id").to_pylist()


def test_a_coding_is_decoded_to_the_row_less_its_error(tmp_path):
    counts = bags(tmp_path, topics(60))
    codings = compress(counts, Params(coding_size=8), Run(tmp_path / "c", seed=1))
    lost = ((decode(codings) - counts.sparse().toarray()) ** 2).sum(axis=1)
    assert np.allclose(lost, codings.read().column("error").to_numpy(), atol=1e-3)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    counts = bags(tmp_path, topics(60))
    one, other = (compress(counts, Params(coding_size=4), Run(tmp_path / name, seed=3)) for name in "ab")
    assert (one.folder / "codings.parquet").read_bytes() == (other.folder / "codings.parquet").read_bytes()


def test_more_directions_than_there_are_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="has no 30 directions to choose"):
        compress(bags(tmp_path, topics(60)), Params(coding_size=30), Run(tmp_path / "c"))

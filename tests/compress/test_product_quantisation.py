"""Product quantisation."""

import faiss
import numpy as np
import pytest

from pipelines.codebooks import columns
from pipelines.coding import cost, decode, decoder
from pipelines.compress.product_quantisation import Params, balanced, compress
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.encode import encoder
from tests.matrices import files, vectors_of


def cloud(n=300, size=12, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, size)) * np.geomspace(3, 0.3, size) @ np.linalg.qr(rng.normal(size=(size, size)))[0] + 1).astype(np.float32)


def made(folder, x, seed=1, **knobs):
    vectors = vectors_of(folder / "v", [f"w{i}" for i in range(len(x))], x)
    return compress(vectors, Params(**{"n_turns": 5, **knobs}), Run(folder / "c", seed=seed))


def errors(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


def test_points_that_are_centroids_are_given_back_as_they_were(tmp_path):
    """As many as a codebook has entries: k-means can only leave each its own."""
    x = cloud(16)
    codings = made(tmp_path, x, n_parts=4, bits=4, rotate=False)
    assert decode(codings) == pytest.approx(x, abs=1e-6)
    assert errors(codings).max() < 1e-9
    assert sorted(codings.matrix()[:, 0].tolist()) == list(range(16))


@pytest.mark.parametrize("rotate", [False, True])
def test_parts_that_are_mostly_the_same_have_centroids_for_the_others(tmp_path, rotate):
    """One number in fifty is not 0: of rows drawn for the centroids nearly all would be the same."""
    rng = np.random.default_rng(0)
    x = ((rng.random((1000, 16)) < 0.02) * rng.random((1000, 16))).astype(np.float32)
    codings = made(tmp_path, x, n_parts=16, bits=4, rotate=rotate)
    assert errors(codings).sum() < 0.01 * ((x - x.mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(("n_parts", "bits"), [(4, 4), (8, 2), (2, 4), (8, 3)])
def test_the_codes_are_the_nearest_entries_and_the_error_is_what_their_reconstruction_is_off(tmp_path, n_parts, bits, rotate):
    x = cloud()
    codings = made(tmp_path, x, n_parts=n_parts, bits=bits, rotate=rotate)
    back = decode(codings)
    assert errors(codings) == pytest.approx(((back - x) ** 2).sum(axis=1), rel=1e-4, abs=1e-5)
    weights, codes = codings.model()[1], codings.matrix().astype(int)
    books = weights["codebooks"]
    width = books.shape[2]
    wide = np.zeros((len(x), n_parts * width), np.float32)
    wide[:, columns(12, n_parts)] = x - weights["mean"]
    turned = (x - weights["mean"]) @ weights["rotation"].T if rotate else wide
    for m in range(n_parts):
        away = ((turned[:, None, m * width : (m + 1) * width] - books[m]) ** 2).sum(axis=2)
        assert away[np.arange(len(x)), codes[:, m]] == pytest.approx(away.min(axis=1), abs=1e-3)
    assert codings.model()[0]["bits"] == n_parts * bits
    decoder_bytes = books.nbytes + weights["mean"].nbytes + (weights["rotation"].nbytes if rotate else 0)
    assert cost(codings) == (n_parts * bits / 8, decoder_bytes)


def test_without_a_rotation_all_is_as_faiss_has_it(tmp_path):
    x = cloud()
    codings = made(tmp_path, x, n_parts=4, bits=4, rotate=False, seed=3)
    reference = faiss.ProductQuantizer(12, 4, 4)
    reference.cp.seed, reference.cp.min_points_per_centroid = 3, 1
    reference.train(x)
    assert decode(codings) == pytest.approx(reference.decode(reference.compute_codes(x)), abs=1e-5)


def test_a_rotation_is_orthogonal_and_loses_less_where_columns_of_different_parts_vary_together(tmp_path):
    halves = np.random.default_rng(0).normal(size=(2000, 4))
    x = np.hstack([halves, halves]).astype(np.float32)  # column 0 is column 4, which is in another part
    plain = made(tmp_path / "plain", x, n_parts=4, bits=4, rotate=False)
    turned = made(tmp_path / "turned", x, n_parts=4, bits=4, n_turns=30)
    rotation = turned.model()[1]["rotation"]
    assert rotation.T @ rotation == pytest.approx(np.eye(8), abs=1e-4)
    assert errors(turned).sum() < 0.5 * errors(plain).sum()


@pytest.mark.parametrize(("n", "size", "n_parts"), [(8, 12, 4), (11, 12, 4), (13, 13, 4)])
def test_fewer_rows_than_numbers_are_not_turned(tmp_path, n, size, n_parts):
    x = cloud(n, size)
    codings = made(tmp_path, x, n_parts=n_parts, bits=2)
    assert "rotation" not in codings.model()[1]  # 13 numbers are 16 columns of four parts
    assert errors(codings) == pytest.approx(((decode(codings) - x) ** 2).sum(axis=1), rel=1e-4, abs=1e-5)


def test_one_number_is_a_part_by_itself(tmp_path):
    x = cloud(300, 1)
    codings = made(tmp_path, x, n_parts=1, bits=8)
    assert errors(codings).sum() < 1e-3 * (x**2).sum()


def test_components_are_dealt_out_so_that_products_of_variances_are_alike():
    x = np.random.default_rng(0).normal(size=(5000, 4)) * np.sqrt([8, 4, 2, 1])
    dealt = balanced(x.astype(np.float32), 2)
    assert [row.argmax() for row in np.abs(dealt)] in ([0, 3, 1, 2], [1, 2, 0, 3])  # 8 x 1 and 4 x 2


def test_where_the_parts_do_not_divide_the_columns_none_has_two_more_than_another():
    assert columns(10, 4).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]  # 3, 3, 2, 2 columns of 4 x 3
    assert columns(8, 4).tolist() == list(range(8))


@pytest.mark.parametrize("rotate", [False, True])
def test_the_same_seed_and_threads_give_the_same_bytes(tmp_path, rotate):
    one, again, other = (
        made(tmp_path / name, cloud(), seed=seed, n_parts=4, bits=4, rotate=rotate) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert files(one) == files(again)
    assert files(one)["codings.parquet"] != files(other)["codings.parquet"]


@pytest.mark.parametrize(
    ("knobs", "wanted"), [({"bits": 8}, "300 rows cannot fill codebooks of 512"), ({"n_parts": 16}, "12 numbers, which are no 16 parts")]
)
def test_what_cannot_be_coded_is_a_fault(tmp_path, knobs, wanted):
    bits = 9 if "bits" in knobs else 2
    with pytest.raises(Fault, match=wanted):
        made(tmp_path, cloud(), **{"n_parts": 8, **knobs, "bits": bits})


def test_a_vector_that_is_not_finite_is_named(tmp_path):
    x = cloud()
    x[7, 3] = np.nan
    with pytest.raises(Fault, match="'w7' has nan in column 3"):
        made(tmp_path, x, n_parts=4, bits=2)


@pytest.mark.parametrize(("n_parts", "bits"), [(3, 4), (1, 7), (5, 2)])
def test_bits_that_fill_no_whole_bytes_are_refused(n_parts, bits):
    with pytest.raises(ValueError, match=f"multiple of 8, and is {n_parts * bits}"):
        Params(n_parts=n_parts, bits=bits)


def test_a_model_of_another_shape_is_a_fault(tmp_path):
    codings = made(tmp_path, cloud(), n_parts=4, bits=4)
    path = codings.folder / "model.json"
    path.write_text(path.read_text().replace('"size": 12', '"size": 13'))
    with pytest.raises(Fault, match="weights are not those of its settings"):
        decoder(codings)


@pytest.mark.parametrize("rotate", [False, True])
def test_vectors_far_from_0_are_coded_as_well_and_coded_again_alike(tmp_path, rotate):
    kept = []
    for offset in (0, 1e5):
        x = (np.random.default_rng(0).normal(size=(500, 12)) * 4 + offset).astype(np.float32)
        v = vectors_of(tmp_path / f"v{offset:g}", [f"w{i}" for i in range(500)], x)
        made = compress(v, Params(n_parts=4, bits=6, rotate=rotate, n_turns=3), Run(tmp_path / f"c{offset:g}", seed=1))
        again = decoder(made)(encoder(made)(x).astype(np.float32))
        apart = ((x - x.mean(axis=0, dtype=np.float64)) ** 2).sum()
        kept += [1 - ((decode(made) - x) ** 2).sum(dtype=np.float64) / apart, 1 - ((again - x) ** 2).sum(dtype=np.float64) / apart]
    assert kept == pytest.approx([kept[0]] * 4, abs=0.01)

"""What the report shows of codings."""

import base64
import json
import shutil
import struct
import zlib

import numpy as np
import pytest

from pipelines import charts, layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.coding import decode
from pipelines.compress import pca, sparse_kl, variational
from pipelines.method import Run
from pipelines.reporting.codings import activity, images, lost, map_of
from pipelines.reporting.report import gather, page
from pipelines.reporting.scores import pareto
from pipelines.reporting.text import markdown
from tests.matrices import vectors_of

PARAMS = """
run: {seed: 3, threads: 1}
embed: {signs: {method: numbers}}
compress: {pca: {method: pca, vectors: signs}, kl: {method: sparse_kl, vectors: signs}, vae: {method: variational, vectors: signs}}
"""


def png(address: str) -> np.ndarray:
    """(height, width, 4) uint8, the pixels of a PNG without filters."""
    kind, _, data = address.partition(",")
    assert kind == "data:image/png;base64"
    raw, chunks = base64.b64decode(data), {}
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(raw):
        (n,) = struct.unpack(">I", raw[at : at + 4])
        name, body = raw[at + 4 : at + 8], raw[at + 8 : at + 8 + n]
        assert struct.unpack(">I", raw[at + 8 + n : at + 12 + n])[0] == zlib.crc32(name + body)
        chunks[name], at = body, at + 12 + n
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 6, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    assert (lines[:, 0] == 0).all()
    return lines[:, 1:].reshape(height, width, 4)


def test_a_strip_is_a_png_of_the_images_side_by_side_with_a_clear_pixel_between():
    grey = np.array([[[[0.0], [16.0]], [[8.0], [-5.0]]], [[[99.0], [0.0]], [[0.0], [4.0]]]])  # two images of 2 x 2
    pixels = png(charts.strip(grey, 0, 16))
    assert pixels[:, :, 0].tolist() == [[0, 255, 0, 255, 0], [128, 0, 0, 0, 64]]
    assert pixels[:, :, 3].tolist() == [[255, 255, 0, 255, 255]] * 2
    colour = png(charts.strip(np.array([[[[1.0, 0.0, 0.5]]]]), 0, 1))
    assert colour.tolist() == [[[255, 0, 128, 255]]]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Images of 3 x 3 of two classes, and three codings of them. Not to be written to."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS)
    rng = np.random.default_rng(0)
    upright = rng.random(200) < 0.5
    x = np.zeros((200, 3, 3), np.float32)
    x[upright, :, 1], x[~upright, 1] = 1, 1
    x = (x + rng.random(x.shape) * 0.3).astype(np.float32).reshape(200, 9)
    v = vectors_of(root / layout.artifact("vectors", "signs"), [f"i{i}" for i in range(200)], x, ["|" if it else "-" for it in upright])
    (v.folder / "image.csv").write_text("height,width,channels\n3,3,1\n")

    def run(row):
        return Run(root / layout.artifact("codings", row), seed=1)

    pca.compress(v, pca.Params(coding_size=2), run("pca"))
    sparse_kl.compress(v, sparse_kl.Params(sizes=[12], activity=0.2, epochs=5), run("kl"))
    variational.compress(v, variational.Params(sizes=[2], epochs=5), run("vae"))
    stages = {"embed-signs": {"deps": [], "meta": {"verb": "embed", "row": "signs"}}}
    for row in ("pca", "kl", "vae"):
        stages[f"compress-{row}"] = {"deps": ["data/4_vectors/signs"], "meta": {"verb": "compress", "row": row}}
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    return root


def of(root, row):
    return Codings(root / layout.artifact("codings", row))


def test_what_comes_back_of_an_image_stands_below_it_and_draws_of_a_law_beside(root):
    run = gather(root)
    ((it,), vectors) = run["images"], run["stages"][0].artifact
    assert (it["of"], it["n"], [line["of"] for line in it["lines"]]) == ("vectors/signs", 12, ["codings/pca", "codings/kl", "codings/vae"])
    assert [drawn["of"] for drawn in it["drawn"]] == ["codings/vae"]
    above, below = png(it["originals"]), png(it["lines"][0]["picture"])
    assert above.shape == below.shape == (3, 12 * 4 - 1, 4)
    # which items they are: found by their pixels, in the order of the rows
    x, back = vectors.matrix(), decode(of(root, "pca"))
    low, high = x.min(), x.max()
    shown = above[:, :, 0].astype(float)
    first = np.abs((x - low) / (high - low) * 255 - shown[:, :3].ravel()).sum(axis=1).argmin()
    wanted = np.clip((back[first] - low) / (high - low) * 255, 0, 255)
    assert below[:, :3, 0].ravel() == pytest.approx(wanted, abs=20)  # of the darkest and lightest shown, not of all
    assert it["lines"][0]["lost"] == pytest.approx(((back - x) ** 2).mean(), rel=1e-3)


def test_both_classes_are_among_the_images_and_the_map_has_a_colour_each(root):
    run = gather(root)
    assert [it["of"] for it in run["maps"]] == ["vectors/signs", "codings/pca", "codings/kl", "codings/vae"]
    assert all(it["n"] == 200 for it in run["maps"])
    assert [run["maps"][0]["picture"].count(f'class="dots d{i}"') for i in range(3)] == [1, 1, 0]
    assert run["maps"][0]["picture"].count("h0") == 200


def test_how_active_sparse_units_are_is_shown_beside_the_target(root):
    run = gather(root)
    (it,) = run["activities"]
    activities = of(root, "kl").matrix()
    assert (it["of"], it["target"], it["units"]) == ("codings/kl", 0.2, 12)
    assert it["mean"] == pytest.approx(activities.mean())
    assert (it["low"], it["high"]) == pytest.approx((activities.mean(axis=0).min(), activities.mean(axis=0).max()))
    assert sum(it["counts"]) == activities.size
    assert it["active"] == pytest.approx((activities > 0.5).mean())  # a sigmoid is never 0
    assert f"| codings/kl | 12 | {charts.figure(it['mean'])} | 0.200 |" in markdown(run)
    text = page(run)
    assert text.count('class="target"') == 1
    assert "How active: codings/kl" in text
    assert "Images of vectors/signs" in text
    assert "<h1>signs</h1>" in text


def test_a_unit_that_never_is_active_is_counted(tmp_path):
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=["a", "b", "c"], coding=np.float32([[0, 2, 0], [0, 0, 1], [0, 1, 0]]), error=[0, 0, 0])
        out.model({"model": "autoencoder", "code": "relu"}, {"w": np.zeros(1, np.float32)})
    it = activity(out.artifact)
    assert (it["never"], it["units"], it["target"]) == (1, 3, None)
    assert it["active"] == pytest.approx(3 / 9)


def test_vectors_that_are_no_images_or_have_no_classes_show_none(root, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 9)).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"i{i}" for i in range(80)], x)
    made = pca.compress(v, pca.Params(coding_size=2), Run(tmp_path / "c"))
    assert images(v, [made], 1) is None
    assert map_of(made, v, 1) is None
    assert activity(made) is None


def test_codings_whose_model_is_broken_are_told_and_the_rest_is_shown(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (of(copy, "kl").folder / "model.safetensors").write_bytes(b"no weights")
    run = gather(copy)
    assert any("codings/kl: the model in" in line for line in run["missing"])
    assert [line["of"] for line in run["images"][0]["lines"]] == ["codings/pca", "codings/vae"]
    assert [it["of"] for it in run["maps"]] == ["vectors/signs", "codings/pca", "codings/vae"]
    assert page(run)


def test_bytes_against_quality_has_codings_and_the_vectors_they_are_of(root, tmp_path):
    copy = tmp_path / "scored"
    shutil.copytree(root, copy)
    dag = json.loads((copy / "dvc.yaml").read_text())
    dag["stages"]["evaluate-x"] = {"deps": [f"data/5_codings/{row}" for row in ("pca", "kl")], "meta": {"verb": "evaluate", "row": "x"}}
    (copy / "dvc.yaml").write_text(json.dumps(dag))
    with Run(copy / layout.artifact("scores", "x")).open(Scores) as out:
        figures = [("codings/pca", 8, 0.5), ("codings/kl", 48, 0.9), ("vectors/signs", None, 0.95)]
        rows = [{"of": of, "on": "set", "metric": "spearman", "value": value, "n": 9} for of, _, value in figures]
        rows += [{"of": of, "on": "vectors/signs", "metric": "whole_bytes", "value": n, "n": 9} for of, n, _ in figures if n]
        out.append(**columns(rows))
    run = gather(copy)
    (block,) = pareto(run["scores"], run["stages"])
    assert (block.title, block.about) == ("x", "spearman on set, n = 9")
    assert [f"signs: {n} bytes" in block.picture for n in (36, 72)] == [True, False]  # nine numbers of four bytes
    assert block.picture.count('<circle class="s0"') == 2  # pca is small, signs is good; kl has more bytes than signs
    assert "Bytes against quality" in page(run)


def test_items_that_come_back_worst_are_named(root, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 9)).astype(np.float32)
    x[7] *= 0.01  # all that is lost of it is the mean
    v = vectors_of(tmp_path / "v", [f"i{i}" for i in range(80)], x)
    made = pca.compress(v, pca.Params(coding_size=8), Run(tmp_path / "c"))
    it = lost(made, v)
    share = ((decode(made) - x) ** 2).sum(axis=1) / (x**2).sum(axis=1)
    assert it["most"][0] == (f"i{share.argmax()}", pytest.approx(share.max(), rel=1e-3))
    assert it["least"][0][0] == f"i{share.argmin()}"
    assert (sum(it["counts"]), it["n"]) == (80, 80)
    assert it["mean"] == pytest.approx(share.mean(), rel=1e-3)
    assert lost(of(root, "pca"), gather(root)["stages"][0].artifact) is None  # images are shown themselves

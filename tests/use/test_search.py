"""A text of a document finds that document: it gets the vector that the document has."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import layout
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.nearest import unit
from pipelines.params import read_row
from pipelines.use.search import INDEXES, by_graph, of_text, search
from pipelines.use.space import Space
from tests.matrices import vectors_of
from tests.rows import run_all

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]  # nearly thirty rows are run
PARAMS = """
run: {seed: 1, threads: 1}
ingest: {tiny: {method: csv, source: SOURCE, id: id, split: split}}
tokenize: {words: {method: words, corpus: tiny, min_count: 2}}
cooccur:
  tfidf: {method: documents, tokens: words, weighting: tfidf}
  counts: {method: documents, tokens: words}
  binary: {method: documents, tokens: words, weighting: binary}
  hashed: {method: documents, tokens: words, weighting: log, buckets: 64}
  pmi: {method: association, counts: counts}
embed:
  skipgram: {method: skipgram, tokens: words, vector_size: 8, epochs: 5}
  mean: {method: mean_of_words, tokens: words, vectors: skipgram}
  sif: {method: mean_of_words, tokens: words, vectors: skipgram, weights: sif, remove: 1}
  of-codings: {method: mean_of_words, tokens: words, codings: half, weights: idf}
  lsa: {method: lsa, counts: tfidf, vector_size: 6, of: documents}
  lsa-flat: {method: lsa, counts: hashed, vector_size: 6, of: documents, exponent: 0}
  lsa-words: {method: lsa, counts: tfidf, vector_size: 6}
  lsa-pmi: {method: lsa, counts: pmi, vector_size: 6, of: documents}
  bags: {method: bags, counts: counts, vector_size: 20, normalise: sum, scale: true}
  bags-there: {method: bags, counts: binary, vector_size: 20, choose: variance, normalise: length}
  doc2vec: {method: doc2vec, tokens: words, vector_size: 12, epochs: 60, infer_epochs: 60, lr: 0.1, sample: 0}
  doc2vec-concat: {method: doc2vec, tokens: words, vector_size: 12, form: dm_concat, window: 2, epochs: 20, lr: 0.1, sample: 0}
  doc2vec-gensim: {method: doc2vec, tokens: words, vector_size: 12, epochs: 60, infer_epochs: 60, lr: 0.1, sample: 0, engine: gensim}
  classes: {method: doc2vec, tokens: words, vector_size: 12, tag: label, splits: [train], epochs: 60, infer_epochs: 60, lr: 0.1, sample: 0}
compress:
  half: {method: pca, vectors: skipgram, coding_size: 4}
"""
NOTICES = Path("tests/tiny/notices.csv").absolute()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Not to be written to."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS.replace("SOURCE", str(NOTICES)))
    run_all(root / "params.yaml", root / "rows")
    for noun in (root / "rows").iterdir():
        shutil.move(noun, root / layout.DATA[noun.name])
    return root


def notices():
    return pd.read_csv(NOTICES).set_index("id")["text"]


@pytest.mark.parametrize("row", ["mean", "sif", "of-codings", "lsa", "lsa-flat", "bags", "bags-there"])
def test_the_text_of_a_document_has_the_documents_vector(project, row):
    made, vectors = read_row(project, "embed", row), Vectors(project / layout.artifact("vectors", row))
    x, texts = vectors.matrix(), notices()
    for i in (0, 17, len(x) - 1):
        assert of_text(project, made, vectors, texts[vectors.items()[i]]) == pytest.approx(x[i], abs=1e-5)


@pytest.mark.parametrize("row", ["doc2vec", "doc2vec-concat", "doc2vec-gensim"])
def test_an_inferred_text_is_what_training_would_infer(project, row):
    texts, vectors = notices(), Vectors(project / layout.artifact("vectors", row))
    x, made = dict(zip(vectors.items(), unit(vectors.matrix()), strict=True)), read_row(project, "embed", row)
    names = list(x)[::4]
    found = unit(np.stack([of_text(project, made, vectors, texts[name]) for name in names]))
    own = np.array([vector @ x[name] for vector, name in zip(found, names, strict=True)])
    others = found @ np.stack([x[name] for name in names]).T
    assert own.mean() > others.mean() + 0.2
    assert of_text(project, made, vectors, texts[names[0]]).tolist() == of_text(project, made, vectors, texts[names[0]]).tolist()


def test_documents_come_with_label_cosine_and_the_beginning_of_their_text(project):
    text = notices()["notice-00"]
    first, *_ = search(project, "embed/lsa", text, 2)
    assert (first.doc_id, first.label, first.text) == ("notice-00", "sea", text[:79] + "…")
    assert first.cosine == pytest.approx(1)
    assert [hit.label for hit in search(project, "doc2vec", "the crew of the boat counts the fish in the net", 3)] == ["sea"] * 3


def test_among_classes_the_nearest_class_is_found_and_has_no_text(project):
    first, second = search(project, "classes", "the farmer leads the horse out of the barn, the dog guards the sheep", 5)
    assert [(it.doc_id, it.text) for it in (first, second)] == [("farm", ""), ("sea", "")]


@pytest.mark.parametrize(
    ("row", "query", "message"),
    [
        ("skipgram", "boat", r"embed.skipgram has vectors by skipgram, .* of mean_of_words, lsa, bags, doc2vec. .*vectors: skipgram"),
        ("lsa-words", "boat", "embed.lsa-words has vectors of words"),
        ("lsa-pmi", "boat", "cooccur.pmi is made by association, and a text is counted by `documents`"),
        ("lsa", "xyzzy", "the text has no word that vectors/lsa knows, or its words cancel out: 'xyzzy'"),
        ("doc2vec", "", "the text has no word"),
        ("mean", "xyzzy", "the text has no word"),
        ("nothing", "boat", "params.yaml: embed has no row 'nothing'"),
    ],
)
def test_what_cannot_be_placed_is_said(project, row, query, message):
    with pytest.raises(Fault, match=message):
        search(project, row, query, 2)


def test_vectors_of_tokens_that_were_made_anew_are_refused(project, tmp_path):
    other = shutil.copytree(project, tmp_path / "p")
    vectors_of(other / layout.artifact("vectors", "mean"), ["notice-00"], np.ones((1, 8)), weight=np.ones(3), components=np.ones((0, 8)))
    with pytest.raises(Fault, match="vectors/mean was made of 3 words, and tokens/words has .* now. Run: dvc repro embed-mean"):
        search(other, "mean", "the boat", 2)


def test_the_graph_finds_nearly_all_of_the_nearest_and_is_made_anew_for_other_vectors(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {}")
    rng = np.random.default_rng(5)
    for n in (3000, 2000):
        heaps = rng.normal(size=(20, 16))
        x = (heaps[rng.integers(0, 20, n)] + 0.5 * rng.normal(size=(n, 16))).astype(np.float32)
        vectors_of(tmp_path / layout.artifact("vectors", "v"), [f"d{i}" for i in range(n)], x)
        space = Space(tmp_path, "v")
        shares = []
        for query in x[:20]:
            exact = dict(space.near(query[None], np.array([-1]), 10)[0])
            found = by_graph(tmp_path, space, query, 10)
            assert all(cosine == pytest.approx(exact[name], abs=1e-5) for name, cosine in found if name in exact)
            shares.append(len(exact.keys() & dict(found).keys()) / 10)
        assert np.mean(shares) > 0.95
        (page,) = (tmp_path / INDEXES).iterdir()
        written = page.stat().st_mtime_ns
        by_graph(tmp_path, space, x[0], 10)
        assert page.stat().st_mtime_ns == written


def test_the_command_answers_for_people_and_for_scripts(project, monkeypatch):
    from typer.testing import CliRunner

    from flows import __main__ as command
    from flows import asking

    monkeypatch.setattr(asking, "ROOT", project)
    text = notices()["notice-00"]
    said = CliRunner().invoke(command.app, ["search", "lsa", text, "-k", "1"])
    assert said.output == f"1.000  notice-00  (sea)  {text[:79]}…\n"
    lines = CliRunner().invoke(command.app, ["search", "lsa", text, "-k", "2", "--json"]).output.splitlines()
    assert json.loads(lines[0]) == {"doc_id": "notice-00", "label": "sea", "cosine": 1.0, "text": text[:79] + "…"}

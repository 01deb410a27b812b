"""A project of twelve sentences with a row of fasttext and one of bilm; and the one that docs/using.md asks."""

import shutil
from pathlib import Path

import pytest

from pipelines import layout, params
from pipelines.embed import bilm, fasttext
from pipelines.ingest import lines
from pipelines.method import Run
from pipelines.tokenize import words
from tests.rows import run_all

TEXTS = [
    "The boat lies in the harbour.",
    "A storm drives the boat to the harbour.",
    "The horse lies in the barn.",
    "A storm drives the horse to the barn.",
]
PARAMS = """
run: {seed: 1, threads: 1}
ingest: {notices: {method: lines, source: notices.txt}}
tokenize: {words: {method: words, corpus: notices, min_count: 2}}
embed:
  grams: {method: fasttext, tokens: words, vector_size: 6, epochs: 2}
  bilm: {method: bilm, tokens: words, vector_size: 8, epochs: 3, lr: 0.02}
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Not to be written to."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS)
    (root / "notices.txt").write_text("".join(f"{text}\n" for text in TEXTS * 3))

    def of(verb: str, row: str):
        made = params.read_row(root, verb, row)
        return made.knobs, Run(root / layout.artifact(made.noun, row), f"{verb}/{row}", seed=1)

    knobs, run = of("ingest", "notices")
    corpus = lines.ingest(knobs.model_copy(update={"source": str(root / "notices.txt")}), run)
    tokens = words.tokenize(corpus, *of("tokenize", "words"))
    fasttext.embed(tokens, *of("embed", "grams"))
    bilm.embed(tokens, *of("embed", "bilm"))
    return root


@pytest.fixture(scope="session")
def using(tmp_path_factory) -> Path:
    """experiments/using.yaml, as it has run. Not to be written to."""
    return has_run("experiments/using.yaml", tmp_path_factory.mktemp("using"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """experiments/export.yaml, as it has run. Not to be written to."""
    return has_run("experiments/export.yaml", tmp_path_factory.mktemp("exported"))


def has_run(params: str, root: Path) -> Path:
    shutil.copy(params, root / "params.yaml")
    run_all(root / "params.yaml", root / "rows")
    (root / "data").mkdir()
    for noun in (root / "rows").iterdir():
        shutil.move(noun, root / layout.DATA[noun.name])
    return root

"""A trained classifier as files of its own: their size, how fast they answer, and what rounding costs.

python -m benchmarks.exported ROW [--project .wordloom/strong]

ROW of classify in a project that has run. It is written as *.onnx, with floats and with int8, and the texts of validation are put to both:
cut by the tokenizer beside the file, 64 of like length at a time, by onnxruntime on one thread, none of Wordloom. Bytes are those of graph and
tokenizer together. Accuracy is over the texts that have a label; the two files answer the same ones.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers

from pipelines import layout
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.params import read
from pipelines.use.export import export
from pipelines.use.export_onnx import session

BATCH = 64


def texts(project: Path, row: str) -> tuple[list[str], list[str]]:
    """Those of validation, with their labels."""
    rows = {it.name: it for it in read(project) if it.verb == "classify"}
    tokens = Tokens(project / layout.artifact("tokens", rows[row].inputs["tokens"][0]))
    cut = {it.name: it for it in read(project) if it.verb == "tokenize"}[tokens.row]
    table = Corpus(project / layout.artifact("corpus", cut.inputs["corpus"][0])).read(columns=["text", "label", "split"]).to_pandas()
    table = table[(table["split"] == "valid") & table["label"].notna()]
    return table["text"].to_list(), table["label"].to_list()


def ask(file: Path, asked: list[str]) -> tuple[np.ndarray, float]:
    """(N,) classes, and seconds."""
    cutter = tokenizers.Tokenizer.from_file(str(file.with_suffix(".tokenizer.json")))
    graph = session(onnxruntime, file)
    began = time.perf_counter()
    found = [cutter.encode(text, add_special_tokens=False).ids for text in asked]
    order = np.argsort([len(ids) for ids in found], kind="stable")
    said: dict[int, np.ndarray] = {}
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        lengths = np.array([len(found[row]) for row in rows])
        ids = np.array([found[row] + [0] * (lengths.max() - len(found[row])) for row in rows], np.int64)
        said |= dict(zip(rows, graph.run(None, {"ids": ids, "lengths": lengths})[0], strict=True))
    seconds = time.perf_counter() - began
    classes = json.loads(graph.get_modelmeta().custom_metadata_map["classes"])
    return np.array([classes[said[row].argmax()] for row in range(len(asked))]), seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("row")
    parser.add_argument("--project", type=Path, default=Path(".wordloom/strong"))
    given = parser.parse_args()
    asked, labels = texts(given.project, given.row)
    print("| | MB | accuracy | reviews/s |\n| --- | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        right: dict[str, np.ndarray] = {}
        for name, int8 in (("floats", False), ("int8", True)):
            files = export(given.project, "model", given.row, Path(folder) / f"{name}.onnx", int8=int8)
            said, seconds = ask(files[0], asked)
            right[name] = said == np.array(labels)
            half = 1.96 * right[name].std() / np.sqrt(len(labels))
            size = sum(file.stat().st_size for file in files) / 1e6
            print(f"| {name} | {size:.2f} | {right[name].mean():.2%} ± {half:.2%} | {len(asked) / seconds:,.0f} |", flush=True)
    n, lost, won = len(labels), int((right["floats"] & ~right["int8"]).sum()), int((~right["floats"] & right["int8"]).sum())
    print(f"\nof {n:,} texts rounding makes {lost} wrong and {won} right")


if __name__ == "__main__":
    main()

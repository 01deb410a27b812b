"""A folder as the Hugging Face Hub has them: FILE.hf, to be renamed and uploaded as it is. Nothing is uploaded from here.

vectors   model.safetensors   one tensor, vectors (V, D) float32
          vocab.json          word -> row
model     model.safetensors   the weights that the row keeps
          config.json         label names (id2label, label2id), the method and its knobs, how texts are cleaned
          tokenizer.json      of the `tokenizers` library
          model.onnx          where the row can be written so (export_onnx.py) and the packages are there
          members/ROW         of an ensemble or a temperature: the weights and config.json of each row that it is made of
both      README.md           the model card: use, scores with intervals, data, how it was made, readings of the test set, limits
"""

import contextlib
import importlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import layout, params
from pipelines.artifacts.corpus import SPLITS, Corpus
from pipelines.artifacts.matrix import Matrix
from pipelines.cleaning import Cleaning
from pipelines.params import Row
from pipelines.registry import MAKER, VERBS
from pipelines.setting import Read, held_out_text, sentence, setting
from pipelines.use import export_onnx, figures
from pipelines.use.export_vectors import write_json
from pipelines.use.predict import Classifier, Model

WITH_ONNX = """
import numpy as np
import onnxruntime
import tokenizers

texts = ["a text", "and another one"]
tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
found = [it.ids for it in tokenizer.encode_batch(texts, add_special_tokens=False)]
lengths = np.array([len(ids) for ids in found])
ids = np.zeros((len(found), max(lengths.max(), 1)), np.int64)
for row, its in zip(ids, found):
    row[: len(its)] = its
model = onnxruntime.InferenceSession("model.onnx")
(probabilities,) = model.run(["probabilities"], {"ids": ids, "lengths": lengths})
"""
WITH_WORDLOOM = """
import json

import numpy as np
import safetensors.numpy
import tokenizers
from pipelines.method import Run  # of Wordloom
from METHOD import ASKED

config = json.load(open("config.json"))
tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
words = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
settings = {**config["settings"], "words": words}
weights = safetensors.numpy.load_file("model.safetensors")
found = [it.ids for it in tokenizer.encode_batch(["a text", "and another one"], add_special_tokens=False)]
offsets = np.cumsum([0, *map(len, found)])
answers = ASKED(np.concatenate(found).astype(np.int32), offsets, settings, weights, Run("."))
"""
WITH_VECTORS = """
import json
from safetensors.numpy import load_file

vectors = load_file("model.safetensors")["vectors"]
row_of = json.load(open("vocab.json"))
vectors[row_of[WORD]]
"""


def vectors(matrix: Matrix, folder: Path, root: Path) -> None:
    """Raises Fault where params.yaml has no such row: a card tells how its vectors were made."""
    from safetensors.numpy import save_file

    row, items = params.read_row(root, "embed", matrix.row), matrix.items()
    folder.mkdir()
    save_file({"vectors": matrix.matrix()}, folder / "model.safetensors", metadata={"format": "np"})
    write_json(folder / "vocab.json", {item: i for i, item in enumerate(items)}, indent=0)
    limits = [
        f"{len(items):,} items have a vector; of others it says nothing.",
        "Vectors repeat what the texts say of people and things, prejudices too.",
    ]
    facts = {"tags": ["word-vectors", row.method.name], "pipeline_tag": "feature-extraction"}
    use = WITH_VECTORS.replace("WORD", repr(items[0]))
    what = f"{len(items):,} vectors of {matrix.size} numbers each."
    (folder / "README.md").write_text(card(root, row, what, use, limits, facts, "feature-extraction"), encoding="utf-8")


def classifier(source: tuple[Path, str], folder: Path) -> None:
    root, row = source
    asked = Classifier(root, row)
    cutter = asked.cutter
    folder.mkdir()
    cleaning = cutter.knobs.model_dump(mode="json", exclude_defaults=True, include=set(Cleaning.model_fields))
    _keep(asked.model, folder, {"cleaning": cleaning})
    cutter.tokenizer.save(str(folder / "tokenizer.json"))
    use = WITH_WORDLOOM.replace("METHOD", asked.model.row.method.module)
    use = use.replace("ASKED", "texts_of" if asked.model.answer == "text" else "probabilities_of")
    use = "" if asked.model.members else use
    if row in export_onnx.exportable(root) and export_onnx.there():
        with contextlib.suppress(export_onnx.TooLarge):
            export_onnx.write(root, asked, folder / "model.onnx")
            use = WITH_ONNX.replace("probabilities", export_onnx.output(asked.model))
    knobs = asked.model.row.knobs.model_dump()
    limits = [f"It knows the classes {_listed(asked.classes)}; a text of none of them is called one of them all the same."]
    if asked.model.answer == "number":
        limits = ["Its answers are numbers, without a word of how sure it is of them."]
    if asked.model.answer == "several":
        limits = [f"It knows the classes {_listed(asked.classes)}, and no other."]
    if asked.model.answer == "text":
        limits = ["Its answers are texts, made of what it has seen in training."]
    if "max_tokens" in knobs:
        part = {"head": "first", "tail": "last", "both": "first and last"}.get(knobs.get("keep", "head"))
        limits.append(f"Of a longer text it reads the {part} {knobs['max_tokens']:,} tokens.")
    limits += [
        f"It knows {len(asked.model.vocabularies()[0][1]):,} tokens; all others are one unknown token to it.",
        "Choices, such as when training ended, were made on the validation split, so its scores there are a little too good.",
    ]
    facts = {"tags": [asked.model.row.method.name], "pipeline_tag": "text-classification"}
    what = {"text": "It answers texts by texts.", "number": "It answers texts by numbers."}.get(
        asked.model.answer, "A classifier of texts."
    )
    (folder / "README.md").write_text(card(root, asked.model.row, what, use, limits, facts, "text-classification"), encoding="utf-8")


def _keep(model: Model, folder: Path, more: dict[str, Any]) -> None:
    """Weights and config.json, and those of the rows that it is made of."""
    from safetensors.numpy import save_file

    settings, weights = model.kept
    save_file({name: np.asarray(it, order="C") for name, it in weights.items()}, folder / "model.safetensors", metadata={"format": "np"})
    config = {
        "library_name": "wordloom",
        "model_type": model.row.method.name,
        "row": model.row.name,
        "answer": model.answer,
        "id2label": dict(enumerate(model.classes)),
        "label2id": {name: i for i, name in enumerate(model.classes)},
        **more,
        "settings": {name: it for name, it in settings.items() if name != "words"},
    }
    write_json(folder / "config.json", config, indent=2)
    for member in model.members:
        (folder / "members" / member.row.name).mkdir(parents=True)
        _keep(member, folder / "members" / member.row.name, {})


def card(root: Path, row: Row, what: str, use: str, limits: Iterable[str], facts: dict[str, Any], task: str) -> str:
    """README.md: a YAML head as the Hub reads it, and Markdown."""
    from huggingface_hub import EvalResult, ModelCardData

    name = f"{row.noun}/{row.name}"
    found, read = figures.of(root, name), figures.readings(root, row.name) if row.verb == "classify" else []
    results = [
        EvalResult(
            task_type=task, dataset_type=line["on"], dataset_name=line["on"], dataset_split="validation" if line["on"] == "valid" else None,
            metric_type=line["metric"], metric_value=round(line["value"], 6),
        )
        for line in found
    ] + [
        EvalResult(task_type=task, dataset_type="test", dataset_name="test", dataset_split="test", metric_type=line["metric"], metric_value=float(line["value"]))
        for line in {line["metric"]: line for line in read}.values()
    ]  # fmt: skip
    data = ModelCardData(
        library_name="wordloom", tags=["wordloom", *facts["tags"]], pipeline_tag=facts["pipeline_tag"],
        model_name=row.name if results else None, eval_results=results or None,
    )  # fmt: skip
    rows = lineage(root, row)
    told = _about(row.method.module)
    parts = [
        f"---\n{data.to_yaml()}\n---\n",
        f"# {row.name}\n",
        f"{what} Made by Wordloom. {told[0]}\n",
        f"## Use\n\n```python{use}```\n" if use else "## Use\n\nThe rows that it puts together lie in `members`.\n",
        "## Scores\n",
        _table(["metric", "on", "value, 95 % interval", "n", "note"], (_score(line) for line in found)) or "Not scored yet.\n",
        "## Test set\n",
        _tested(read) if row.verb == "classify" else "",
        "## Data\n",
        "\n".join(_data(root, rows)) + "\n",
        "## How it was made\n",
        _table(["row", "method", "reads", "knobs that were set"], map(_made, rows)),
        f"Source: {told[1]}\n" if told[1] else "",
        "## Limits\n",
        "\n".join(f"- {it}" for it in [*limits, _held_out(rows, name), "No licence is stated here: the data's may bind the model, too."])
        + "\n",
    ]
    if row.verb != "classify":
        parts.remove("## Test set\n")
    return "\n".join(part for part in parts if part)


def lineage(root: Path, row: Row) -> list[Row]:
    """The row and all that it was made from, in the order of the stages."""
    found = {(row.verb, row.name): row}
    waiting = [row]
    while waiting:
        it = waiting.pop()
        for argument, names in it.inputs.items():
            verb = MAKER[it.method.inputs[argument].noun.noun]
            for name in names:
                if (verb, name) not in found:
                    found[verb, name] = params.read_row(root, verb, name)
                    waiting.append(found[verb, name])
    verbs = list(VERBS)
    return sorted(found.values(), key=lambda it: (verbs.index(it.verb), it.name))


def _about(module: str) -> tuple[str, str]:
    """The first sentence of a method's page, and whose idea it is."""
    text = importlib.import_module(module).__doc__ or ""
    source = re.search(r"^source\s+(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return text.strip().split("\n")[0], " ".join(source[1].split()) if source else ""


def _data(root: Path, rows: list[Row]) -> Iterator[str]:
    """Whose documents it has learned from, and how many; what was made elsewhere."""
    for row in rows:
        if row.verb == "ingest":
            corpus = Corpus(root / layout.artifact("corpus", row.name))
            line = f"- corpus/{row.name}, by the method {row.method.name}"
            if (corpus.folder / "corpus.parquet").exists():
                n = Counter(corpus.read(columns=["split"]).column("split").to_pylist())
                line += f": {sum(n.values()):,} documents, {', '.join(f'{n[split]:,} {split}' for split in SPLITS if n[split])}"
            yield f"{line}."
        elif row.method.name in ("pretrained", "numbers"):
            yield f"- {row.noun}/{row.name}: vectors that were made elsewhere, {_public(getattr(row.knobs, 'source', ''))}."


def _made(row: Row) -> list[str]:
    reads = ", ".join(name for names in row.inputs.values() for name in names)
    knobs = row.knobs.model_dump(mode="json", exclude_unset=True)
    told = ", ".join(f"{name}: {_public(value)}" for name, value in knobs.items())
    return [f"{row.verb}/{row.name}", row.method.name, reads, told]


def _public(value: Any) -> Any:
    """A knob's value; of a place on this machine the name alone."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _held_out(rows: list[Row], name: str) -> str:
    read = {
        f"{it.noun}/{it.name}": Read(
            it.verb, it.method.name, it.knobs.model_dump(exclude_unset=True),
            [f"{it.method.inputs[argument].noun.noun}/{one}" for argument, names in it.inputs.items() for one in names],
        )
        for it in rows
    }  # fmt: skip
    seen = held_out_text(read, name)
    return f"Text of held out documents that it has seen: {sentence(seen)} ({setting(seen)})."


def _score(line: dict[str, Any]) -> list[str]:
    return [line["metric"], line["on"], figures.spelled(line), f"{line['n']:,}", line["note"]]


def _tested(read: list[dict[str, str]]) -> str:
    if not read:
        return "It has not been read.\n"
    times = max(Counter(line["metric"] for line in read).values())
    rows = ([it["metric"], it["value"] + (f" [{it['low']}, {it['high']}]" if it["low"] else ""), it["n"], it["commit"]] for it in read)
    return f"Read {times} {'time' if times == 1 else 'times'}:\n\n" + _table(["metric", "value, 95 % interval", "n", "commit"], rows)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [f"| {' | '.join(it.replace('|', chr(92) + '|') for it in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *lines]) + "\n" if lines else ""


def _listed(names: list[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")

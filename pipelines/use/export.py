"""Export: an artifact in a file, or a folder, that other programs read; the ending says which.

counts ROW FILE       .npz .bin .parquet, see export_counts.py
vectors ROW FILE      .vec .txt .bin .kv .parquet .safetensors .projector .hf, see export_vectors.py and hugging_face.py
codings ROW FILE      all of these but .hf: a coding in the place of a vector
model ROW FILE        a classifier: .onnx .hf, see export_onnx.py and hugging_face.py

Of vectors, `words` is a file of the words that are wanted, one a line. One that has no vector gets one of its letter n-grams
where the model holds some; those that have none at all stand in FILE.missing.txt. `sentences` is a file of sentences, one a
line, for rows of bilm: a vector of each word where it stands. With `int8` a file *.onnx has a byte a number.
"""

import importlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines import sources as where_from
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.counts import Counts
from pipelines.errors import Fault, nearest
from pipelines.registry import MAKER
from pipelines.use.rows import check_place, made
from pipelines.use.space import vectors


def export(
    root: Path, noun: str, row: str, file: Path, words: Path | None = None, sentences: Path | None = None, int8: bool = False
) -> list[Path]:
    """Writes `file`, by its ending, and what belongs to it; gives the files. Raises Fault, and then nothing is written."""
    if noun not in FORMS:
        raise Fault(f"{noun} cannot be exported; {', '.join(FORMS)} can.{nearest(noun, FORMS)}")
    if (words and sentences) or ((words or sentences) and noun != "vectors"):
        raise Fault("words or sentences are asked of vectors, and not both at once. Leave one out")
    if int8 and file.suffix != ".onnx":
        raise Fault(f"int8 is for models that are written to *.onnx, and {file.name} is none. Leave it out, or name such a file")
    what, forms, more = "models" if noun == "model" else noun, FORMS[noun], dict[str, Any]()
    if noun == "vectors" and file.suffix == ".hf":
        more = {"root": root}
    if int8:
        more = {"int8": True}
    if words:
        forms = {ending: form for ending, form in forms.items() if ending != ".hf"}  # all vectors, with the scores of all
        more = {"words": list(dict.fromkeys(text for _, text in _lines(words, "words")))}
    if sentences:
        what, forms, more = (
            "vectors of sentences",
            {".parquet": "export_vectors.in_context"},
            {"root": root, "lines": _lines(sentences, "sentences")},
        )
    if file.suffix not in forms:
        raise Fault(f"{file} ends in {file.suffix or 'nothing'!r}; {what} are written to {' or '.join('*' + ending for ending in forms)}")
    check_place(file)
    if file.exists() and file.suffix in FOLDERS:
        raise Fault(f"{file} is a file that is there already. Remove it, or name another")
    page, _, name = forms[file.suffix].partition(".")
    form: Callable = getattr(importlib.import_module(f"pipelines.use.{page}"), name)
    source = OPEN[noun](root, row)
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as aside:
            form(source, Path(aside) / file.name, **more)
            made = sorted(Path(aside).iterdir())
            return [Path(shutil.move(path, file.parent / path.name)) for path in made]
    except OSError as err:
        raise Fault(f"{file} cannot be written: {err}. Make room, or name another place") from err


def _lines(file: Path, what: str) -> list[tuple[int, str]]:
    """(number from 1, text) of the lines that hold one. Raises Fault."""
    if not file.is_file():
        raise Fault(f"--{what} {file} is missing: it has to be a file of the {what} that are wanted, one a line. Write it, or name another")
    found = []
    for number, line in where_from.lines(where_from.located(str(file))):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as err:
            raise Fault(f"{file}, line {number} is not UTF-8: {err.reason}. Write it as UTF-8") from err
        if text:
            found.append((number, text))
    if not found:
        raise Fault(f"{file} is empty. Write what is wanted into it, one a line")
    return found


def _there(kind: type) -> Callable[[Path, str], Any]:
    return lambda root, row: made(kind, root, MAKER[kind.noun], row)


def _model(root: Path, row: str) -> tuple[Path, str]:
    return root, row.removeprefix("classify/")


OPEN: dict[str, Callable[[Path, str], Any]] = {"counts": _there(Counts), "vectors": vectors, "codings": _there(Codings), "model": _model}
FOLDERS = (".projector", ".hf")
MATRIX = {
    ending: f"export_vectors.{name}"
    for ending, name in (
        (".vec", "vec"), (".txt", "txt"), (".bin", "binary"), (".kv", "gensim"), (".parquet", "parquet"),
        (".safetensors", "safetensors"), (".projector", "projector"),
    )
}  # fmt: skip
FORMS: dict[str, dict[str, str]] = {  # imported when it is asked for
    "counts": {".npz": "export_counts.npz", ".bin": "export_counts.triples", ".parquet": "export_counts.parquet"},
    "vectors": {**MATRIX, ".hf": "hugging_face.vectors"},
    "codings": MATRIX,
    "model": {".onnx": "export_onnx.onnx", ".hf": "hugging_face.classifier"},
}

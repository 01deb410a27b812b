"""Asking a classifier: where the texts come from, and how its answers look."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv, dataset

from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.errors import Fault, nearest
from pipelines.use.cutting import Cut
from pipelines.use.predict import Classifier
from pipelines.use.rows import check_place

T = TypeVar("T")
BATCH = 256  # texts at a time
TABLES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json"}
LONGEST = 80  # characters of a text that are shown
SHOWN = 3  # classes in a line for people
WORDS = 8  # of them that the class hangs on


def texts(given: list[str] | None, file: Path | None, column: str) -> Iterable[str]:
    """The texts, read as they are needed. Raises Fault for a file that cannot be read."""
    if given:
        if wrong := [text for text in given if text != text.encode(errors="ignore").decode()]:
            raise Fault(f"a text is not UTF-8: {ascii(wrong[0])[:LONGEST]}. Convert it, with iconv for instance")
        return given
    if file is None:
        return _decoded(sys.stdin.buffer, "standard input")
    if not file.is_file():
        raise Fault(f"{file} is no file. Name one with a text a line, or a table that ends in {', '.join(TABLES)}")
    return _table(file, column) if file.suffix.lower() in TABLES else _lines(file)


def _lines(file: Path) -> Iterator[str]:
    with file.open("rb") as lines:
        yield from _decoded(lines, str(file))


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    try:
        for line in lines:
            yield line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as err:
        raise Fault(f"{name} is not UTF-8: {err}. Convert it, with iconv for instance") from err


def _table(file: Path, column: str) -> Iterator[str]:
    kind: Any = TABLES[file.suffix.lower()]
    if kind == "csv":
        how = csv.ParseOptions(delimiter="\t" if file.suffix.lower() == ".tsv" else ",", newlines_in_values=True)
        kind = dataset.CsvFileFormat(how, convert_options=csv.ConvertOptions(column_types={column: pa.large_string()}))
    try:
        table = dataset.dataset(file, format=kind)
        if column not in table.schema.names:
            raise Fault(f"{file} has no column {column!r}; it has {', '.join(table.schema.names)}.{nearest(column, table.schema.names)}")
        for batch in table.to_batches(columns=[column]):
            yield from pc.fill_null(batch.column(0).cast(pa.large_string()), "").to_pylist()
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{file} cannot be read: {err}") from err


def answers(root: Path, row: str, given: Iterable[str], explain: bool = False) -> Iterator[dict[str, Any]]:
    """Of each text: text, predicted, probabilities (class -> float; of a row whose answers are texts, one: probability; of numbers, the
    number), n_tokens, unknown (how many of them the vocabulary has not; of a row that reads several rows of tokens both are of the first).

    Args:
        explain: also `importance`, (token as it was written, by how much the log-odds of the most probable class fall without it), in the text's
            order, and `attention` of a model that has some. Of a row whose answers are numbers, by how much the number falls.
    """
    return told(Classifier(root, row), given, explain)


def told(classifier: Classifier, given: Iterable[str], explain: bool = False) -> Iterator[dict[str, Any]]:
    """As `answers`, by a classifier that has been read."""
    if explain and classifier.model.answer == "text":
        raise Fault(f"--explain is for classes, and classify.{classifier.model.row.name} answers in texts. Leave it out")
    if explain and len(classifier.cutters) > 1:
        raise Fault(
            f"--explain is of one way to cut a text, and classify.{classifier.model.row.name} reads tokens/{', tokens/'.join(classifier.cutters)}. "
            "Leave it out, or ask one of the rows that it is made of"
        )
    for part in _batched(given, 1 if explain else BATCH):
        cuts = classifier.cut(part)
        cut = cuts[0]
        in_texts = classifier.model.answer == "text"
        told, p = classifier.texts(cut) if in_texts else _classes(classifier, cuts)
        attention = classifier.attention(cut) if explain else None
        for i, (text, predicted) in enumerate(zip(part, told, strict=True)):
            ids = cut.values[cut.offsets[i] : cut.offsets[i + 1]]
            found: dict[str, Any] = {"text": text, "predicted": predicted}
            if in_texts:
                found["probability"] = round(float(p[i]), 6)
            elif classifier.model.answer == "number":
                found["number"] = float(predicted)
            else:
                found["probabilities"] = {name: round(float(share), 6) for name, share in zip(classifier.classes, p[i], strict=True)}
            found |= {"n_tokens": len(ids), "unknown": int((ids == UNKNOWN_ID).sum())}
            if explain:
                found["importance"] = _beside(cut.written[i], classifier.importance(cut, i))
                if attention:
                    found["attention"] = _beside(cut.written[i], attention[i])
            yield found


def _classes(classifier: Classifier, cuts: list[Cut]) -> tuple[list[str], np.ndarray]:
    p = classifier.probabilities(*cuts)
    return classifier.names(p), p


def _beside(written: list[str], figures: np.ndarray) -> list[tuple[str, float]]:
    return [(token, round(float(figure), 6)) for token, figure in zip(written, figures, strict=False)]


def line(answer: dict[str, Any]) -> str:
    """For people: what is predicted, the most probable classes, the text, and the words that it hangs on."""
    shares = {} if "number" in answer else answer.get("probabilities", {"probability": answer.get("probability")})
    best = sorted(shares.items(), key=lambda it: -it[1])[:SHOWN]
    text = " ".join(answer["text"].split())
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    beside = [", ".join(f"{name} {share:.3f}" for name, share in best)] if best else []
    if 2 * answer["unknown"] >= answer["n_tokens"]:
        beside.append(f"{answer['unknown']} of {answer['n_tokens']} tokens are unknown")
    parts = ["  ".join([answer["predicted"] or "none", *([f"({'; '.join(beside)})"] if beside else []), text])]
    form = "+.3g" if "number" in answer else "+.2f"  # a number has a scale of its own
    for what, title in (("importance", "hangs on"), ("attention", "looks at")):
        if answer.get(what):
            most = sorted(answer[what], key=lambda it: -abs(it[1]))[:WORDS]
            parts.append(
                f"  {title} {', '.join(f'{token} {figure:{form}}' if what == 'importance' else f'{token} {figure:.3f}' for token, figure in most)}"
            )
    return "\n".join(parts)


def write(found: Iterable[dict[str, Any]], file: Path) -> int:
    """A Parquet file of text, predicted, and a column for each class's probability, or the number; how many rows. Raises Fault."""
    if file.suffix != ".parquet":
        raise Fault(f"{file} ends in {file.suffix or 'nothing'!r}; answers are written to *.parquet")
    check_place(file)
    n = 0
    with tempfile.TemporaryDirectory(prefix=".predict-", dir=file.parent) as aside:
        writer = None
        for part in _batched(found, BATCH):
            if "number" in part[0]:
                shares = {"number": pa.array([answer["number"] for answer in part], pa.float32())}
            else:
                names = part[0].get("probabilities", {"probability": None})
                shares = {
                    f"p({name})": pa.array([answer.get("probabilities", answer)[name] for answer in part], pa.float32()) for name in names
                }
            table = pa.table({key: [answer[key] for answer in part] for key in ("text", "predicted")} | shares)
            writer = writer or pq.ParquetWriter(Path(aside) / file.name, table.schema, compression="zstd")
            writer.write_table(table)
            n += len(part)
        if writer is None:
            raise Fault("there is no text to ask about. Give some on the command line, by --file, or as lines of standard input")
        writer.close()
        (Path(aside) / file.name).replace(file)
    return n


def _batched(items: Iterable[T], n: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, n)):
        yield part

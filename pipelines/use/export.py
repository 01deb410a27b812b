"""Export: an artifact in a file that other programs read.

counts ROW FILE.npz    scipy.sparse.load_npz gives the matrix; FILE.vocab.txt has `word count` a line, column 0 first, and
                       FILE.rows.txt, where rows are documents, their names
counts ROW FILE.bin    what Stanford's GloVe tools read and write (cooccurrence.bin); FILE.vocab.txt is their vocab.txt
                       and has no unknown token, so words are numbered from 1. The method cooccur/triples reads both back
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines import layout
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.cooccur.triples import RECORD
from pipelines.errors import Fault


def export(root: Path, noun: str, row: str, file: Path) -> list[Path]:
    """Writes `file`, by its ending, and what belongs to it; gives the files. Raises Fault, and then nothing is written."""
    if noun not in FORMS:
        raise Fault(f"{noun} cannot be exported; {', '.join(FORMS)} can")
    kind, forms = FORMS[noun]
    if file.suffix not in forms:
        raise Fault(f"{file} ends in {file.suffix or 'nothing'!r}; {noun} are written to {' or '.join('*' + ending for ending in forms)}")
    if not file.parent.is_dir():
        raise Fault(f"{file}: there is no folder {file.parent}. Make it, or name another file")
    artifact = kind(root / layout.artifact(noun, row))
    with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as aside:
        forms[file.suffix](artifact, Path(aside) / file.name)
        made = sorted(Path(aside).iterdir())
        return [Path(shutil.move(path, file.parent / path.name)) for path in made]


def npz(counts: Counts, file: Path) -> None:
    """The whole matrix is in memory meanwhile: 20 bytes a pair."""
    from scipy.sparse import save_npz

    save_npz(file, counts.sparse(), compressed=False)
    _write_vocabulary(counts, file, first=0)
    if counts.n_rows("documents"):
        _write_lines(file.with_suffix(".rows.txt"), counts.documents().column("doc_id").to_pylist())


def triples(counts: Counts, file: Path) -> None:
    counts.words_only()
    _write_vocabulary(counts, file, first=UNKNOWN_ID + 1)
    with file.open("wb") as out:
        for row, col, count in counts.blocks():
            if min(row.min(), col.min()) <= UNKNOWN_ID:
                raise Fault(f"{counts.name} has pairs of the unknown token, which GloVe's files cannot have. Count without it")
            records = np.empty(len(row), RECORD)
            records["row"], records["col"], records["count"] = row, col, count
            records.tofile(out)


def _write_vocabulary(counts: Counts, file: Path, first: int) -> None:
    vocab = counts.vocab().slice(first)
    words = vocab.column("token").to_pylist()
    cut = [word for word in words if word.split() != [word]]
    if cut:
        raise Fault(
            f"{counts.name}: {len(cut):,} tokens have white space in them, first {cut[0]!r}; a line of vocab.txt is cut there. "
            "Join their parts by another character in the tokenize row"
        )
    _write_lines(file.with_suffix(".vocab.txt"), [f"{word} {n}" for word, n in zip(words, vocab.column("count").to_pylist(), strict=True)])


def _write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


FORMS: dict[str, tuple[type, dict[str, Callable]]] = {"counts": (Counts, {".npz": npz, ".bin": triples})}

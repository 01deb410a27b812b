"""DNA: the sequences of FASTA files, whole or in windows.

reads   source       FASTA, as it is or in .gz, a file, several or a folder; read as a stream
writes  corpus       a document = a sequence, or a window of one, or its other strand; group = the sequence
source  Pearson, Lipman 1988 (the format); Cornish-Bowden 1985 (IUPAC's letters for bases that are not sure)
ids     the header's first word; with windows chr1:101-200, first and last base, counted from 1; the other strand has /rc after it

K-mers are made of the sequences by tokenize/kmers.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipelines import sources as where_from
from pipelines.artifacts.corpus import RECORDS, Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.documents import Documents, Skipped, gathered, write
from pipelines.errors import Fault
from pipelines.label_table import Labels
from pipelines.method import Run

SUFFIXES = (".fasta", ".fa", ".fna", ".ffn", ".frn", ".fas")
BASES = {"ACGTN": b"ACGTN", "ACGUN": b"ACGUN", "IUPAC": b"ACGTUNRYSWKMBDHV"}
PROTEIN = b"EFIJLOPQXZ*"  # amino acids that are the letter of no base
DNA = bytes.maketrans(b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv", b"TGCAANYRSWMKVHDBtgcaanyrswmkvhdb")  # a base -> its partner
RNA = bytes.maketrans(b"ACGUacgu", b"UGCAugca")


class Params(Documents):
    source: str | list[str] = "sequences.fasta"  # a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = None  # of what is downloaded
    labels: str | None = None  # a table with columns id, the header's first word, and label
    label_pattern: str | None = None  # or: the label is what the group of this pattern finds in the header, after the >
    length: int = Field(0, ge=0)  # bases of a window; 0 takes each sequence whole
    step: int = Field(0, ge=0)  # bases from one window's start to the next one's; 0 is `length`: no overlap
    case: Literal["upper", "keep"] = "upper"  # lower case marks repeats
    alphabet: Literal["ACGTN", "ACGUN", "IUPAC"] = "ACGTN"  # ACGUN is RNA's, whose other strand is RNA, too; of IUPAC it is DNA
    unknown_bases: Literal["reject", "keep"] = "reject"  # what is done with a document that has another letter
    reverse_complement: bool = False  # the other strand too, as a document of its own
    # windows that overlap, and two strands, tell the same: they stay in one split
    divide: Literal["stratified", "random", "group", "time", "blocks"] = "group"

    @field_validator("label_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is not None and re.compile(pattern).groups != 1:
                raise ValueError("must have one group, the label, in round brackets")
        except re.error as err:
            raise ValueError(f"must be a regular expression: {err}") from err
        return pattern

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.step > self.length:
            raise ValueError(f"step is {self.step} and length {self.length}; a greater step would leave bases out")
        if self.labels and self.label_pattern:
            raise ValueError("labels and label_pattern both say where the label is. Name one")
        return self


def sources(params: Params) -> list[str]:
    return [*where_from.paths(params.source), *where_from.paths(params.labels or [])]


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    return write(gathered(read(files, params, Labels(params.labels, run))), params, run)


def read(files: list[Path], params: Params, labels: Labels) -> Iterator[dict[str, Any] | Reject | Skipped]:
    seen: set[str] = set()
    n_records = 0  # windows, and sequences that are rejected as a whole; each may be two documents
    for path in files:
        lines = ((number, line.strip()) for number, line in where_from.lines(path))
        for where, header, sequence in sequences(((number, line) for number, line in lines if line), path):
            name = header.partition(" ")[0].partition("\t")[0]
            wrong = "has a header without a name" if not name else f"is named {name}, as one before it" if name in seen else ""
            if wrong:
                n_records += 1
                yield Reject(where, wrong, header[:EXCERPT])
                continue
            seen.add(name)
            found = re.search(params.label_pattern, header) if params.label_pattern else None
            label = found[1] if found else labels.of(name)
            for start, window in windows(sequence, params.length, params.step or params.length):
                n_records += 1
                yield from documents(name, start, window, label, where, params)
    yield Skipped(RECORDS, n_records)
    labels.check()


def sequences(lines: Iterator[tuple[int, bytes]], path: Path) -> Iterator[tuple[str, str, Iterator[bytes]]]:
    """(place, header, lines of bases) of each sequence; those lines are to be taken before the next sequence is."""
    place, line = next(lines, (1, b""))
    if not line.startswith(b">"):
        hint = " This is FASTQ: convert it" if line.startswith(b"@") else ""
        raise Fault(f"{path}: line {place} is {_shown(line)!r}; FASTA begins with a header, such as '>name'.{hint}")
    ahead: list[tuple[int, bytes]] = [(place, line)]

    def bases() -> Iterator[bytes]:
        for place, line in lines:
            if line.startswith(b">"):
                ahead.append((place, line))
                return
            yield line

    while ahead:
        place, line = ahead.pop()
        sequence = bases()
        yield f"{path.name}: line {place}", line[1:].strip().decode(errors="backslashreplace"), sequence
        for _ in sequence:  # of a sequence that nobody wanted
            pass


def windows(lines: Iterable[bytes], length: int, step: int) -> Iterator[tuple[int, bytes]]:
    """(first base from 0, bases) of each window: `length` bases, every `step`; the last has what is left. At least one."""
    held, start = bytearray(), 0
    for line in lines:
        held += b"".join(line.split())
        while length and len(held) >= length:
            yield start, bytes(held[:length])
            del held[:step]
            start += step
    if start == 0 or len(held) > length - step:  # bases that no window has had
        yield start, bytes(held)


def documents(name: str, start: int, bases: bytes, label: str | None, where: str, params: Params) -> Iterator[dict[str, Any] | Reject]:
    """The strands of one window."""
    if not bases:
        yield Reject(where, "has no sequence after its header", name)
        return
    if params.length:
        name, group = f"{name}:{start + 1}-{start + len(bases)}", name
    else:
        group = name
    upper = bases.upper()
    odd = upper.translate(None, BASES[params.alphabet])
    if odd and params.unknown_bases == "reject":
        at = start + upper.index(odd[:1]) + 1
        reason = f"has {len(odd):,} letters that are none of {params.alphabet}, first {_shown(odd[:1])!r} at base {at:,}"
        if odd.translate(None, PROTEIN) != odd:
            reason += "; proteins have such"
        yield Reject(f"{where}, {name}", reason, _shown(bases))
        return
    kept = upper if params.case == "upper" else bases
    strands = {name: kept}
    if params.reverse_complement:
        strands[f"{name}/rc"] = kept.translate(RNA if params.alphabet == "ACGUN" else DNA)[::-1]
    for strand, text in strands.items():
        yield {"id": strand, "text": text.decode(errors="replace"), "label": label, "group": group, "where": where}


def _shown(line: bytes) -> str:
    return line[:EXCERPT].decode(errors="backslashreplace")

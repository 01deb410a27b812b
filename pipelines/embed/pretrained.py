"""Pretrained: word vectors that somebody else trained, read from the file in which they are given away.

reads   source       GloVe's text, word2vec's text or binary form, fastText's .vec or .bin
        tokens       optional: only the words of this vocabulary, in its order, with its counts
writes  vectors      one float32 vector per word, in the file's order; count is fastText's, 0 where the file has none.
                     The model, of a .bin, holds the subword vectors, from which unknown words get theirs
source  Pennington et al. 2014 (glove.c), Mikolov et al. 2013 (word2vec.c), Bojanowski et al. 2017 (fasttext.cc, versions 11 and 12)
shapes  V words, D numbers a word, B buckets of subwords. In memory: the words, and a piece of their vectors; with tokens
        and a .bin, what the system keeps of a file that is mapped, which it takes back as it needs

Nothing is unpickled. A last line without a line end may have been cut within its last number, and is a fault; what was cut before
it was packed (.gz and so on) is not seen. The last D fields of a line of text are its numbers, and what stands before them is the word, spaces
and all: the GloVe of 840 billion tokens has words such as `. . .`.
"""

import mmap
import re
import shutil
import struct
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.parquet import Writer
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.letter_ngrams import mean_of_rows, subwords
from pipelines.method import Knobs, Run

SHOWN = 10  # faults that are told; the others are counted
ROWS = 1024  # words at a time
LARGEST_SIZE = 100_000  # numbers a word; what says more is no such file
LARGEST_NUMBER = 2.0**64  # its square is no float32 any more; letters that are read as a number are larger, from `a` on
LONGEST_WORD = 4096  # bytes
MOST_LETTERS = 100  # of a subword; what says more is no such file
PIECE = 2**20  # bytes that are read at a time
MAGIC, VERSION = 793712314, 12  # of fastText's .bin; before 2017 it had neither
SUPERVISED, END_OF_SENTENCE = 3, b"</s>"
PICKLE = re.compile(rb"\x80[\x02-\x05][\x80-\x9f}\](cJKMX]")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
NO_LETTER = re.compile(r"[\x00-\x08\n\x0e-\x1f]")
FINITE = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
NUMBER = rf"^{FINITE}|^[-+]?(?i:nan|inf(inity)?)$"


class Params(Knobs):
    source: str = "vectors.txt"  # a file, data:NAME, or an address; .gz, .bz2 and .xz are read as they are
    sha256: str | None = None  # of what is downloaded
    vector_size: int = Field(0, ge=0)  # D; 0: as many as the file has
    # auto looks at the first bytes; a text without a line `words size` at its head is GloVe's
    format: Literal["auto", "glove", "word2vec", "word2vec-binary", "fasttext"] = "auto"
    encoding: str = "utf-8"  # of the words
    limit: int = Field(0, ge=0)  # read so many words from the head of the file, mostly the most frequent ones; 0: all
    lower: bool = False  # words in lower case; of several that are then the same, the first
    drop: bool = False  # leave out, and count, words that cannot be read or stand there twice; else they are faults
    subwords: bool = True  # of a .bin, with tokens: a word that the file does not have gets the mean of its subwords
    max_model: int = Field(1024, ge=0)  # MB; subword vectors that are larger are not kept for unknown words


class Piece(NamedTuple):
    """Some words of the file, as they follow each other."""

    what: str  # line or record
    number: np.ndarray  # (n,) of each
    words: list[str]
    count: np.ndarray  # (n,) int64
    vector: np.ndarray  # (n, D) float32


class Faults:
    """All that is wrong with a file; the first few are told."""

    def __init__(self, path: Path, drop: bool):
        self.path, self.drop, self.n, self.told = path, drop, 0, list[str]()

    def add(self, what: str) -> None:
        self.n += 1
        if self.n <= SHOWN:
            self.told.append(f"{self.path}: {what}")

    def end(self, what: str) -> Fault:
        """What no reading beyond is possible after, together with all that was found before."""
        return Fault([*self._all(), f"{self.path}: {what}"])

    def check(self, run: Run) -> None:
        if self.n and not self.drop:
            raise Fault([*self._all(), "Mend the file, or leave such words out by drop: true"])
        if self.n:
            run.say(f"{self.n:,} words are left out, the first of them: {self.told[0]}")

    def _all(self) -> list[str]:
        return self.told + [f"{self.path}: and {self.n - SHOWN:,} more such faults"] * (self.n > SHOWN)


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def embed(params: Params, run: Run, tokens: Tokens | None = None) -> Vectors:
    path = _file(params, run)
    where_from.known_encoding(params.encoding)
    faults = Faults(path, params.drop)
    form = _form(path) if params.format == "auto" else params.format
    with run.scratch() as scratch, run.open(Vectors) as out:
        model = FastText(_unpacked(path, scratch), faults) if form == "fasttext" else None
        if model:
            pieces = model.pieces(params)
        else:
            pieces = (binary if form == "word2vec-binary" else text)(path, form, params, faults)
        pieces = _told(_kept(pieces, params, faults), run)
        if tokens is None:
            for piece in pieces:
                out.append(item=piece.words, count=piece.count, vector=piece.vector)
        else:
            _write_vocabulary(pieces, tokens, model if params.subwords else None, out, params, run, scratch)
        faults.check(run)
        if model:
            model.keep(out, params, run)
    if not out.artifact.n_rows():
        raise Fault(f"{path} has no word with a vector. Is it the file that you mean?")
    return out.artifact


def _file(params: Params, run: Run) -> Path:
    found = where_from.files(params.source, run, sha256=params.sha256)
    if len(found) > 1:
        raise Fault(f"source {params.source} is {len(found)} files, first {found[0]} and {found[1]}; vectors lie in one. Name it")
    return found[0]


def _form(path: Path) -> str:
    """`fasttext`, `word2vec-binary`, or `text`, by the first bytes. Raises Fault for what may not be read, or is empty."""
    with where_from.opened(path) as stream:
        start = stream.peek(PIECE)[: PIECE // 8]
    if not start:
        raise Fault(f"{path} is empty. Fetch it again")
    if PICKLE.match(start):
        raise Fault(
            f"{path} is a Python pickle, as gensim's save() writes, and such a file may run anything when it is read. "
            "Where you trust it, load it there and write it with save_word2vec_format"
        )
    # before 2017 the size and the window came first, as four bytes each
    if start[:4] == struct.pack("<i", MAGIC) or (len(start) >= 8 and start[2:4] == start[6:8] == b"\0\0"):
        return "fasttext"
    header = re.match(rb"(?:\xef\xbb\xbf)?\d+ +\d+[ \r]*\n", start)
    if header:
        body = start[header.end() :]
        fields = body.partition(b"\n")[0].split()
        if CONTROL.search(body) and not (fields and re.match(FINITE.encode(), fields[-1])):
            return "word2vec-binary"
    return "text"


# what is asked of every file


def _kept(pieces: Iterator[Piece], params: Params, faults: Faults) -> Iterator[Piece]:
    """The words that are read well and new."""
    seen = set[str]()
    for piece in pieces:
        good = np.abs(piece.vector) < LARGEST_NUMBER  # not of a NaN
        well = good.all(axis=1)
        rows = []
        for row, word in enumerate(piece.words):
            where = f"{piece.what} {piece.number[row]:,} ({word!r})"
            word = word.lower() if params.lower else word
            if not word:
                faults.add(f"{piece.what} {piece.number[row]:,} has no word, only numbers")
            elif not well[row]:
                place = int(np.argmin(good[row]))
                found = piece.vector[row, place]
                less = " and below 1.8e+19; has each word as many numbers as the file says?" if np.isfinite(found) else ""
                faults.add(f"{where}: number {place + 1} is {found}; it must be finite{less}")
            elif word in seen and not params.lower:
                faults.add(f"{where}: this word has a vector already")
            elif word not in seen:
                seen.add(word)
                rows.append(row)
                piece.words[row] = word
        if rows:
            yield _rows(piece, rows)


def _rows(piece: Piece, rows: list[int]) -> Piece:
    return Piece(piece.what, piece.number[rows], [piece.words[row] for row in rows], piece.count[rows], piece.vector[rows])


def _told(pieces: Iterator[Piece], run: Run) -> Iterator[Piece]:
    with run.progress(None, "words") as bar:
        for piece in pieces:
            yield piece
            bar.advance(len(piece.words))


def _write_vocabulary(
    pieces: Iterator[Piece], tokens: Tokens, model: "FastText | None", out: Writer, params: Params, run: Run, scratch: Path
) -> None:
    """Only the vocabulary's words, in its order. Raises Fault when the file has none of them."""
    vocab = tokens.vocab()
    words, count = vocab.column("token").to_pylist(), vocab.column("count").to_numpy()
    id_of = {word: i for i, word in enumerate(words) if i != UNKNOWN_ID}
    found, first = np.zeros(len(words), bool), list[str]()
    matrix: np.ndarray | None = None
    for piece in pieces:
        if matrix is None:
            matrix = np.memmap(scratch / "rows", np.float32, "w+", shape=(len(words), piece.vector.shape[1]))
        first = first or piece.words[:3]
        rows = [(id_of[word], row) for row, word in enumerate(piece.words) if word in id_of]
        if rows:
            ids, at = np.array(rows).T
            matrix[ids], found[ids] = piece.vector[at], True
    run.say(_how_many(found, count, tokens))
    if model and matrix is not None and not found[1:].all():
        missing = np.flatnonzero(~found)
        missing = missing[missing != UNKNOWN_ID]
        for some in np.split(missing, range(ROWS, len(missing), ROWS)):
            matrix[some] = model.unknown([words[i].encode(params.encoding, "replace") for i in some])
            found[some] = matrix[some].any(axis=1)
        run.say("with those made of subwords, " + _how_many(found, count, tokens))
    if matrix is None or not found.any():
        raise Fault(
            f"{run.name}: none of the {len(words) - 1:,} words of {tokens.name} has a vector there; the file begins with "
            f"{', '.join(map(repr, first)) or 'nothing'}. Are they spelled the same way? lower: true takes all in lower case"
        )
    ids = np.flatnonzero(found)
    for some in np.split(ids, range(ROWS, len(ids), ROWS)):
        out.append(item=[words[i] for i in some], count=count[some], vector=matrix[some])


def _how_many(found: np.ndarray, count: np.ndarray, tokens: Tokens) -> str:
    share = f", {count[found].sum() / count[1:].sum():.1%} of the running text" if count[1:].any() else ""
    return f"{found.sum():,} of {len(found) - 1:,} words of {tokens.name} have a vector{share}"


# text: GloVe, word2vec, .vec


def text(path: Path, form: str, params: Params, faults: Faults) -> Iterator[Piece]:
    """Lines of a word and D numbers; with a line `words D` at their head where the form asks for it, or there is one."""
    blocks = ((first, _decoded(block, first, params.encoding, faults)) for first, block in where_from.blocks(path, params.encoding))
    first, lines = next(blocks, (1, pa.array([], pa.large_string())))
    head = (lines[0].as_py() or "") if len(lines) else ""
    n_words = None
    if form != "glove" and re.fullmatch(r"\d+ +\d+", head.strip()):
        n_words, size = map(int, head.split())
        blocks, origin = chain([(first + 1, lines.slice(1))], blocks), "the first line says so"
    elif form == "word2vec":
        raise faults.end(
            f"line 1 is {head[:80]!r}; it must say how many words there are, and of how many numbers. GloVe's form has no such line"
        )
    else:
        fields = head.split(" ")
        numbers = pc.match_substring_regex(pa.array(fields[:0:-1], pa.string()), NUMBER).to_pylist()
        size = numbers.index(False) if False in numbers else len(numbers)
        blocks, origin = chain([(first, lines)], blocks), "line 1 has as many"
    if not 0 < size <= LARGEST_SIZE:
        raise faults.end(
            f"line 1 is {head[:80]!r}, of {size:,} numbers a word; it must be 1 to {LARGEST_SIZE:,}. Is it a file of word vectors?"
        )
    _wanted(size, params, faults)
    n_lines = 0
    for first, lines, cut in _with_cut(blocks, path):
        number = np.arange(first, first + len(lines))
        if params.limit:
            cut = cut and len(lines) <= params.limit - n_lines
            lines, number = lines[: params.limit - n_lines], number[: params.limit - n_lines]
        if cut and lines[-1].as_py():
            word = lines[-1].as_py().partition(" ")[0]
            faults.add(
                f"line {number[-1]:,} ({word!r}), the last, has no line end, so that its last number may be cut short. "
                "Fetch the file again, or end the line where it is whole"
            )
            lines = pa.concat_arrays([lines[:-1], pa.nulls(1, lines.type)])
        n_lines += lines.null_count
        filled = pc.greater(pc.binary_length(lines), 0).fill_null(False)
        lines, number = lines.filter(filled), number[filled.to_numpy(zero_copy_only=False)]
        n_lines += len(lines)
        for start in range(0, len(lines), ROWS):
            yield _parsed(lines.slice(start, ROWS), number[start : start + ROWS], size, origin, faults)
        if params.limit and n_lines == params.limit:
            return
    if n_words is not None and n_lines != n_words:
        what = "it is cut short. Fetch it again" if n_lines < n_words else "there are more. Correct the first line, or say limit"
        raise faults.end(f"the first line says {n_words:,} words, and {n_lines:,} lines follow; {what}")


def _with_cut(blocks: Iterator[tuple[int, pa.Array]], path: Path) -> Iterator[tuple[int, pa.Array, bool]]:
    """The blocks, and whether the last line of each is one without a line end, which only the file's last can be."""
    held = None
    for block in blocks:
        if held:
            yield *held, False
        held = block
    if held:
        yield *held, len(held[1]) > 0 and not _ended(path)


def _ended(path: Path) -> bool:
    """Whether its last line has an end. What is compressed is not asked: where it was cut it cannot be unpacked."""
    if path.suffix.lower() in where_from.COMPRESSED:
        return True
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2, 0))  # of UTF-16 a line end has two bytes
        return not set(b"\r\n").isdisjoint(file.read())


def _wanted(size: int, params: Params, faults: Faults) -> None:
    if params.vector_size not in (0, size):
        raise faults.end(f"has {size:,} numbers a word, and vector_size is {params.vector_size:,}. Leave it out, or name another file")


def _decoded(block: pa.LargeBinaryArray, first: int, encoding: str, faults: Faults) -> pa.LargeStringArray:
    """Its lines, tabs as spaces and none at the end; a line that cannot be decoded is a fault, and null."""
    try:
        lines = block.cast(pa.large_string())
    except pa.ArrowInvalid:
        held: list[str | None] = []
        for number, line in enumerate(block.to_pylist(), first):
            try:
                held.append(line.decode())
            except UnicodeDecodeError as err:
                faults.add(
                    f"line {number:,} ({line[:40].decode('utf-8', 'replace')!r}) is not {encoding}: {err.reason} at byte {err.start + 1}"
                )
                held.append(None)
        lines = pa.array(held, pa.large_string())
    return pc.ascii_rtrim(pc.replace_substring(lines, "\t", " "), " ")


def _parsed(lines: pa.LargeStringArray, number: np.ndarray, size: int, origin: str, faults: Faults) -> Piece:
    fields = pc.split_pattern(lines, " ", max_splits=size, reverse=True)
    n_fields = pc.list_value_length(fields).to_numpy(zero_copy_only=False)
    good = n_fields == size + 1
    for row in np.flatnonzero(~good):
        word = lines[row].as_py().partition(" ")[0]
        faults.add(f"line {number[row]:,} ({word!r}) has {n_fields[row] - 1} numbers; it must have {size}, as {origin}")
    parts = fields.filter(pa.array(good)).flatten()
    of_words = np.arange(len(parts)) % (size + 1) == 0
    words = pc.ascii_rtrim(parts.filter(pa.array(of_words)), " ")
    numbers = parts.filter(pa.array(~of_words))
    number = number[good]

    try:
        vector, well = _float32(numbers, size), np.ones((len(number), 1), bool)
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(numbers, NUMBER)
        vector, well = _float32(pc.if_else(is_number, numbers, "nan"), size), is_number.to_numpy(zero_copy_only=False).reshape(-1, size)
    # a word may hold spaces; one that ends in a number is a line with too many
    long = pc.match_substring_regex(words, f" {FINITE}").to_numpy(zero_copy_only=False)
    spelled = words.to_pylist()
    for row in np.flatnonzero(long | ~well.all(axis=1)):
        if well[row].all():
            faults.add(
                f"line {number[row]:,} ({spelled[row].partition(' ')[0]!r}) has more than {size} numbers; it must have {size}, as {origin}"
            )
        else:
            wrong = numbers[int(row) * size + int(np.argmin(well[row]))].as_py()
            faults.add(f"line {number[row]:,} ({spelled[row]!r}): {wrong[:40]!r} is no number")
    rows = np.flatnonzero(well.all(axis=1) & ~long)
    return Piece("line", number[rows], [spelled[row] for row in rows], np.zeros(len(rows), np.int64), vector[rows])


def _float32(numbers: pa.LargeStringArray, size: int) -> np.ndarray:
    return numbers.cast(pa.float32()).to_numpy(zero_copy_only=False).reshape(-1, size)


# word2vec's binary form


def binary(path: Path, form: str, params: Params, faults: Faults) -> Iterator[Piece]:
    """A line `words D`, then for each word its bytes, a space, and D numbers of four bytes."""
    with where_from.opened(path) as stream:
        head = stream.readline(LONGEST_WORD)
        if not re.fullmatch(rb"\d+ +\d+\s*", head):
            raise faults.end(
                f"begins with {head[:40]!r}; the binary form of word2vec begins with two numbers, of its words and of a word's numbers"
            )
        n_words, size = map(int, head.split())
        if not 0 < size <= LARGEST_SIZE:
            raise faults.end(f"says {size:,} numbers a word; it must be 1 to {LARGEST_SIZE:,}")
        _wanted(size, params, faults)
        records = islice(_records(stream, n_words, 4 * size, faults), params.limit or None)
        number = 0
        while some := list(islice(records, ROWS)):
            words, rows = _words([word for word, _ in some], number, params.encoding, faults)
            odd = np.array([bool(NO_LETTER.search(word)) for word in words], bool)
            for row in np.flatnonzero(odd):
                faults.add(
                    f"record {number + 1 + rows[row]:,} ({words[row][:40]!r}) has bytes that are no word's; "
                    f"has each of those before the {size} numbers that the first line says?"
                )
            words, rows = [word for word, is_odd in zip(words, odd, strict=True) if not is_odd], rows[~odd]
            vector = np.frombuffer(b"".join(some[row][1] for row in rows), "<f4").reshape(-1, size)
            yield Piece("record", number + 1 + rows, words, np.zeros(len(rows), np.int64), vector)
            number += len(some)


def _records(stream, n_words: int, n_bytes: int, faults: Faults) -> Iterator[tuple[bytes, bytes]]:
    """(word, the bytes of its numbers). Raises Fault where the file ends before, or after, the words that it promises."""
    held, at = b"", 0
    for number in range(1, n_words + 1):
        while (space := held.find(b" ", at)) < 0 or len(held) - space - 1 < n_bytes:
            if space < 0 and len(held) - at > LONGEST_WORD:
                raise faults.end(
                    f"no word ends in the {LONGEST_WORD:,} bytes from record {number:,} of {n_words:,} on; "
                    f"a word has other than the {n_bytes // 4} numbers that the first line says"
                )
            more = stream.read(PIECE)
            if not more:
                what = f"ends after record {number - 1:,}" if not held[at:].strip() else f"ends within record {number:,}"
                raise faults.end(
                    f"{what}; the first line says {n_words:,} words of {n_bytes // 4} numbers. It is cut short: fetch it again"
                )
            held, at = held[at:] + more, 0
        yield held[at:space].lstrip(b"\n"), held[space + 1 : space + 1 + n_bytes]
        at = space + 1 + n_bytes
    if (held[at:] + stream.read(PIECE)).strip():
        raise faults.end(f"goes on after record {n_words:,}, the last that its first line says. Correct it, or say limit")


def _words(raw: list[bytes], before: int, encoding: str, faults: Faults) -> tuple[list[str], np.ndarray]:
    """The words that can be decoded, and which they are."""
    words, rows = [], []
    for row, word in enumerate(raw):
        try:
            words.append(word.decode(encoding))
            rows.append(row)
        except UnicodeDecodeError as err:
            faults.add(f"record {before + row + 1:,} ({word[:40].decode('ascii', 'replace')!r}) is not {encoding}: {err.reason}")
    return words, np.array(rows, np.int64)


# fastText's .bin


class FastText:
    """A .bin that is mapped into memory: its words, and the rows of their vectors and of the buckets of subwords.

    Raises:
        Fault: it is cut short, quantised, or contradicts itself.
    """

    def __init__(self, path: Path, faults: Faults):
        self.faults = faults
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise faults.end("is empty. Fetch it again")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.at = 0
        size, window = self._take("ii", "the first numbers")
        self.version = 0
        if size == MAGIC:
            self.version = window
            size, _ = self._take("ii", "the settings")
        if self.version > VERSION:
            raise faults.end(f"is of fastText's version {self.version}; versions up to {VERSION} are read")
        *_, kind, buckets, self.n_min, self.n_max, _, _ = self._take("iiiiiiiiiid", "the settings")
        if self.version == 11 and kind == SUPERVISED:
            self.n_max = 0  # such models were trained without subwords, whatever they say
        if not (0 < size <= LARGEST_SIZE and buckets >= 0 and self.n_min >= 0 and 0 <= self.n_max <= MOST_LETTERS):
            raise faults.end(
                f"says {size:,} numbers a word, {buckets:,} buckets, subwords of {self.n_min} to {self.n_max} letters. Is it a .bin of fastText?"
            )
        n_entries, n_words, n_labels, _ = self._take("iiiq", "the dictionary's head")
        n_pruned = self._take("q", "the dictionary's head")[0] if self.version else -1
        if n_entries != n_words + n_labels or n_words < 1 or n_labels < 0:
            raise faults.end(f"says {n_entries:,} entries, of which {n_words:,} words and {n_labels:,} labels. Is it a .bin of fastText?")
        self.words, self.count = self._dictionary(n_entries, n_words)
        if n_pruned >= 0 or (self.version and self._take("?", "the matrix")[0]):
            raise faults.end("is quantised (.ftz): its vectors are codes. Take the .bin that it was made from")
        n_rows, n_columns = self._take("qq", "the matrix")
        if n_columns != size or n_rows < n_words + (buckets if self.n_max else 0):
            raise faults.end(
                f"has a matrix of {n_rows:,} x {n_columns:,}; {n_words:,} words and {buckets:,} buckets of {size} numbers it must be"
            )
        there = (len(self.bytes) - self.at) // (4 * size)
        if there < n_rows:
            row = f"word {there + 1:,}" if there < n_words else f"bucket {there - n_words + 1:,}"
            raise faults.end(f"is cut short: it ends in the row of {row}, {there:,} of {n_rows:,} rows are whole. Fetch it again")
        matrix = np.frombuffer(self.bytes, "<f4", n_rows * size, self.at).reshape(n_rows, size)
        self.own, self.buckets = matrix[:n_words], matrix[n_words : n_words + buckets]
        self.at += 4 * size * n_rows
        if self.version:
            self._take("?", "the head of the second matrix")
        n_outputs, n_columns = self._take("qq", "the head of the second matrix")
        left, expected = len(self.bytes) - self.at, 4 * n_outputs * n_columns
        if left < expected:
            raise faults.end(f"is cut short: it ends {expected - left:,} bytes before the end of its second matrix. Fetch it again")
        if left > expected:
            raise faults.end(
                f"goes on for {left - expected:,} bytes after its second matrix, where a .bin of fastText ends. Fetch it again"
            )

    def _take(self, form: str, what: str) -> tuple:
        form = "<" + form
        if len(self.bytes) - self.at < struct.calcsize(form):
            raise self.faults.end(f"is cut short: it ends within {what}. Fetch it again")
        found = struct.unpack_from(form, self.bytes, self.at)
        self.at += struct.calcsize(form)
        return found

    def _dictionary(self, n_entries: int, n_words: int) -> tuple[list[bytes], np.ndarray]:
        words, count = [], []
        for number in range(1, n_entries + 1):
            end = self.bytes.find(b"\0", self.at, self.at + LONGEST_WORD)
            if end < 0:
                raise self.faults.end(
                    f"is cut short, or no .bin of fastText: record {number:,} of {n_entries:,} of the dictionary has no end"
                )
            word, self.at = self.bytes[self.at : end], end + 1
            n, kind = self._take("qb", f"record {number:,} of {n_entries:,} of the dictionary")
            if kind != (number > n_words):  # the labels come last
                raise self.faults.end(f"record {number:,} of the dictionary is of kind {kind}, and the words must come before the labels")
            if kind == 0:
                words.append(word)
                count.append(n)
        return words, np.array(count, np.int64)

    def pieces(self, params: Params) -> Iterator[Piece]:
        _wanted(self.own.shape[1], params, self.faults)
        n = min(len(self.words), params.limit or len(self.words))
        for start in range(0, n, ROWS):
            part = slice(start, min(start + ROWS, n))
            words, rows = _words(self.words[part], start, params.encoding, self.faults)
            vector = self._vectors(self.words[part], self.own[part])[rows]
            yield Piece("record", start + 1 + rows, words, self.count[part][rows], vector)

    def unknown(self, words: list[bytes]) -> np.ndarray:
        """(n, D) float32: the mean of a word's subwords; zeros where it has none."""
        return self._vectors(words, None)

    def _vectors(self, words: list[bytes], own: np.ndarray | None) -> np.ndarray:
        # the first versions gave the end of a sentence subwords, too: see the published .vec beside their .bin
        ids, n_ids = subwords(words, self.n_min, self.n_max, len(self.buckets), END_OF_SENTENCE if self.version else None)
        return mean_of_rows(self.buckets, ids, n_ids, own)

    def keep(self, out: Writer, params: Params, run: Run) -> None:
        """What unknown words get their vectors from."""
        if not (self.n_max and len(self.buckets)):
            return
        if self.buckets.nbytes > params.max_model * 2**20:
            run.say(
                f"the subword vectors have {self.buckets.nbytes / 2**20:,.0f} MB and are not kept, since max_model is {params.max_model}"
            )
            return
        settings = {"model": "fasttext", "n_min": self.n_min, "n_max": self.n_max, "bucket": len(self.buckets), "encoding": params.encoding}
        out.model(settings, {"ngrams": np.ascontiguousarray(self.buckets, np.float32), "buckets": np.arange(len(self.buckets))})


def _unpacked(path: Path, scratch: Path) -> Path:
    """The file, or what comes out of it: a .bin needs its end while its head is read."""
    with where_from.opened(path) as stream:
        if where_from.unpacked_name(path) == path.name:
            return path
        with (scratch / "unpacked").open("wb") as file:
            shutil.copyfileobj(stream, file, PIECE)
    return scratch / "unpacked"

"""Where a source lies, and how its bytes are had: a path, a folder, a pattern, a data set, or an address.

data:NAME       below the folder that WORDLOOM_DATA names; where this machine keeps data sets is no property of the run
https://...     downloaded once to data/0_raw, and kept there when its SHA-256 is the one that the row names
s3://, gs://... the same through fsspec, with the package that it wants for them

Compressed files are read as streams, nothing is unpacked to disk, and a stream ends in a Fault at `LARGEST` bytes.
Archives of several files: pipelines/archives.py.
"""

import bz2
import codecs
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import Fault, nearest
from pipelines.method import Run

DATA_SET = "data:"
VARIABLE = "WORDLOOM_DATA"
LARGEST = 2**40  # bytes that come out of one file; a compressed one of a few kilobytes could hold more
RATIO = 1000  # and at most so many for each byte that went in, once there are enough to judge
JUDGED = 2**28  # bytes
LARGEST_DOWNLOAD = 2**36  # bytes; more than any corpus in one file, and less than fills a disk unseen
PIECE = 2**20  # bytes
LONGEST_LINE = 2**29  # bytes
COMPRESSED = (".gz", ".bz2", ".xz")
URL = re.compile(r"[a-z][a-z0-9+]*://")


def paths(source: str | Sequence[str]) -> list[str]:
    """What DVC tracks of a source: what lies in the project or beside it, not what is fetched or found by a variable.

    Of a pattern it is the folder above the first wildcard, so that new files in it are seen. One without such a folder,
    `*.csv`, would have all of the project tracked: it is left out here, and `files` refuses it.
    """
    there = [one for one in _listed(source) if not (URL.match(one) or one.startswith(DATA_SET))]
    tracked = [_above(one) if _is_pattern(one) else one for one in there if not _is_pattern(one) or _above(one)]
    return list(dict.fromkeys(tracked))


def files(source: str | Sequence[str], run: Run, suffixes: Sequence[str] = (), sha256: str | None = None) -> list[Path]:
    """The files of a source, in the order it lists them, those of a folder or a pattern by name; each once.

    Args:
        suffixes: which files of a folder are meant, `.csv`; also when compressed (`.csv.gz`). All when empty.
        sha256: of the file that is downloaded.

    Raises:
        Fault: something is missing, or a folder holds none of these files; for all of the source at once.
    """
    found: list[Path] = []
    faults: list[str] = []
    for one in _listed(source):
        try:
            found += _expanded(one, run, suffixes, sha256)
        except Fault as fault:
            faults += fault.faults
    if faults:
        raise Fault(faults)
    return list(dict.fromkeys(found))


def names(found: Sequence[Path]) -> list[str]:
    """What artifacts call these files: their names, without a folder of this machine, numbered where several have the same."""
    seen: Counter[str] = Counter()
    called = []
    for path in found:
        seen[path.name] += 1
        called.append(path.name if seen[path.name] == 1 else f"{path.name} ({seen[path.name]})")
    return called


def located(source: str) -> Path:
    """The file or folder of a source that lies on this machine. Raises Fault when it is not there."""
    if source.startswith(DATA_SET):
        home = os.environ.get(VARIABLE)
        if not home:
            raise Fault(f"source {source} is below the folder that {VARIABLE} names, and {VARIABLE} is not set. Set it, or give a path")
        path = Path(home) / source.removeprefix(DATA_SET)
        if not path.exists():
            raise Fault(f"source {source} is missing: {VARIABLE} is {home}, which has no {source.removeprefix(DATA_SET)}")
        return path
    path = Path(source)
    if not path.exists():
        there = [str(it) for it in path.parent.iterdir()] if path.parent.is_dir() else []
        if path.is_symlink():
            raise Fault(f"source {source} is a link that leads nowhere, to {os.readlink(path)}. Name what it should lead to")
        raise Fault(f"source {source} is missing. Put it there, or name another as `source`.{nearest(source, there)}")
    return path


def _listed(source: str | Sequence[str]) -> list[str]:
    return [source] if isinstance(source, str) else list(source)


def _is_pattern(source: str) -> bool:
    return any(sign in source for sign in "*?[") and not Path(source).exists()


def _above(pattern: str) -> str | None:
    """The folder above a pattern's first wildcard; None where it is the project's own, or one that may hold the project."""
    fixed = list(takewhile(lambda part: not any(sign in part for sign in "*?["), Path(pattern).parts))
    return str(Path(*fixed)) if set(fixed) - {"/", ".."} else None


def _expanded(source: str, run: Run, suffixes: Sequence[str], sha256: str | None) -> list[Path]:
    if URL.match(source):
        return [_fetched(source, run, sha256)]
    if _is_pattern(source):
        if not source.startswith(DATA_SET) and _above(source) is None:
            raise Fault(
                f"source {source} is a pattern in no folder, so new files could not be told from the project's own. Put the files into a folder"
            )
        where, _, pattern = source.partition("/") if source.startswith(DATA_SET) else ("", "", source)
        folder = located(where) if where else Path(".")
        matches = Path("/").glob(pattern[1:]) if pattern.startswith("/") else folder.glob(pattern)
        matched = sorted(it for it in matches if it.is_file())
        if not matched:
            raise Fault(f"source {source} matches no file")
        return matched
    path = located(source)
    if path.is_file():
        return [path]
    inside = sorted(it for it in path.iterdir() if it.is_file() and not it.name.startswith(".") and ends_in(it, suffixes))
    if not inside:
        raise Fault(f"source {source} is a folder without a file {' or '.join('*' + suffix for suffix in suffixes) or 'in it'}")
    return inside


def ends_in(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether a file is one of those that are meant; all are, when no suffix is."""
    return not suffixes or unpacked_name(path).lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def unpacked_name(path: Path) -> str:
    """`a.csv` of a.csv, of a.CSV, and of a.csv.gz."""
    name = Path(path.stem if path.suffix.lower() in COMPRESSED else path.name)
    return name.stem + name.suffix.lower()


def ending(path: Path) -> str:
    """`.csv` of all of these."""
    return Path(unpacked_name(path)).suffix


def _fetched(url: str, run: Run, sha256: str | None) -> Path:
    """The file of that address, from data/0_raw when it is there. Raises Fault unless its SHA-256 is the one named."""
    shown = url.partition("?")[0]  # what follows may be a signature that lets others in
    if sha256 is None:
        raise Fault(f"source {shown} is fetched from outside, so the row must say what is expected: sha256: its SHA-256 in hexadecimal")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise Fault(f"source {shown}: sha256 is {sha256!r}; it must be 64 hexadecimal digits, as sha256sum prints them")
    if url.startswith("http://"):
        raise Fault(f"source {shown} is not encrypted. Say https://, or download it by hand and give the path")
    if run.raw is None:
        raise Fault(f"source {shown}: this run has no folder for downloads. Give a path")
    sha256 = sha256.lower()
    path = run.raw / f"{sha256[:12]}-{Path(shown).name}"
    if path.exists():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise Fault(f"{path}, downloaded from {shown}, has SHA-256 {found}; it must be {sha256}. Delete it and run again")
        return path
    by_hand = f"Download it by hand to {path}, or give a path as `source`"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        found, n_bytes, size = _download(url, aside, run)
        if size and n_bytes < size:
            raise Fault(f"{shown} ended early: {n_bytes:,} of {size:,} bytes came. Run again. {by_hand}")
        if found != sha256:
            raise Fault(f"{shown} gave {n_bytes:,} bytes of SHA-256 {found}; it must be {sha256}. {by_hand}")
        aside.replace(path)
    except Fault:
        raise
    except Exception as err:  # each of fsspec's file systems has errors of its own, a package that is missing among them
        raise Fault(f"{shown} could not be downloaded: {str(err) or type(err).__name__}. {by_hand}") from err
    finally:
        aside.unlink(missing_ok=True)
    return path


def _download(url: str, aside: Path, run: Run) -> tuple[str, int, int | None]:
    """(SHA-256, bytes that came, bytes that were promised). Raises Fault at more than were promised, or than one file may have."""
    digest, n_bytes = hashlib.sha256(), 0
    with _remote(url) as (answer, size), aside.open("wb") as file, run.progress(size, "B", "download") as bar:
        most = min(size or LARGEST_DOWNLOAD, LARGEST_DOWNLOAD)
        while piece := answer.read(PIECE):
            if n_bytes + len(piece) > most:
                bound = "it promised" if most == size else "are fetched of any file"
                raise Fault(
                    f"{url.partition('?')[0]} gives more than the {most:,} bytes that {bound}. Download it by hand, and give a path"
                )
            file.write(piece)
            digest.update(piece)
            n_bytes += len(piece)
            bar.advance(len(piece))
    return digest.hexdigest(), n_bytes, size


@contextlib.contextmanager
def _remote(url: str) -> Iterator[tuple[Any, int | None]]:
    """(stream, bytes there are, or None): https by the standard library, all else through fsspec."""
    if url.startswith("https://"):
        import urllib.request

        with urllib.request.urlopen(url, timeout=60) as answer:
            size = answer.headers.get("Content-Length")
            yield answer, int(size) if size else None
    else:
        import fsspec

        with fsspec.open(url, "rb") as stream:
            yield stream, getattr(stream, "size", None)


# the bytes of a file, and its lines

# where in a file, what stands there, what it is then
FORMATS = (
    (257, b"ustar", "a tar archive, which the method folder reads where it holds texts; tables have to be unpacked"),
    (0, b"PK\x03\x04", "a zip archive, which the method folder reads where it holds texts, or a spreadsheet; tables have to be unpacked"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"\x1f\x8b", "compressed by gzip, and its name does not end in .gz"),
    (0, b"\xfd7zXZ\0", "compressed by xz, and its name does not end in .xz"),
)


def opened(path: Path) -> IO[bytes]:
    """A file's bytes, as of `unpacked`. Raises Fault also where it is of a kind that holds no text as it is."""
    stream = unpacked(path)
    try:
        start = stream.peek(512)
        for place, magic, what in FORMATS:
            if start[place : place + len(magic)] == magic:
                raise Fault(f"{path} is {what}. Give the text that is in it, or name another file as `source`")
    except Fault:
        stream.close()
        raise
    return stream


def unpacked(path: Path, most: int = LARGEST) -> io.BufferedReader:
    """A file's bytes, unpacked when its name ends in .gz, .bz2 or .xz; reading raises Fault where it is no such file, or a bomb.

    Args:
        most: bytes that come out.

    Raises:
        Fault: it cannot be read.
    """
    kinds: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    try:
        if (ending := path.suffix.lower()) in kinds:
            return io.BufferedReader(_Unpacked(path, kinds[ending](path), most), PIECE)
        return path.open("rb", PIECE)
    except OSError as err:
        raise Fault(f"{path} cannot be read: {err.strerror or err}") from err


def honest_size(path: Path, most: int = LARGEST) -> int:
    """Bytes that may come out of a file of this size."""
    return min(most, max(JUDGED, RATIO * path.stat().st_size))


class _Unpacked(io.RawIOBase):
    """What comes out of a compressed file, as long as it is in proportion."""

    def __init__(self, path: Path, stream: IO[bytes], most: int):
        self.path, self.stream, self.n_bytes = path, stream, 0
        self.size, self.most = path.stat().st_size, honest_size(path, most)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self.stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as err:
            kind = self.path.suffix.removeprefix(".")
            raise Fault(f"{self.path} is not a whole {kind} file: {err}. Fetch it again, or give it the ending that it has") from err
        self.n_bytes += len(piece)
        if self.n_bytes > self.most:
            raise Fault(
                f"{self.path} ({self.size:,} bytes) unpacks to more than {self.most:,} bytes, as no honest file does. "
                "Unpack it by hand and give that"
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.stream.close()
        super().close()


def encoding_of(path: Path, said: str | None) -> str:
    """The encoding that the row says, else the one that a byte order mark says, else UTF-8. Raises Fault for one that is none."""
    if said is not None:
        known_encoding(said)
        return "utf-8-sig" if codecs.lookup(said).name == "utf-8" else codecs.lookup(said).name
    with opened(path) as file:
        return marked_encoding(file.peek(4))


def marked_encoding(start: bytes) -> str:
    """UTF-16 where a byte order mark says so, else UTF-8, with a mark or without."""
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def known_encoding(said: str) -> None:
    try:
        "".encode(said)
    except (LookupError, UnicodeError):  # the second: `undefined` refuses everything
        raise Fault(f"encoding {said!r} is not known; utf-8, latin-1, cp1252 and utf-16 are, for instance") from None


def not_encoded(path: Path, encoding: str, err: UnicodeDecodeError) -> Fault:
    return Fault(f"{path} is not {encoding} as a whole: {err.reason} at 0x{err.object[err.start]:02x}. Say which it is as `encoding`")


def lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, bytes]]:
    """(number from 1, UTF-8 bytes) of each line, without its end; what cannot be decoded comes as it is, for the reader to refuse."""
    for first, block in blocks(path, encoding):
        yield from enumerate(block.to_pylist(), first)


def blocks(path: Path, encoding: str | None = None) -> Iterator[tuple[int, pa.LargeBinaryArray]]:
    """(number of the first, lines as of `lines`) for each megabyte or so: the same for who works on many lines at once."""
    number, held, n_held = 1, list[bytes](), 0
    for piece in _with_line_ends(_as_utf8(path, encoding_of(path, encoding))):
        end = piece.rfind(b"\n") + 1
        if end:
            block = _cut(b"".join([*held, piece[:end]]))
            yield number, block
            number, held, n_held = number + len(block), [], 0
        held.append(piece[end:])
        n_held += len(piece) - end
        if n_held > LONGEST_LINE:
            raise Fault(f"{path}: line {number} has more than {LONGEST_LINE:,} bytes. Is it text, of a line for each document?")
    if n_held:
        yield number, _cut(b"".join([*held, b"\n"]))


def _as_utf8(path: Path, encoding: str) -> Iterator[bytes]:
    with opened(path) as file:
        if encoding == "utf-8-sig":
            yield file.read(PIECE).removeprefix(codecs.BOM_UTF8)
            while piece := file.read(PIECE):
                yield piece
            return
        decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        try:
            while piece := file.read(PIECE):
                yield decoder.decode(piece).encode("utf-8", "surrogateescape")
            yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")
        except UnicodeDecodeError as err:
            raise not_encoded(path, encoding, err) from err


def _with_line_ends(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end as they did on the first Macintosh, in \\r alone, end in \\n; known by the first piece, which has no other."""
    alone = None
    for piece in pieces:
        if alone is None and piece:
            alone = b"\r" in piece[:-1] and b"\n" not in piece
        yield piece.replace(b"\r", b"\n") if alone else piece


def _cut(text: bytes) -> pa.LargeBinaryArray:
    """The lines of a text that ends in a line end."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    whole = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    return pc.ascii_rtrim(whole, "\r\n").view(pa.large_binary())

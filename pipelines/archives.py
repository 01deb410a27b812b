"""Archives: the files in a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz. Nothing in it is trusted.

A path out of the archive, a link, a device, and more bytes or files than an honest archive holds end in a Fault, before
anything of it is written.
"""

import contextlib
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from pipelines.errors import Fault
from pipelines.sources import LARGEST_DOWNLOAD, PIECE, honest_size, unpacked

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MOST_FILES = 2_000_000
LARGEST_HEADER = 2**20  # bytes of a tar header's long name and the like, which are read as a whole
HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)

Files = Iterator[tuple[str, IO[bytes]]]


def is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ENDINGS)


@contextlib.contextmanager
def opened(path: Path, most: int = LARGEST_DOWNLOAD) -> Iterator[Files]:
    """(name, stream) of each file, in the archive's order; a stream holds until the next one is asked for.

    Args:
        most: bytes that all files have together.

    Raises:
        Fault: from reading: it is no whole archive, or has in it what is named above.
    """
    try:
        yield _counted(path, _of_zip(path, most) if path.suffix.lower() == ".zip" else _of_tar(path, most), honest_size(path, most))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as err:
        raise Fault(f"{path} is not a whole archive: {str(err) or type(err).__name__}. Fetch it again, or unpack it by hand") from err


def unpack(path: Path, place: Path) -> None:
    """Writes an archive's files below `place`. Raises Fault, as `opened` does, and where one stands twice."""
    with opened(path) as files:
        for name, stream in files:
            if name.startswith("__MACOSX/"):  # macOS has a second file for each, which is none
                continue
            try:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                with (place / name).open("xb") as file:
                    shutil.copyfileobj(stream, file, PIECE)
            except OSError as err:
                raise Fault(f"{path}: {name!r} cannot be unpacked: {err.strerror or err}. Unpack it by hand, and name the folder") from err


def _counted(path: Path, files: Iterator[tuple[str, int, IO[bytes]]], most: int) -> Files:
    n_bytes = 0
    for number, (name, size, stream) in enumerate(files, 1):
        n_bytes += size
        if n_bytes > most:
            raise Fault(f"{path} unpacks to more than {most:,} bytes, as no honest archive does. Unpack it by hand, and name the folder")
        if number > MOST_FILES:
            raise Fault(f"{path} holds more than {MOST_FILES:,} files. Unpack it by hand, and name the folder")
        yield name, stream


def _of_zip(path: Path, most: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was not made on Unix
            name = member.filename.replace("\\", "/")  # as some programs on Windows write it
            _refuse(path, name, plain=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if member.flag_bits & 1:
                raise Fault(f"{path}: {name!r} is encrypted. Unpack it by hand, and name the folder")
            if not name.endswith("/"):
                with archive.open(member) as stream:  # which gives no more than file_size
                    yield name, member.file_size, stream


def _of_tar(path: Path, most: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    with unpacked(path, most) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
        while member := archive.next():
            archive.members.clear()  # tarfile keeps them all, a kilobyte each
            _refuse(path, member.name, plain=(member.isreg() and not member.issparse()) or member.isdir())
            if member.isreg():
                content = archive.extractfile(member)
                assert content is not None  # of a regular file it never is
                yield member.name, member.size, content


class _Member(tarfile.TarInfo):
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:  # made to be extended, as tarfile's source says
        if self.type in HEADERS and self.size > LARGEST_HEADER:
            raise tarfile.ReadError(f"it has a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _refuse(path: Path, name: str, plain: bool) -> None:
    if name.startswith("/") or PureWindowsPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not plain:
        raise Fault(
            f"{path} holds {name!r}, a link, a device or a path out of its folder. No archive of documents has such; fetch it from where you "
            "trust it, or take that out"
        )

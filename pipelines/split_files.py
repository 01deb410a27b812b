"""Sources whose splits are files: what the readers of annotated text (CoNLL columns, trees) share."""

from pathlib import Path

from pydantic import Field

from pipelines import sources as where_from
from pipelines.documents import Documents
from pipelines.method import Run


class SplitFiles(Documents):
    """Knobs: each a file, several, a folder, a pattern, or data:NAME."""

    source: str | list[str] = "train.txt"  # or an address; where neither valid nor test is named, splits are drawn by seed
    valid: str | list[str] | None = None
    test: str | list[str] | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")  # of what is downloaded
    encoding: str | None = None  # none: what a byte order mark says, else UTF-8

    @property
    def given(self) -> bool:
        """Whether the files say of a document which split it is of."""
        return bool(self.valid or self.test)


def sources(params: SplitFiles) -> list[str]:
    return [path for source in (params.source, params.valid, params.test) for path in where_from.paths(source or [])]


def files(params: SplitFiles, run: Run) -> list[tuple[Path, str, str | None]]:
    """(path, what artifacts call it, split or None) of each file. Raises Fault where one is missing."""
    found: list[tuple[Path, str | None]] = []
    for split, source in (("train", params.source), ("valid", params.valid), ("test", params.test)):
        found += [(path, split if params.given else None) for path in where_from.files(source or [], run, sha256=params.sha256)]
    called = where_from.names([path for path, _ in found])
    return [(path, name, split) for (path, split), name in zip(found, called, strict=True)]

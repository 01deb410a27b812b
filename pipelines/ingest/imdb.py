"""IMDb: the Large Movie Review Dataset, 100,000 reviews, a quarter of them to train on.

reads   source       the authors' archive, the folder it unpacks to, or Parquet files; or downloads the archive
writes  corpus       sorted by part, label and number, so every form of the source gives the same corpus
source  Maas et al. 2011, Learning Word Vectors for Sentiment Analysis; https://ai.stanford.edu/~amaas/data/sentiment/
task    neg or pos; validation is drawn from the authors' train part, their test part is test
"""

import hashlib
import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipelines import archives
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import record_batch
from pipelines.documents import Documents, write
from pipelines.errors import Fault
from pipelines.method import Run

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
ARCHIVE = "aclImdb_v1.tar.gz"
N_BYTES = 84_125_825
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"

LARGEST_REVIEW = 2**20  # bytes; the longest has 13,704
LARGEST_ARCHIVE = 2**30  # bytes unpacked; the reviews are 132 MB
BATCH = 4096  # reviews in memory at a time
N_EXAMPLES = 5  # faulty reviews named


class Params(Documents):
    source: str = "auto"  # auto, download, or a path: the archive, aclImdb/, or a folder of Parquet files
    html: bool = True  # <br /> becomes a new line
    duplicates: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"])
    # Drawn review by review, at random. Reviews of one film lie side by side in the source, so some films are in
    # train and in valid, and accuracy on valid is a little kinder than on new films. Runs of neighbours are too
    # hard instead: a film's good reviews stay in train while its bad ones are asked for (tf-idf: 2 points lower).
    valid_share: float = Field(0.2, ge=0, lt=0.5)


def sources(params: Params) -> list[str]:
    # what auto finds is not listed: wherever it lies, the corpus is the same
    return [] if params.source in ("auto", "download") else [params.source]


class Review(NamedTuple):
    """Where a review stands in the source, as its file there is named: part/label/number_rating.txt."""

    part: str  # train or test
    label: str  # neg, pos, or unsup: not labelled
    number: int

    @property
    def doc_id(self) -> str:
        return f"{self.part}/{self.label}/{self.number}"


def ingest(params: Params, run: Run) -> Corpus:
    source = find_source(params.source, run)
    with run.scratch() as folder, (folder / "reviews").open("w+b") as file:
        shelf = Shelf(file)
        with run.progress(100_000, "reviews", f"reading {source.name}") as bar:
            for review, text in read(source, run):
                shelf.put(review, text)
                bar.advance()
        shelf.check(source)
        if params.source == "auto" and source.is_dir():
            shelf.check_whole(source)
        reviews = sorted(shelf.places)
        return write(records(reviews, shelf), params, run, total=len(reviews))


def records(reviews: list[Review], shelf: "Shelf") -> Iterator[pa.RecordBatch]:
    """Test and unlabelled as the authors have them; valid is drawn from their train part."""
    for start in range(0, len(reviews), BATCH):
        batch = reviews[start : start + BATCH]
        ids = [review.doc_id for review in batch]
        yield record_batch(
            len(batch), id=ids, text=pa.array(shelf.take(batch), pa.string()), where=ids,
            label=[None if review.label == "unsup" else review.label for review in batch],
            split=["unlabelled" if review.label == "unsup" else review.part for review in batch],
        )  # fmt: skip


# where the reviews are


def find_source(source: str, run: Run) -> Path:
    """The archive or folder to read; downloads the archive when there is none and `source` allows it."""
    if source not in ("auto", "download"):
        path = Path(source)
        if not path.exists():
            raise Fault(
                f"{run.name}: source {source} is missing. Name the archive {ARCHIVE}, the folder aclImdb it unpacks to, or say auto"
            )
        return path
    here = _data_folder()
    if source == "auto" and here and (here / "imdb").is_dir():
        return here / "imdb"
    if run.raw is None:
        raise Fault(f"{run.name}: source is {source}, and this run has no folder for downloads. Name the archive or a folder as `source`")
    archive = run.raw / ARCHIVE
    if not archive.exists():
        download(archive, run)
    return archive


def _data_folder() -> Path | None:
    # the only look at the environment: where this machine keeps data sets is no property of the run
    value = os.environ.get("WORDLOOM_DATA")
    return Path(value) if value else None


def download(archive: Path, run: Run) -> None:
    """Fetches the archive from its authors; it takes its name when size and checksum are right. Raises Fault."""
    by_hand = f"Download it by hand to {archive}, or name another `source`"
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_name(f"{archive.name}.{os.getpid()}.part")
    md5, n_bytes = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(URL, timeout=60) as answer, aside.open("wb") as file, run.progress(N_BYTES, "B", "download") as bar:
            while (piece := answer.read(2**18)) and n_bytes <= N_BYTES:
                file.write(piece)
                md5.update(piece)
                n_bytes += len(piece)
                bar.advance(len(piece))
        if (n_bytes, md5.hexdigest()) != (N_BYTES, MD5):
            raise Fault(f"{URL} gave {n_bytes:,} bytes of MD5 {md5.hexdigest()}; it must be {N_BYTES:,} bytes of MD5 {MD5}. {by_hand}")
        aside.replace(archive)
    except (TimeoutError, ConnectionError, ssl.SSLError, urllib.error.URLError, http.client.HTTPException) as err:
        raise Fault(f"{URL} could not be downloaded: {err}. {by_hand}") from err
    finally:
        aside.unlink(missing_ok=True)


# each form of the source, as one stream of (review, its bytes)

NAME = re.compile(r"(train|test)/(neg|pos|unsup)/(\d+)_\d+\.txt")
WITHIN = re.compile(r"(train|test)/(neg|pos|unsup)/.+")


def read(source: Path, run: Run) -> Iterator[tuple[Review, bytes]]:
    """All reviews of a source, in its own order. Raises Fault when it is none of the known forms."""
    if source.is_file():
        return read_archive(source, run)
    for folder in (source, source / "imdb", source / "aclImdb"):
        if any(folder.glob("train*.parquet")):
            return read_parquet(folder)
        if (folder / "train").is_dir():
            return read_folder(folder, run)
    raise Fault(f"{source} holds no reviews. It must be {ARCHIVE}, a folder with train/neg/0_3.txt and so on, or one with train*.parquet")


def read_folder(folder: Path, run: Run) -> Iterator[tuple[Review, bytes]]:
    odd = []
    for place in sorted(folder.glob("t*/*/")):
        for entry in os.scandir(place):
            name = f"{place.parent.name}/{place.name}/{entry.name}"
            if match := NAME.fullmatch(name):
                with open(entry.path, "rb") as file:
                    yield Review(match[1], match[2], int(match[3])), _bounded(file.read(LARGEST_REVIEW + 1), entry.path)
            elif WITHIN.fullmatch(name):
                odd.append(name)
    _tell(odd, run)


def read_archive(archive: Path, run: Run) -> Iterator[tuple[Review, bytes]]:
    """Nothing is unpacked to disk, and the archive is not trusted for its checksum alone."""
    with archive.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != MD5:
        raise Fault(
            f"{archive} ({archive.stat().st_size:,} bytes) has MD5 {md5}; {ARCHIVE} has {MD5} and {N_BYTES:,} bytes. "
            f"Delete it and say source: download, or fetch it again from {URL}"
        )
    odd = []
    with archives.opened(archive, LARGEST_ARCHIVE) as files:
        for path, content in files:
            name = path.removeprefix("aclImdb/")
            if match := NAME.fullmatch(name):
                yield Review(match[1], match[2], int(match[3])), _bounded(content.read(LARGEST_REVIEW + 1), path)
            elif WITHIN.fullmatch(name):
                odd.append(name)
    _tell(odd, run)


def _bounded(text: bytes, name: str) -> bytes:
    if len(text) > LARGEST_REVIEW:
        raise Fault(f"{name} has more than {LARGEST_REVIEW:,} bytes; the longest review has 13,704. Take it out, or fetch the data anew")
    return text


def _tell(odd: list[str], run: Run) -> None:
    if odd:
        run.say(f"files not named NUMBER_RATING.txt are left out: {len(odd)}, first {min(odd)}")


ID = re.compile(r"(train|test|unsup)/(neg|pos|unsup)/(\d+)")
WANTED = {"id": "train/neg/0", "text": "the review", "label": "neg, pos or null"}


def read_parquet(folder: Path) -> Iterator[tuple[Review, bytes]]:
    """Columns id, text, label of {train,test,unsup}*.parquet; others are not looked at."""
    files = [(path, _open(path)) for part in ("train", "test", "unsup") for path in sorted(folder.glob(f"{part}*.parquet"))]
    for path, file in files:
        try:
            for batch in file.iter_batches(BATCH, columns=list(WANTED)):
                # bytes: what is not UTF-8 is then found, and named, in one place for all forms
                texts = batch.column("text").cast(pa.large_binary()).to_pylist()
                for doc_id, text, label in zip(batch.column("id").to_pylist(), texts, batch.column("label").to_pylist(), strict=True):
                    yield _review(doc_id, label, path), text or b""
        except (pa.ArrowException, OSError) as err:
            raise Fault(f"{path} cannot be read to its end: {err}. Fetch it again") from err


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{path} is not a whole Parquet file: {err}. Fetch it again") from err
    schema = file.schema_arrow
    wrong = [name for name in WANTED if name not in schema.names or not _is_text(schema.field(name).type)]
    if wrong:
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        wanted = ", ".join(f"{name} (string: {what})" for name, what in WANTED.items())
        raise Fault(f"{path} has columns {found}; it must have {wanted}. Rename or convert {', '.join(wrong)}")
    return file


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)


def _review(doc_id: str | None, label: str | None, path: Path) -> Review:
    match = ID.fullmatch(doc_id or "")
    if not match or (label or "unsup") != match[2]:
        raise Fault(
            f"{path}: id {doc_id!r} beside label {label!r}; an id is part/label/number, train/neg/0, or unsup/unsup/0 without label"
        )
    # the archive keeps what is not labelled under train
    return Review("train" if match[1] == "unsup" else match[1], match[2], int(match[3]))


# from the source's order to the corpus


# reviews of each part and label (Maas et al. 2011, section 4.1)
PUBLISHED = {
    ("train", "neg"): 12_500,
    ("train", "pos"): 12_500,
    ("test", "neg"): 12_500,
    ("test", "pos"): 12_500,
    ("train", "unsup"): 50_000,
}


class Shelf:
    """Reviews put down in any order and taken up in another: the texts on disk, their places in memory."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.places: dict[Review, tuple[int, int]] = {}  # offset and length, bytes
        self.end = 0
        self.twice: list[str] = []
        self.unreadable: list[str] = []

    def put(self, review: Review, text: bytes) -> None:
        try:
            text.decode()
        except UnicodeDecodeError as err:
            self.unreadable.append(f"{review.doc_id} (byte {err.start} is 0x{text[err.start]:02x})")
        if review in self.places:
            self.twice.append(review.doc_id)
        self.file.write(text)
        self.places[review] = (self.end, len(text))
        self.end += len(text)

    def check(self, source: Path) -> None:
        """Raises Fault with all that makes the reviews no corpus."""
        faults = []
        if self.unreadable:
            faults.append(f"{source}: {_examples(self.unreadable)} not UTF-8. Convert them to UTF-8, or take them out")
        if self.twice:
            faults.append(f"{source}: {_examples(self.twice)} there twice. Take one of each out")
        there = {(review.part, review.label) for review in self.places}
        for part in ("train", "test"):
            missing = [label for label in ("neg", "pos") if (part, label) not in there]
            if missing:
                faults.append(
                    f"{source} has no reviews in {part}/{f' and {part}/'.join(missing)}; a classifier needs neg and pos of each part"
                )
        if faults:
            raise Fault(faults)

    def check_whole(self, source: Path) -> None:
        """Nobody named this source, so it has to be the whole data set; the archive's checksum says as much of it."""
        found = Counter((review.part, review.label) for review in self.places)
        wrong = [f"{n:,} in {part}/{label}, not {PUBLISHED.get((part, label), 0):,}" for (part, label), n in sorted(found.items())
                 if n != PUBLISHED.get((part, label))]  # fmt: skip
        wrong += [f"none in {part}/{label}" for part, label in PUBLISHED if (part, label) not in found]
        if wrong:
            raise Fault(f"{source} is not the whole data set: {'; '.join(wrong)}. To use a part, name it: source: {source}")

    def take(self, reviews: list[Review]) -> list[bytes]:
        texts = []
        for review in reviews:
            offset, length = self.places[review]
            self.file.seek(offset)
            texts.append(self.file.read(length))
        return texts


def _examples(names: list[str]) -> str:
    more = ", ..." if len(names) > N_EXAMPLES else ""
    return f"{len(names)} review{'s are' if len(names) > 1 else ' is'} ({', '.join(sorted(names)[:N_EXAMPLES])}{more})"

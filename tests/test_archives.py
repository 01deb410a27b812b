"""Archives that somebody gave us."""

import io
import stat
import tarfile
import zipfile

import pytest

from pipelines import archives, sources
from pipelines.archives import opened, unpack
from pipelines.errors import Fault

FILES = {"texts/a/1.txt": b"one", "texts/b/2.txt": "zwö".encode()}
ENDINGS = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]


def archive(path, files=FILES, *members):
    """An archive of these files; `members` are added to it as they are."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in files.items():
                made.writestr(name, content)
            for info, content in members:
                made.writestr(info, content)
        return path
    kind = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, kind) as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        for info in members:
            made.addfile(info)
    return path


def contents(path):
    with opened(path) as files:
        return {name: stream.read() for name, stream in files}


def unpacked(path):
    place = path.with_name("place")
    place.mkdir()
    unpack(path, place)
    return {it.relative_to(place).as_posix(): it.read_bytes() for it in place.rglob("*") if it.is_file()}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_files_of_every_kind_of_archive_are_read_and_written(tmp_path, ending):
    path = archive(tmp_path / f"texts{ending}", {**FILES, "__MACOSX/texts/._1.txt": b"\0"})
    assert archives.is_archive(path)
    assert contents(path).items() >= FILES.items()
    assert unpacked(path) == FILES
    loud = path.rename(tmp_path / f"TEXTS{ending.upper()}")
    assert archives.is_archive(loud)
    assert contents(loud).items() >= FILES.items()


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../../x.txt", "a/../../x.txt"])
def test_a_path_out_of_the_archive_is_refused_and_nothing_is_written_there(tmp_path, ending, name):
    path = archive(tmp_path / f"texts{ending}", {name: b"x"})
    with pytest.raises(Fault, match=f"holds '{name}', a link, a device or a path out of its folder"):
        unpacked(path)
    assert not list(tmp_path.rglob("x.txt"))


@pytest.mark.parametrize("name", ["..\\x.txt", "a\\..\\..\\x.txt", "\\x.txt", "C:\\x.txt"])
def test_a_backslash_in_a_zip_separates_folders_and_leads_out_no_more_than_a_slash(tmp_path, name):
    assert unpacked(archive(tmp_path / "texts.zip", {"texts\\": b"", "texts\\a\\1.txt": b"one"})) == {"texts/a/1.txt": b"one"}
    with pytest.raises(Fault, match="a link, a device or a path out of its folder"):
        contents(archive(tmp_path / "out.zip", {name: b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_a_device_in_a_tar_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("texts/a/3.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(Fault, match="a link, a device"):
        unpacked(archive(tmp_path / "texts.tar", FILES, info))


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("texts/a/3.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(Fault, match="'texts/a/3.txt', a link"):
        unpacked(archive(tmp_path / "texts.zip", FILES, (info, "/etc/passwd")))


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".tar"])
def test_a_bomb_is_refused_before_it_has_been_written(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(sources, "JUDGED", 2**20)
    monkeypatch.setattr(sources, "RATIO", 1)
    monkeypatch.setattr(sources, "LARGEST", 2**20)
    path = archive(tmp_path / f"texts{ending}", {f"a/{i}.txt": bytes(2**18) for i in range(20)})
    with pytest.raises(Fault, match=r"unpacks to more than 1,048,576 bytes, as no honest (archive|file) does"):
        unpacked(path)
    assert sum(it.stat().st_size for it in (tmp_path / "place").rglob("*.txt")) <= 2**20


def test_a_sparse_file_that_is_large_out_of_nothing_is_refused(tmp_path):
    header = tarfile.TarInfo("a.txt")
    header.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0", "GNU.sparse.size": str(2**50)}
    path = tmp_path / "texts.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(header)
    with pytest.raises(Fault, match="holds 'a.txt', a link, a device"):
        unpacked(path)


def test_a_header_as_large_as_a_bomb_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_HEADER", 1000)
    with pytest.raises(Fault, match=r"is not a whole archive: it has a header of \d,\d+ bytes"):
        unpacked(archive(tmp_path / "texts.tar.gz", {"n" * 2000: b""}))


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_more_files_than_any_corpus_has_are_refused(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(archives, "MOST_FILES", 1)
    with pytest.raises(Fault, match="holds more than 1 files"):
        unpacked(archive(tmp_path / f"texts{ending}"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_that_is_cut_short_or_is_none_is_a_fault(tmp_path, ending):
    path = archive(tmp_path / f"texts{ending}", {"a.txt": bytes(range(256)) * 500})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive" * 100, b""):
        path.write_bytes(content)
        with pytest.raises(Fault, match=r"is not a whole (archive|gz file|bz2 file|xz file|tgz file)"):
            contents(path)


@pytest.mark.parametrize("ending", [".zip", ".tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_stands_twice_or_is_a_folder_too_is_named(tmp_path, ending):
    info = zipfile.ZipInfo("texts/a/1.txt") if ending == ".zip" else tarfile.TarInfo("texts/a/1.txt")
    with pytest.raises(Fault, match="'texts/a/1.txt' cannot be unpacked: File exists"):
        unpacked(archive(tmp_path / f"texts{ending}", FILES, (info, b"again") if ending == ".zip" else info))


def test_an_encrypted_zip_is_a_fault(tmp_path):
    path = archive(tmp_path / "texts.zip", {"a.txt": b"x"})
    content = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + place] |= 1
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"'a.txt' is encrypted. Unpack it by hand"):
        contents(path)

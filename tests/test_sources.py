"""Where a source lies: found, fetched from a real server, unpacked, decoded, cut into lines."""

import bz2
import contextlib
import datetime
import gzip
import hashlib
import http.server
import io
import lzma
import os
import ssl
import tarfile
import threading
import zipfile

import pytest

from pipelines import sources
from pipelines.errors import Fault
from pipelines.method import Run

CONTENT = b"text,label\n" + b"".join(b"document %d,a\n" % i for i in range(1000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def run_in(folder):
    return Run(folder / "out", raw=folder / "raw")


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# what a source names


@pytest.fixture
def folder(tmp_path):
    for name in ("b.csv", "a.csv", "c.csv.gz", "notes.txt", ".hidden.csv", "below/d.csv"):
        written(tmp_path / "data" / name, b"x")
    return tmp_path / "data"


def test_a_folder_gives_its_files_by_name_with_the_endings_that_are_meant(folder, tmp_path):
    found = sources.files(str(folder), run_in(tmp_path), (".csv",))
    assert [path.name for path in found] == ["a.csv", "b.csv", "c.csv.gz"]


def test_endings_of_files_in_a_folder_may_have_large_letters(folder, tmp_path):
    written(folder / "D.CSV", b"x")
    written(folder / "E.Csv.GZ", b"x")
    found = sources.files(str(folder), run_in(tmp_path), (".csv",))
    assert [path.name for path in found] == ["D.CSV", "E.Csv.GZ", "a.csv", "b.csv", "c.csv.gz"]


def test_a_link_that_leads_nowhere_is_called_one(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(Fault, match="round is a link that leads nowhere, to .*round. Name what it should lead to") as caught:
        sources.located(str(tmp_path / "round"))
    assert "Did you mean" not in str(caught.value)


def test_a_pattern_a_list_and_a_data_set_give_files_each_once(folder, tmp_path, monkeypatch):
    run = run_in(tmp_path)
    assert [path.name for path in sources.files(f"{folder}/**/*.csv", run)] == [".hidden.csv", "a.csv", "b.csv", "d.csv"]
    assert [path.name for path in sources.files([str(folder / "b.csv"), f"{folder}/[ab].csv"], run)] == ["b.csv", "a.csv"]
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path))
    assert sources.files("data:data/a.csv", run) == [folder / "a.csv"]
    assert [path.name for path in sources.files("data:data/?.csv", run)] == ["a.csv", "b.csv"]
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in sources.files("data/?.csv", run)] == ["data/a.csv", "data/b.csv"]


def test_all_that_is_missing_is_named_at_once(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("WORDLOOM_DATA", raising=False)
    with pytest.raises(Fault) as caught:
        sources.files([f"{folder}/aa.csv", f"{folder}/*.jsonl", "data:x", str(tmp_path / "data" / "below")], run_in(tmp_path), (".tsv",))
    first, second, third, fourth = caught.value.faults
    assert "aa.csv is missing" in first
    assert f"Did you mean '{folder}/a.csv'" in first
    assert "matches no file" in second
    assert "WORDLOOM_DATA is not set" in third
    assert "is a folder without a file *.tsv" in fourth


def test_dvc_tracks_what_lies_in_the_project_and_not_what_is_fetched(folder):
    listed = [str(folder), "https://x.org/a.csv", "s3://x/a.csv", "data:a.csv", "data:logs/*.csv"]
    assert sources.paths(listed) == [str(folder)]


def test_of_a_pattern_dvc_tracks_the_folder_so_that_new_files_are_seen_and_one_in_no_folder_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources.paths(["data/*.csv", "./data/[ab].csv", "data/**/d.csv"]) == ["data"]
    assert sources.paths(f"{folder}/below/?.csv") == [f"{folder}/below"]
    written(tmp_path / "a.csv", b"x")
    for pattern in ("*.csv", "./*.csv", "../*/a.csv", "*/a.csv"):
        assert sources.paths(pattern) == []
        with pytest.raises(Fault, match="is a pattern in no folder.*Put the files into a folder"):
            sources.files(pattern, run_in(tmp_path))


def test_names_carry_no_folder_and_are_numbered_where_they_are_the_same(tmp_path):
    assert sources.names([tmp_path / "a/x.csv", tmp_path / "b/x.csv", tmp_path / "y.csv"]) == ["x.csv", "x.csv (2)", "y.csv"]


# downloads, from a server with a certificate of its own


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path.startswith("/short") else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of localhost, signed by itself: (certificate, key)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, no_secret = serialization.Encoding.PEM, serialization.NoEncryption()
    folder = tmp_path_factory.mktemp("certificate")
    cert = written(folder / "cert.pem", made.public_bytes(pem))
    return cert, written(folder / "key.pem", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_secret))


@pytest.fixture(scope="module")
def server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"https://localhost:{made.server_port}"
        made.shutdown()


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "localhost")


def fetched(url, folder, sha256=SHA256):
    return sources.files(url, run_in(folder), sha256=sha256)


@pytest.mark.usefixtures("trusted")
def test_a_file_is_downloaded_once_and_kept(server, tmp_path):
    (path,) = fetched(f"{server}/own.csv?version=2", tmp_path)
    assert path.read_bytes() == CONTENT
    assert path.name == f"{SHA256[:12]}-own.csv"
    assert fetched("https://localhost:1/own.csv", tmp_path, SHA256.upper()) == [path]  # nobody listens there


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("own.csv", "0" * 64, rf"gave {len(CONTENT):,} bytes of SHA-256 {SHA256}; it must be 0000.*Download it by hand to"),
        ("short.csv", SHA256, rf"ended early: {len(CONTENT) // 2:,} of {len(CONTENT):,} bytes came"),
        ("missing.csv", SHA256, r"could not be downloaded: HTTP Error 404.*Download it by hand to"),
    ],
)
def test_a_download_that_is_not_what_the_row_names_is_refused_and_leaves_nothing(server, tmp_path, path, sha256, message):
    with pytest.raises(Fault, match=message):
        fetched(f"{server}/{path}", tmp_path, sha256)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_server_that_nobody_vouches_for_is_refused(server, tmp_path):
    with pytest.raises(Fault, match="certificate verify failed"):
        fetched(f"{server}/own.csv", tmp_path)


@pytest.mark.usefixtures("trusted")
def test_a_kept_download_that_has_changed_since_is_refused(server, tmp_path):
    (path,) = fetched(f"{server}/own.csv", tmp_path)
    path.write_bytes(b"other")
    with pytest.raises(Fault, match=r"has SHA-256 .*Delete it and run again"):
        fetched(f"{server}/own.csv", tmp_path)


def test_an_address_needs_a_checksum_and_a_safe_way(tmp_path):
    with pytest.raises(Fault, match="the row must say what is expected: sha256"):
        fetched("https://x.org/a.csv", tmp_path, None)
    with pytest.raises(Fault, match="is not encrypted"):
        fetched("http://x.org/a.csv", tmp_path)


@pytest.mark.parametrize("sha256", ["abc", "0" * 63, "g" * 64, "0" * 64 + "\n", "../" + "0" * 61])
def test_a_checksum_that_is_none_is_refused_before_anything_is_fetched(tmp_path, sha256):
    with pytest.raises(Fault, match="it must be 64 hexadecimal digits"):
        fetched("https://localhost:1/own.csv", tmp_path, sha256)
    assert not (tmp_path / "raw").exists()


@pytest.mark.usefixtures("trusted")
def test_a_download_ends_at_what_was_promised_and_at_the_most_that_is_fetched(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PIECE", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "LARGEST_DOWNLOAD", 5000)
        with pytest.raises(Fault, match="more than the 5,000 bytes that are fetched of any file"):
            fetched(f"{server}/own.csv", tmp_path)
    promised = contextlib.nullcontext((io.BytesIO(CONTENT), 2000))
    monkeypatch.setattr(sources, "_remote", lambda url: promised)
    with pytest.raises(Fault, match="own.csv gives more than the 2,000 bytes that it promised"):
        fetched("https://x.org/own.csv?signature=secret", tmp_path)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_signature_in_an_address_is_not_shown(tmp_path):
    with pytest.raises(Fault) as caught:
        fetched("https://localhost:1/own.csv?signature=secret", tmp_path)
    assert "https://localhost:1/own.csv could not be downloaded" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_other_addresses_are_read_through_fsspec(tmp_path):
    import fsspec

    with fsspec.open("memory://bucket/own.csv", "wb") as file:
        file.write(CONTENT)
    (path,) = fetched("memory://bucket/own.csv", tmp_path)
    assert path.read_bytes() == CONTENT
    with pytest.raises(Fault, match="could not be downloaded"):
        fetched("memory://bucket/none.csv", tmp_path / "b")


def test_a_package_that_an_address_wants_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(Fault, match="s3://bucket/own.csv could not be downloaded: .*s3fs"):
        fetched("s3://bucket/own.csv", tmp_path)


# compressed files


@pytest.mark.parametrize(("ending", "packed"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_compressed_file_is_read_as_what_is_in_it_and_a_cut_or_false_one_refused(tmp_path, ending, packed):
    path = written(tmp_path / f"a.csv{ending}", packed(CONTENT))
    assert sources.opened(path).read() == CONTENT
    assert sources.unpacked_name(path) == "a.csv"
    loud = written(tmp_path / f"A.CSV{ending.upper()}", packed(CONTENT))
    assert sources.opened(loud).read() == CONTENT
    assert sources.unpacked_name(loud) == "A.csv"
    for content in (packed(CONTENT)[:-20], CONTENT):
        written(path, content)
        with pytest.raises(Fault, match=rf"is not a whole {ending[1:]} file"):
            sources.opened(path).read()


@pytest.mark.parametrize(("ending", "packed"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_bomb_ends_in_a_fault_before_it_has_been_unpacked(tmp_path, monkeypatch, ending, packed):
    monkeypatch.setattr(sources, "JUDGED", 2**21)
    monkeypatch.setattr(sources, "RATIO", 10)
    file = sources.opened(written(tmp_path / f"bomb{ending}", packed(bytes(2**25))))
    pieces = iter(lambda: file.read(2**16), b"")
    read = []
    with pytest.raises(Fault, match=r"unpacks to more than 2,097,152 bytes, as no honest file does"):
        read.extend(len(piece) for piece in pieces)
    assert sum(read) <= 2**21


def test_what_holds_no_text_as_it_is_is_named_by_its_kind(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("a.csv")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.csv", CONTENT)
    kinds = {
        "a.csv": (tar.getvalue(), "is a tar archive"),
        "b.csv.gz": (gzip.compress(tar.getvalue()), "is a tar archive"),
        "c.csv": (zipped.getvalue(), "is a zip archive"),
        "d.csv": (gzip.compress(CONTENT), r"is compressed by gzip, and its name does not end in \.gz"),
        "e.csv": (lzma.compress(CONTENT), "is compressed by xz"),
        "f.csv": (b"PAR1....PAR1", "is a Parquet file"),
    }
    for name, (content, message) in kinds.items():
        with pytest.raises(Fault, match=message):
            sources.opened(written(tmp_path / name, content))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_fault(tmp_path):
    path = written(tmp_path / "a.csv", CONTENT)
    path.chmod(0)
    with pytest.raises(Fault, match="cannot be read: Permission denied"):
        sources.opened(path)


# encodings and lines


@pytest.mark.parametrize(
    ("content", "said", "lines"),
    [
        (b"one\ntwo\r\n\nfour", None, [b"one", b"two", b"", b"four"]),
        (b"one\n", None, [b"one"]),
        (b"", None, []),
        (b"\n", None, [b""]),
        ("\ufeffä\nb".encode(), None, ["ä".encode(), b"b"]),
        ("\ufeffä\nb".encode(), "utf-8", ["ä".encode(), b"b"]),
        ("ä\r\nb\n".encode("utf-16"), None, ["ä".encode(), b"b"]),
        ("\ufeffä\r\nb".encode("utf-16-be"), None, ["ä".encode(), b"b"]),
        ("ä\nb".encode("utf-16-le"), "utf-16-le", ["ä".encode(), b"b"]),
        ("ä\n€".encode("cp1252"), "cp1252", ["ä".encode(), "€".encode()]),
        (b"good\nb\xe4d\ngood", None, [b"good", b"b\xe4d", b"good"]),  # for the reader to refuse
        (b"good\n\x81", "cp1252", [b"good", b"\x81"]),
        (b"a\rbb\r\rlast", None, [b"a", b"bb", b"", b"last"]),
        (b"a\rb\r", None, [b"a", b"b"]),
        ("\ufeffä\rb\rc".encode("utf-16-le"), "utf-16", ["ä".encode(), b"b", b"c"]),
        (b"a\rb\nc", None, [b"a\rb", b"c"]),  # a stray one is no line end
    ],
)
def test_lines_are_utf8_whatever_the_encoding_of_the_file(tmp_path, monkeypatch, content, said, lines):
    path = written(tmp_path / "a.txt", content)
    assert list(sources.lines(path, said)) == list(enumerate(lines, 1))
    monkeypatch.setattr(
        sources, "PIECE", 4 if b"\n" in content[:4] or b"\r" not in content else 9
    )  # borders of pieces in lines, in line ends and in characters
    assert list(sources.lines(path, said)) == list(enumerate(lines, 1))


def test_an_encoding_that_is_none_or_not_that_of_the_file_is_a_fault(tmp_path):
    path = written(tmp_path / "a.txt", "ä\n".encode("utf-16") + b"\0")
    for said in ("utf-9", "hex"):
        with pytest.raises(Fault, match=f"encoding '{said}' is not known"):
            list(sources.lines(path, said))
    with pytest.raises(Fault, match="is not utf-16 as a whole: truncated data"):
        list(sources.lines(path))


def test_a_line_without_an_end_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PIECE", 2**10)
    monkeypatch.setattr(sources, "LONGEST_LINE", 2**14)
    with pytest.raises(Fault, match=r"line 2 has more than 16,384 bytes"):
        list(sources.lines(written(tmp_path / "a.txt", b"x\n" + b"y" * 2**16)))


@pytest.mark.slow
def test_ten_million_empty_lines_are_read(tmp_path):
    assert sum(len(block) for _, block in sources.blocks(written(tmp_path / "a.txt", b"\n" * 10_000_000))) == 10_000_000

"""The Large Movie Review Dataset, in every form that it comes in."""

import hashlib
import io
import os
import tarfile
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import layout
from pipelines.errors import Fault
from pipelines.ingest import imdb
from pipelines.ingest.imdb import Params, ingest
from pipelines.method import Run

# (part, label, number, rating, text), in no order; 10 comes before 2 in a folder's listing
REVIEWS = [
    ("train", "neg", 10, 2, "Bad.<br /><br />Very bad."),
    *(("train", "neg", i, 1, f"Dull film {i}, naïve plot.") for i in range(10)),
    *(("train", "pos", i, 9, f"Fine film {i}.") for i in range(10, -1, -1)),
    *(("test", label, i, 5, f"Seen {i}.") for i in (1, 0) for label in ("pos", "neg")),
    *(("train", "unsup", i, 0, f"Who knows {i}.") for i in (2, 0, 1)),
]


def files(reviews=REVIEWS):
    return {
        f"{part}/{label}/{n}_{rating}.txt": text if isinstance(text, bytes) else text.encode() for part, label, n, rating, text in reviews
    }


def folder_of(tmp_path, contents):
    for name, text in contents.items():
        path = tmp_path / "aclImdb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return tmp_path / "aclImdb"


def archive_of(tmp_path, monkeypatch, contents, *members):
    """The archive, and the method's constants set to its checksum; `members` are added as they are."""
    path = tmp_path / imdb.ARCHIVE
    with tarfile.open(path, "w:gz") as tar:
        for name, text in contents.items():
            info = tarfile.TarInfo(name if name.startswith(("/", "..")) else f"aclImdb/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        for info in members:
            tar.addfile(info)
    trust(path, monkeypatch)
    return path


def trust(path, monkeypatch):
    monkeypatch.setattr(imdb, "MD5", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(imdb, "N_BYTES", path.stat().st_size)


def parquet_of(tmp_path, reviews=REVIEWS):
    folder = tmp_path / "data" / "imdb"
    folder.mkdir(parents=True)
    for part in ("train", "test", "unsup"):
        rows = [
            {"id": f"{part}/{label}/{n}", "text": text, "label": None if label == "unsup" else label, "rating": rating}
            for there, label, n, rating, text in reviews
            if part == ("unsup" if label == "unsup" else there)
        ]
        schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.string()), ("rating", pa.int8())])
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{part}.parquet")
    return folder


def corpus_of(tmp_path, source, name="out", **knobs):
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / name, "ingest/imdb", seed=1))


def rows_of(corpus):
    return corpus.read().to_pylist()


def test_archive_folder_and_parquet_give_the_same_bytes(tmp_path, monkeypatch):
    extra = {"README": b"x", "train/urls_pos.txt": b"http", "imdb.vocab": b"the"}
    sources = {
        "archive": archive_of(tmp_path, monkeypatch, {**files(), **extra}),
        "folder": folder_of(tmp_path, {**files(), **extra}),
        "folder-above": tmp_path,
        "parquet": parquet_of(tmp_path),
        "parquet-above": tmp_path / "data",
    }
    hashes = {name: layout.hash_path(corpus_of(tmp_path, source, name).folder) for name, source in sources.items()}
    assert len(set(hashes.values())) == 1, hashes


def test_documents_are_sorted_by_part_label_and_number_and_named_by_them(tmp_path):
    ids = [row["doc_id"] for row in rows_of(corpus_of(tmp_path, parquet_of(tmp_path)))]
    assert ids[:4] == ["test/neg/0", "test/neg/1", "test/pos/0", "test/pos/1"]
    assert ids[4:15] == [f"train/neg/{i}" for i in range(11)]
    assert ids[-3:] == ["train/unsup/0", "train/unsup/1", "train/unsup/2"]


def test_validation_takes_the_same_share_of_neg_and_pos_from_train_alone(tmp_path):
    frame = corpus_of(tmp_path, parquet_of(tmp_path), valid_share=0.27).read().to_pandas()
    counts = frame.groupby(["split", "label"], dropna=False).size()
    assert counts["valid"].to_dict() == {"neg": 3, "pos": 3}
    assert counts["train"].to_dict() == {"neg": 8, "pos": 8}
    assert counts["test"].to_dict() == {"neg": 2, "pos": 2}
    assert frame[frame["split"] == "unlabelled"]["label"].isna().tolist() == [True] * 3
    assert frame[frame["split"] == "valid"]["doc_id"].str.startswith("train/").all()


def test_html_is_taken_out_unless_the_row_says_otherwise(tmp_path):
    for html, text in ((True, "Bad.\nVery bad."), (False, "Bad.<br /><br />Very bad.")):
        rows = {row["doc_id"]: row["text"] for row in rows_of(corpus_of(tmp_path / str(html), parquet_of(tmp_path / str(html)), html=html))}
        assert rows["train/neg/10"] == text


def test_limit_keeps_so_many_of_each_label(tmp_path):
    rows = rows_of(corpus_of(tmp_path, parquet_of(tmp_path), limit=3))
    assert Counter(row["label"] for row in rows) == {"neg": 3, "pos": 3, None: 3}


def test_an_empty_review_is_rejected_by_name(tmp_path):
    corpus = corpus_of(tmp_path, folder_of(tmp_path, {**files(), "train/neg/77_1.txt": b" \n"}))
    assert "train/neg/77" not in [row["doc_id"] for row in rows_of(corpus)]
    assert corpus.read("rejects").to_pylist() == [{"where": "train/neg/77", "reason": "is empty", "excerpt": " \n"}]


def test_what_stands_in_test_is_dropped_from_train_and_from_what_is_unlabelled(tmp_path):
    test = files()["test/neg/0_5.txt"]
    more = {"train/neg/78_1.txt": test.upper(), "train/unsup/78_0.txt": b"<br />" + test}
    ids = [row["doc_id"] for row in rows_of(corpus_of(tmp_path, folder_of(tmp_path, {**files(), **more})))]
    assert not {"train/neg/78", "train/unsup/78"} & set(ids)
    assert "test/neg/0" in ids


# where it is looked for


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_validation(tmp_path):
    source = parquet_of(tmp_path)
    runs = {name: Run(tmp_path / name, seed=seed) for name, seed in {"one": 1, "again": 1, "other": 2}.items()}
    hashes = {name: layout.hash_path(ingest(Params(source=str(source)), run).folder) for name, run in runs.items()}
    assert hashes["one"] == hashes["again"] != hashes["other"]


def test_a_part_of_the_data_set_is_not_taken_for_the_whole_unless_it_is_named(tmp_path, monkeypatch):
    folder = parquet_of(tmp_path).rename(tmp_path / "imdb")
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path))
    with pytest.raises(Fault, match=r"is not the whole data set: .* in test/neg, not 12,500.*To use a part, name it: source: "):
        ingest(Params(), Run(tmp_path / "out"))
    assert ingest(Params(source=str(folder)), Run(tmp_path / "named")).n_rows() == len(REVIEWS)


def test_auto_takes_the_data_folder_then_the_archive_at_hand(tmp_path, monkeypatch):
    parquet = parquet_of(tmp_path)
    run = Run(tmp_path / "out", raw=tmp_path / "raw")
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path / "data"))
    assert imdb.find_source("auto", run) == parquet
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path / "elsewhere"))
    run.raw.mkdir()
    archive_of(run.raw, monkeypatch, files())
    assert imdb.find_source("auto", run) == run.raw / imdb.ARCHIVE


@pytest.fixture
def authors_site(tmp_path, monkeypatch):
    """A web server that has the archive."""
    site = tmp_path / "site"
    site.mkdir()
    archive_of(site, monkeypatch, files())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(imdb, "URL", f"http://127.0.0.1:{server.server_port}/{imdb.ARCHIVE}")
    monkeypatch.delenv("WORDLOOM_DATA", raising=False)
    yield site
    server.shutdown()
    server.server_close()


def test_a_download_that_is_right_takes_its_name_and_is_used_again(tmp_path, authors_site):
    run = Run(tmp_path / "out", raw=tmp_path / "raw")
    assert ingest(Params(source="download"), run).n_rows() == len(REVIEWS)
    assert [path.name for path in run.raw.iterdir()] == [imdb.ARCHIVE]
    (authors_site / imdb.ARCHIVE).unlink()
    assert ingest(Params(source="auto"), run).n_rows() == len(REVIEWS)


def test_a_download_with_another_checksum_is_thrown_away(tmp_path, authors_site, monkeypatch):
    monkeypatch.setattr(imdb, "MD5", "0" * 32)
    with pytest.raises(Fault, match=f"of MD5 [0-9a-f]+; it must be .* of MD5 {'0' * 32}. Download it by hand to .*raw"):
        ingest(Params(), Run(tmp_path / "out", raw=tmp_path / "raw"))
    assert not list((tmp_path / "raw").iterdir())


def test_a_download_that_does_not_end_is_stopped(tmp_path, authors_site, monkeypatch):
    monkeypatch.setattr(imdb, "N_BYTES", 100)
    (authors_site / imdb.ARCHIVE).write_bytes(b"x" * 2_000_000)
    with pytest.raises(Fault, match="gave 262,144 bytes.*it must be 100 bytes"):
        ingest(Params(), Run(tmp_path / "out", raw=tmp_path / "raw"))


def test_without_a_network_the_message_says_where_to_put_the_archive(tmp_path, authors_site):
    (authors_site / imdb.ARCHIVE).unlink()
    with pytest.raises(Fault, match=r"could not be downloaded: HTTP Error 404.*Download it by hand to .*raw/aclImdb_v1\.tar\.gz"):
        ingest(Params(), Run(tmp_path / "out", raw=tmp_path / "raw"))


# what cannot be used


def test_a_missing_or_empty_source_is_named(tmp_path):
    with pytest.raises(Fault, match=r"source .*/none is missing\. Name the archive"):
        corpus_of(tmp_path, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Fault, match="empty holds no reviews. It must be"):
        corpus_of(tmp_path, tmp_path / "empty")
    (tmp_path / "hollow" / "train" / "neg").mkdir(parents=True)
    with pytest.raises(Fault) as caught:
        corpus_of(tmp_path, tmp_path / "hollow")
    assert [fault.split(" has ")[1].split(";")[0] for fault in caught.value.faults] == [
        "no reviews in train/neg and train/pos",
        "no reviews in test/neg and test/pos",
    ]


def test_one_class_only_is_a_fault(tmp_path):
    only_neg = [review for review in REVIEWS if review[:2] != ("train", "pos")]
    with pytest.raises(Fault, match="has no reviews in train/pos; a classifier needs neg and pos"):
        corpus_of(tmp_path, parquet_of(tmp_path, only_neg))


def test_an_archive_with_another_checksum_is_not_opened(tmp_path, monkeypatch):
    archive = archive_of(tmp_path, monkeypatch, files())
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(Fault, match=rf"has MD5 [0-9a-f]{{32}}; aclImdb_v1.tar.gz has {imdb.MD5}"):
        corpus_of(tmp_path, archive)


def test_an_archive_that_is_cut_short_is_a_fault_whatever_its_checksum(tmp_path, monkeypatch):
    archive = archive_of(tmp_path, monkeypatch, files())
    archive.write_bytes(archive.read_bytes()[:-200])
    trust(archive, monkeypatch)
    with pytest.raises(Fault, match="is not a whole gz file"):
        corpus_of(tmp_path, archive)


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../../x.txt"])
def test_an_archive_with_a_path_out_of_its_folder_is_refused(tmp_path, monkeypatch, name):
    with pytest.raises(Fault, match=f"holds '{name}', a link, a device or a path out of its folder"):
        corpus_of(tmp_path, archive_of(tmp_path, monkeypatch, {**files(), name: b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_with_a_link_or_a_device_is_refused(tmp_path, monkeypatch, kind):
    info = tarfile.TarInfo("aclImdb/train/neg/5_5.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(Fault, match="a link, a device"):
        corpus_of(tmp_path, archive_of(tmp_path, monkeypatch, files(), info))


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(imdb, "LARGEST_ARCHIVE", 1_000_000)
    archive = archive_of(tmp_path, monkeypatch, {"labeledBow.feat": bytes(5_000_000), **files()})
    assert archive.stat().st_size < 100_000
    with pytest.raises(Fault, match="unpacks to more than 1,000,000 bytes"):
        corpus_of(tmp_path, archive)


def test_a_review_larger_than_any_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(imdb, "LARGEST_REVIEW", 1000)
    contents = {**files(), "train/neg/8_1.txt": b"x" * 1001}
    for source in (archive_of(tmp_path, monkeypatch, contents), folder_of(tmp_path, contents)):
        with pytest.raises(Fault, match="8_1.txt has more than 1,000 bytes"):
            corpus_of(tmp_path, source)


def test_bytes_that_are_not_utf8_are_named_all_at_once_in_every_form(tmp_path, monkeypatch):
    contents = {**files(), "train/neg/3_1.txt": "café".encode("latin-1"), "test/pos/1_9.txt": b"\xff"}
    message = r"2 reviews are \(test/pos/1 \(byte 0 is 0xff\), train/neg/3 \(byte 3 is 0xe9\)\) not UTF-8"
    for source in (archive_of(tmp_path, monkeypatch, contents), folder_of(tmp_path, contents)):
        with pytest.raises(Fault, match=message):
            corpus_of(tmp_path, source)
    folder = parquet_of(tmp_path)
    table = pq.read_table(folder / "train.parquet")
    raw = [b"\xff" if i == 3 else text.encode() for i, text in enumerate(table.column("text").to_pylist())]
    broken = pa.StringArray.from_buffers(len(raw), *pa.array(raw, pa.binary()).buffers()[1:])
    pq.write_table(table.set_column(1, "text", broken), folder / "train.parquet")
    with pytest.raises(Fault, match=r"1 review is \(train/neg/2 \(byte 0 is 0xff\)\) not UTF-8"):
        corpus_of(tmp_path, folder)


def test_a_review_that_is_there_twice_is_named(tmp_path):
    with pytest.raises(Fault, match=r"1 review is \(train/pos/4\) there twice"):
        corpus_of(tmp_path, folder_of(tmp_path, {**files(), "train/pos/4_1.txt": b"again"}))


def test_a_file_in_a_folder_of_reviews_that_is_none_is_reported(tmp_path, capsys):
    folder = folder_of(tmp_path, {**files(), "train/neg/.DS_Store": b"\0"})
    corpus = ingest(Params(source=str(folder)), Run(tmp_path / "out", "ingest/imdb", show=True))
    assert corpus.n_rows() == len(REVIEWS)
    assert "files not named NUMBER_RATING.txt are left out: 1, first train/neg/.DS_Store" in capsys.readouterr().out


def test_parquet_of_another_schema_names_the_columns_found_and_wanted(tmp_path):
    folder = parquet_of(tmp_path)
    pq.write_table(pa.table({"text": ["a"], "label": [0], "key": ["x"]}), folder / "test.parquet")
    with pytest.raises(
        Fault, match=r"test.parquet has columns text \(string\), label \(int64\), key \(string\); it must have id .*, label"
    ):
        corpus_of(tmp_path, folder)


def test_an_id_that_does_not_agree_with_its_label_is_named(tmp_path):
    folder = parquet_of(tmp_path)
    pq.write_table(pa.table({"id": ["test/neg/0"], "text": ["a"], "label": ["pos"]}), folder / "test.parquet")
    with pytest.raises(Fault, match=r"test.parquet: id 'test/neg/0' beside label 'pos'"):
        corpus_of(tmp_path, folder)


@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_parquet_is_a_fault(tmp_path, keep):
    folder = parquet_of(tmp_path)
    data = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(Fault, match=r"train.parquet is not a whole Parquet file.*Fetch it again"):
        corpus_of(tmp_path, folder)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_the_data_set_itself_is_100_000_reviews_less_what_stands_twice(tmp_path):
    folder = Path(os.environ.get("WORDLOOM_DATA", "none")) / "imdb"
    if not folder.is_dir():
        pytest.skip("WORDLOOM_DATA names no folder with imdb/ in it")
    corpus = corpus_of(tmp_path, folder)
    splits = corpus.read(columns=["split"]).column("split").value_counts().to_pylist()
    n = {count["values"]: count["counts"] for count in splits}
    dropped = [row for row in corpus.read("cleaning").to_pylist() if row["step"] in ("duplicates", "leaks")]
    assert n["test"] == 25_000  # as published
    assert sum(n.values()) + sum(row["n_documents"] for row in dropped) == 100_000
    assert {(row["step"], row["split"]): row["n_documents"] for row in dropped} == {
        ("duplicates", "train"): 63, ("duplicates", "unlabelled"): 495,
        ("leaks", "train"): 127, ("leaks", "valid"): 28, ("leaks", "unlabelled"): 341,
    }  # fmt: skip
    assert not corpus.read(columns=["text"]).column("text").to_pandas().str.contains("<br").any()

"""Folders of text files."""

import gzip

import pytest

from pipelines import layout, sources
from pipelines.errors import Fault
from pipelines.ingest.folder import Params, ingest
from pipelines.method import Run
from tests.test_archives import archive


def corpus_of(tmp_path, files=None, **knobs):
    root = tmp_path / "data"
    for name, content in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(root), **knobs), Run(tmp_path / "out", seed=1))


def rows(corpus, *columns):
    return [tuple(row.values()) for row in corpus.read().select(list(columns)).to_pylist()]


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_a_folder_is_a_class_and_the_name_inside_the_source_is_the_id(tmp_path):
    files = {"sea/2.txt": "two", "sea/1.txt": "one", "land/1.txt": "three", "land/hill/4.txt.gz": gzip.compress(b"four"), "5.txt": "five"}
    corpus = corpus_of(tmp_path, {**files, "sea/notes.md": "no", ".git/x.txt": "no"}, valid_share=0.0, test_share=0.0)
    assert rows(corpus, "doc_id", "text", "label", "split") == [
        ("5.txt", "five", None, "unlabelled"),
        ("land/1.txt", "three", "land", "train"),
        ("land/hill/4.txt.gz", "four", "land/hill", "train"),
        ("sea/1.txt", "one", "sea", "train"),
        ("sea/2.txt", "two", "sea", "train"),
    ]


def test_files_without_a_folder_are_unlabelled(tmp_path):
    assert rows(corpus_of(tmp_path, {"b.txt": "b", "a.txt": "a"}), "doc_id", "split") == [("a.txt", "unlabelled"), ("b.txt", "unlabelled")]


def test_folders_of_splits_may_stand_above_the_classes(tmp_path):
    files = {"train/a/1.txt": "1", "train/b/1.txt": "2", "valid/a/1.txt": "3", "test/b/1.txt": "4", "unlabelled/1.txt": "5"}
    assert rows(corpus_of(tmp_path, files), "doc_id", "label", "split") == [
        ("test/b/1.txt", "b", "test"),
        ("train/a/1.txt", "a", "train"),
        ("train/b/1.txt", "b", "train"),
        ("unlabelled/1.txt", None, "unlabelled"),
        ("valid/a/1.txt", "a", "valid"),
    ]


def test_splits_beside_classes_are_refused(tmp_path):
    with pytest.raises(Fault, match=r"has folders that are splits \(test, train\) beside others \(more\)"):
        corpus_of(tmp_path, {"train/a/1.txt": "1", "test/a/1.txt": "2", "more/a/1.txt": "3"})


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("20news-bydate-train", "20news-bydate-valid", "20news-bydate-test"),
        ("Train", "Dev", "Test"),
        ("TRAIN", "VAL", "TEST"),
        ("training", "validation", "testing"),
        ("own_train", "own_dev", "own_test"),
    ],
)
def test_splits_may_be_called_by_other_words_and_at_the_end_of_a_name(tmp_path, train, valid, test):
    corpus = corpus_of(tmp_path, {f"{train}/a/1.txt": "1", f"{valid}/a/1.txt": "2", f"{test}/b/1.txt": "3"})
    assert sorted(rows(corpus, "doc_id", "label", "split")) == sorted(
        [(f"{train}/a/1.txt", "a", "train"), (f"{valid}/a/1.txt", "a", "valid"), (f"{test}/b/1.txt", "b", "test")]
    )


def test_other_words_for_splits_are_classes_where_none_says_train(tmp_path):
    corpus = corpus_of(tmp_path, {"web-dev/1.txt": "1", "game-dev/1.txt": "2", "ops/1.txt": "3"}, valid_share=0.0, test_share=0.0)
    assert rows(corpus, "label", "split") == [("game-dev", "train"), ("ops", "train"), ("web-dev", "train")]


def test_what_begins_with_a_dot_is_counted_and_not_opened(tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / ".link.txt").symlink_to("/etc/passwd")
    corpus = corpus_of(tmp_path, {"a/1.txt": "one", "a/.2.txt": "two", ".git/x.txt": "no", ".git/y.txt": "no"})
    assert rows(corpus, "doc_id") == [("a/1.txt",)]
    assert {"step": "hidden_files", "split": "unlabelled", "n_documents": 3} in corpus.read("cleaning").to_pylist()


def test_endings_may_have_large_letters_on_either_side(tmp_path):
    files = {"a/1.TXT": "1", "a/2.Txt.GZ": gzip.compress(b"2"), "a/3.md": "3"}
    assert rows(corpus_of(tmp_path, files), "text") == [("1",), ("2",)]
    assert rows(corpus_of(tmp_path, files, suffixes=[".MD"]), "text") == [("3",)]


def test_other_endings_are_read_where_they_are_named_and_all_where_none_is(tmp_path):
    files = {"a/1.md": "1", "a/2.txt": "2", "a/3": "3"}
    assert rows(corpus_of(tmp_path, files, suffixes=[".md", ".txt"]), "text") == [("1",), ("2",)]
    assert rows(corpus_of(tmp_path, files, suffixes=[]), "text") == [("1",), ("2",), ("3",)]


def test_files_that_are_no_documents_are_rejected_by_name_and_the_others_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LONGEST_LINE", 1000)
    files = {
        "a/1.txt": "good", "a/2.txt": b"b\xe4d", "a/3.txt": "", "a/4.txt": b"n\0l", "a/5.txt.gz": b"not gz", "a/6.txt": b"PK\x03\x04...",
        "a/7.txt": "x" * 1001, "a/8.txt": "ä".encode("utf-16") + b"\0", "a/9.txt": "\ufeffä".encode("utf-16-be"),
    }  # fmt: skip
    corpus = corpus_of(tmp_path, files)
    assert rows(corpus, "doc_id", "text") == [("a/1.txt", "good"), ("a/9.txt", "ä")]
    told = dict(rejects(corpus))
    assert told.pop("a/5.txt.gz").startswith("is not a whole gz file: Not a gzipped file")
    assert told.pop("a/6.txt").startswith("is a zip archive")
    assert told == {
        "a/2.txt": "text is not in the encoding of its file: byte 0xe4 at character 2",
        "a/3.txt": "is empty",
        "a/4.txt": "holds a NUL character in its text, as no text does",
        "a/7.txt": "has more than 1,000 bytes",
        "a/8.txt": "is not in the encoding of its file: truncated data at byte 4",
    }
    assert all(str(tmp_path).encode() not in path.read_bytes() for path in corpus.folder.iterdir())


def test_a_bomb_is_one_reject(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "JUDGED", 2**20)
    monkeypatch.setattr(sources, "RATIO", 10)
    corpus = corpus_of(tmp_path, {"a/1.txt": "good", "a/2.txt.gz": gzip.compress(b"a" * 2**24)})
    ((where, reason),) = rejects(corpus)
    assert where == "a/2.txt.gz"
    assert "unpacks to more than 1,048,576 bytes, as no honest file does" in reason


def test_links_are_read_inside_and_refused_where_they_lead_out_or_to_a_folder(tmp_path):
    corpus_of(tmp_path, {"a/1.txt": "one"})
    link = tmp_path / "data" / "a" / "2.txt"
    link.symlink_to("1.txt")
    assert rows(corpus_of(tmp_path), "doc_id") == [("a/1.txt",), ("a/2.txt",)]
    (tmp_path / "secret.txt").write_text("of somebody else")
    for target, message in (
        ("../../secret.txt", "is a link that leads out of the source"),
        (tmp_path / "secret.txt", "is a link that leads out of the source"),
        ("..", "is a link to a folder"),
    ):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(Fault, match=message):
            corpus_of(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"), [({"a/1.md": "x"}, r"holds no file that is \*\.txt. Say which are meant as `suffixes`"), ({}, r"data is missing")]
)
def test_a_folder_without_a_document_is_named(tmp_path, files, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, files)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "data").write_text("one\ntwo\n")
    with pytest.raises(
        Fault,
        match=r"is a file; the method folder reads a folder of text files, or an archive of one. For a document a line, say method: lines",
    ):
        corpus_of(tmp_path)


def test_files_of_other_endings_are_counted_and_the_first_is_told(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    for name in ("1.txt", "2.md", "3.csv"):
        (tmp_path / "data" / name).write_text("words")
    corpus = ingest(Params(source=str(tmp_path / "data")), Run(tmp_path / "out", "ingest/x", show=True))
    assert corpus.read("cleaning").to_pylist() == [{"step": "other_files", "split": "unlabelled", "n_documents": 2}]
    assert "2.md and what else has none of the endings .txt is left out" in capsys.readouterr().out


@pytest.mark.parametrize("around", ["", "20news/"])
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_archive_gives_the_corpus_of_the_folder_that_is_in_it(tmp_path, ending, around):
    files = {"train/a/1.txt": b"1", "train/b/1.txt": b"2", "test/b/1.txt": b"4"}
    packed = archive(tmp_path / f"texts{ending}", {around + name: content for name, content in files.items()})
    corpus = ingest(Params(source=str(packed)), Run(tmp_path / "packed", seed=1))
    assert layout.hash_path(corpus.folder) == layout.hash_path(corpus_of(tmp_path, files).folder)
    assert not list(tmp_path.glob(".scratch-*"))


def test_of_an_archive_a_message_names_the_archive(tmp_path):
    packed = archive(tmp_path / "texts.zip", {"train/a/1.txt": b"1", "more/a/1.txt": b"3"})
    with pytest.raises(Fault, match=r"source \S*texts.zip has folders that are splits \(train\) beside others \(more\)"):
        ingest(Params(source=str(packed)), Run(tmp_path / "out"))


def test_a_file_whose_name_is_not_utf8_is_rejected(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "good.txt").write_text("good")
    with open(bytes(tmp_path / "data") + b"/b\xe4d.txt", "w") as file:
        file.write("bad")
    assert rejects(corpus_of(tmp_path)) == [("b?d.txt", "has a name that is not UTF-8")]

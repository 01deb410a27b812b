"""What a source looks like: which method reads it, which column is what, and what is refused."""

import csv
import gzip
import json
import pickle
import random
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import Fault
from pipelines.use import look as looking
from pipelines.use.look import look
from pipelines.use.seen import scripts_of
from tests.test_archives import archive

TEXT = "the river runs over stones and into a wide cold lake where nobody has been for years of rain"


def sentence(rng, n=12):
    return " ".join(rng.choice(TEXT.split()) for _ in range(n))


def rows(n=60, **more):
    """n rows with an id, a text, a title, and a label of two; `more` makes further cells from a row's number."""
    rng = random.Random(3)
    return [
        {
            "id": f"d{i}",
            "title": sentence(rng, 2),
            "body": sentence(rng),
            "stars": "good" if i % 3 else "bad",
            **{k: f(i) for k, f in more.items()},
        }
        for i in range(n)
    ]


def table(path, rows, separator=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def found(path):
    seen = look(str(path))
    return seen, {guess.knob: guess.value for guess in seen.guesses}


def refused(path, says):
    with pytest.raises(Fault, match=says) as fault:
        look(str(path))
    return str(fault.value)


# columns


def test_the_longest_words_are_the_text_a_name_the_label_and_what_never_repeats_the_id(tmp_path):
    seen, knobs = found(table(tmp_path / "a.csv", rows()))
    assert (seen.method, seen.n_all, seen.whole) == ("csv", 60, True)
    assert (knobs["text"], knobs["label"], knobs["id"], knobs["divide"]) == ("body", "stars", "id", "stratified")
    assert seen.figures.labels == {"good": 40, "bad": 20}
    assert seen.figures.words == (12, 12, 12)


def test_csv_json_lines_and_parquet_of_the_same_rows_look_the_same(tmp_path):
    held = rows()
    table(tmp_path / "a.csv", held)
    table(tmp_path / "a.tsv", held, "\t")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "b.csv.gz", "wb") as file:
        file.write((tmp_path / "a.csv").read_bytes())
    looks = [look(str(path)) for path in sorted(tmp_path.iterdir())]
    assert [it.method for it in looks] == ["csv", "jsonl", "parquet", "csv", "csv"]
    assert all(it.guesses == looks[0].guesses and it.figures == looks[0].figures for it in looks)


def test_a_column_without_a_name_for_it_is_the_label_when_few_values_repeat(tmp_path):
    held = [{"body": row["body"], "mood": row["stars"], "n": i} for i, row in enumerate(rows())]
    _, knobs = found(table(tmp_path / "a.csv", held))
    assert (knobs["label"], knobs["id"]) == ("mood", "n")


def test_a_label_of_too_many_values_is_not_taken_and_a_note_says_so(tmp_path):
    held = [{"body": row["body"], "label": f"x{i // 2}"} for i, row in enumerate(rows(300))]
    seen, knobs = found(table(tmp_path / "a.csv", held))
    assert knobs["label"] is None
    assert "has 150 different values" in seen.notes[0]


def test_why_a_column_named_label_is_none_is_told(tmp_path):
    assert any(
        "its 2 different values stand in 3 rows, too few for each to be there twice" in note
        for note in look(str(table(tmp_path / "a.csv", [{"body": row["body"], "label": row["stars"]} for row in rows(3)]))).notes
    )
    for one in ("good", 1):
        (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": row["body"], "label": [one]}) + "\n" for row in rows()))
        seen, knobs = found(tmp_path / "a.jsonl")
        assert knobs["label"] is None
        assert any("column label is named like a label, and is none: it holds lists or objects" in note for note in seen.notes)


def test_a_column_of_split_names_is_the_split(tmp_path):
    _, knobs = found(table(tmp_path / "a.csv", rows(part=lambda i: "Test" if i % 4 == 0 else "train")))
    assert (knobs["split"], knobs["valid_share"]) == ("part", 0.15)
    assert "divide" not in knobs


def test_splits_called_otherwise_are_not_taken_and_a_note_says_what_to_write(tmp_path):
    seen, knobs = found(table(tmp_path / "a.csv", rows(part=lambda i: "dev" if i % 4 == 0 else "train")))
    assert "split" not in knobs
    assert "column part names splits, and some by other words (dev)" in seen.notes[0]


def test_rows_of_one_author_stay_together_and_times_are_named(tmp_path):
    _, knobs = found(table(tmp_path / "a.csv", rows(author=lambda i: f"a{i % 15}", date=lambda i: f"2024-01-{i % 28 + 1:02d}")))
    assert (knobs["group"], knobs["time"], knobs["divide"]) == ("author", "date", "group")


def test_an_id_that_repeats_is_not_taken_and_a_note_says_so(tmp_path):
    held = rows()
    held[7]["id"] = "d0"
    seen, knobs = found(table(tmp_path / "a.csv", held))
    assert knobs["id"] is None
    assert "column id is not taken as the id: 1 of its values" in seen.notes[0]


def test_addresses_are_no_text_however_long(tmp_path):
    _, knobs = found(table(tmp_path / "a.csv", rows(page=lambda i: f"https://example.org/{'x' * 90}/{i}")))
    assert knobs["text"] == "body"


def test_lists_of_numbers_are_no_text_and_lists_of_tokens_are(tmp_path):
    held = [{"embedding": [0.25] * 50, "tokens": row["body"].split(), "label": row["stars"]} for row in rows()]
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet")[1]["text"] == "tokens"


def test_objects_inside_json_are_columns_with_a_dot(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"meta": {"stars": row["stars"]}, "body": row["body"]}) + "\n" for row in rows()))
    assert found(tmp_path / "a.jsonl")[1]["label"] == "meta.stars"


def test_a_semicolon_between_cells_and_western_bytes_are_found(tmp_path):
    held = rows()
    held[0]["body"] = "une rivière très froide"
    _, knobs = found(table(tmp_path / "a.csv", held, ";", "cp1252"))
    assert (knobs["separator"], knobs["encoding"], knobs["text"]) == (";", "cp1252", "body")


@pytest.mark.parametrize("name", ["A.TSV", "A.Tab", "A.CSV", "A.CSV.GZ"])
def test_an_ending_may_have_large_letters(tmp_path, name):
    path = table(tmp_path / name, rows(), "\t" if name.startswith("A.T") else ",")
    if name.endswith("GZ"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    seen, knobs = found(path)
    assert (seen.method, seen.n_all, knobs["text"], knobs["label"]) == ("csv", 60, "body", "stars")
    assert "separator" not in knobs


def test_of_several_separators_in_the_header_that_one_is_taken_with_which_all_lines_have_as_many_cells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Text, full;label\n" + "".join(f"{row['body']}{', so' * (i % 3)};{row['stars']}\n" for i, row in enumerate(rows())))
    _, knobs = found(path)
    assert (knobs["separator"], knobs["text"], knobs["label"]) == (";", "Text, full", "label")
    path.write_text("Text, full;label\n" + "".join(f"{row['body']}, so;{row['stars']}\n" for row in rows()))  # the comma does, too
    assert found(path)[1]["separator"] == ";"


def test_blank_lines_before_the_header_are_passed_over(tmp_path):
    path = table(tmp_path / "a.csv", rows(), ";")
    path.write_text("\n\n" + path.read_text())
    seen, knobs = found(path)
    assert (seen.n_all, knobs["separator"], knobs["label"]) == (60, ";", "stars")


def test_the_first_document_of_a_column_without_a_header_is_told_to_have_become_its_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{row['title']}\n" for row in rows()))
    assert f"the one column is called {rows()[0]['title']!r}, as its first line says" in look(str(path)).notes[0]
    path.write_text("review\n" + path.read_text())
    assert look(str(path)).notes == []


def test_a_folder_of_tables_that_are_separated_differently_is_refused(tmp_path):
    (tmp_path / "own").mkdir()
    table(tmp_path / "own" / "a.csv", rows())
    table(tmp_path / "own" / "c.csv", rows())
    assert found(tmp_path / "own")[0].n_all == 120
    table(tmp_path / "own" / "b.csv", rows(), ";")
    refused(tmp_path / "own", "different forms: a.csv has what its ending says between its cells, b.csv ';'")


def test_rows_that_cannot_be_read_are_counted_and_the_first_is_named(tmp_path):
    path = table(tmp_path / "a.csv", rows())
    path.write_text(path.read_text() + "d61,too few\n")
    assert look(str(path)).facts["rows that cannot be read"] == "1, the first a.csv line 62: has 2 cells; the header has 4"


def test_of_a_large_file_a_part_is_read_and_the_rest_reckoned(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "LOOKED", 50_000)
    for kind in ("csv", "jsonl"):
        path = tmp_path / f"a.{kind}"
        held = rows(2000)
        table(path, held) if kind == "csv" else path.write_text("".join(json.dumps(row) + "\n" for row in held))
        seen = look(str(path))
        assert not seen.whole
        assert seen.figures.n < 700
        assert seen.n_all == pytest.approx(2000, rel=0.05)


def test_a_csv_whose_first_line_is_data_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{'ham' if i % 2 else 'spam'},{row['body']} {i}\n" for i, row in enumerate(rows())))
    assert "has no header: its cell 'spam' stands in 29 rows below it, too" in refused(path, "no header")
    path.write_text("".join(f"{i},{row['body']} {i}\n" for i, row in enumerate(rows())))
    refused(path, "its cell '0' is no name of a column")


def test_an_index_without_a_name_is_passed_over_and_a_class_may_be_called_like_its_column(tmp_path):
    held = [{"": i, "body": row["body"], "good": row["stars"]} for i, row in enumerate(rows())]
    seen, knobs = found(table(tmp_path / "a.csv", held))
    assert [column.name for column in seen.columns] == ["body", "good"]
    assert (knobs["label"], knobs["id"]) == ("good", None)


def test_a_table_of_numbers_alone_has_no_text(tmp_path):
    path = table(tmp_path / "a.csv", [{"x": i * 0.5, "y": i * i} for i in range(50)])
    assert "x (number, 50 different), y (number, 50 different)" in refused(path, "has no column of text")


# texts


def test_a_folder_of_classes_in_train_and_test(tmp_path):
    for i, row in enumerate(rows()):
        path = tmp_path / "own" / ("test" if i % 4 == 0 else "train") / row["stars"] / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["body"])
    (tmp_path / "own" / "README.md").write_text("about")
    seen, knobs = found(tmp_path / "own")
    assert (seen.method, seen.n_all, knobs["valid_share"]) == ("folder", 60, 0.15)
    assert seen.figures.labels == {"good": 40, "bad": 20}
    assert seen.figures.splits == {"train": 45, "test": 15}
    assert seen.notes == ["1 files with another ending are left out"]


def folder_of(root, name_of, held):
    for i, row in enumerate(held):
        path = root / name_of(i, row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["body"])
    return root


def test_splits_called_by_other_words_are_given_and_a_note_says_so(tmp_path):
    root = folder_of(tmp_path / "own", lambda i, row: f"20news-bydate-{'test' if i % 4 == 0 else 'train'}/{row['stars']}/{i}", rows())
    seen, knobs = found(root)
    assert (seen.figures.labels, seen.figures.splits) == ({"good": 40, "bad": 20}, {"train": 45, "test": 15})
    assert "divide" not in knobs
    assert "given splits: 20news-bydate-test is test, 20news-bydate-train is train. If they are classes" in seen.notes[0]


def test_a_folder_of_endings_in_large_letters_is_read_and_what_is_hidden_is_told(tmp_path):
    root = folder_of(tmp_path / "own", lambda i, row: f"{row['stars']}/{i}.TXT", rows())
    (root / ".DS_Store").write_bytes(b"\0\0")
    seen, knobs = found(root)
    assert (seen.method, seen.figures.n, seen.figures.labels) == ("folder", 60, {"good": 40, "bad": 20})
    assert "suffixes" not in knobs
    assert seen.facts["names that begin with a dot"] == "1, left out"


def test_of_a_large_folder_files_all_over_it_are_read_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "LOOKED", 1000)
    for i, row in enumerate(rows()):
        path = tmp_path / "own" / row["stars"] / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["body"])
    seen, _ = found(tmp_path / "own")
    assert (seen.whole, seen.n_all, seen.figures.labels) == (False, 60, {"good": 40, "bad": 20})
    assert 5 < seen.figures.n < 30


def test_files_without_an_ending_are_all_taken(tmp_path):
    for i, row in enumerate(rows()):
        path = tmp_path / "own" / row["stars"] / str(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["body"])
    _, knobs = found(tmp_path / "own")
    assert (knobs["suffixes"], knobs["divide"]) == ([], "stratified")


def test_a_folder_of_tables_is_a_table_and_their_names_are_no_splits(tmp_path):
    (tmp_path / "own").mkdir()
    held = rows()
    table(tmp_path / "own" / "train.csv", held[:40])
    table(tmp_path / "own" / "test.csv", held[40:])
    seen, knobs = found(tmp_path / "own")
    assert (seen.method, seen.n_all, knobs["divide"]) == ("csv", 60, "stratified")
    assert "the files are called train, test or so, and no column says which row is whose" in seen.notes[0]


def test_a_text_file_is_a_document_a_line(tmp_path):
    (tmp_path / "a.txt").write_text("".join(row["body"] + "\n\n" for row in rows()))
    seen, _ = found(tmp_path / "a.txt")
    assert (seen.method, seen.n_all, seen.facts["empty lines"]) == ("lines", 60, "60, which are no documents")


def test_a_table_that_is_called_a_text_file_is_told(tmp_path):
    seen, _ = found(table(tmp_path / "a.txt", rows()))
    assert seen.method == "lines"
    assert "each line has 4 cells with ',' between them, and is read as one text" in seen.notes[0]


def test_lines_with_fasttext_labels_have_labels(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"__label__{row['stars']} {row['body']}\n" for row in rows()))
    seen, knobs = found(tmp_path / "a.txt")
    assert (seen.method, knobs["label_prefix"], seen.figures.labels) == ("lines", "__label__", {"good": 40, "bad": 20})


def test_html_mail_heads_and_what_stands_twice_switch_their_cleaning_on(tmp_path):
    held = rows()
    for i, row in enumerate(held):
        row["body"] = f"From: a{i}@b.c\nSubject: x\n\nAnn writes:\n> yes\n{row['body']} isn\u2019t<br />{i}\n-- \nAnn\n"
    held[1]["body"] = held[0]["body"]
    _, knobs = found(table(tmp_path / "a.csv", held))
    assert [knobs[name] for name in ("html", "apostrophes", "headers", "quotes", "signatures", "duplicates")] == [
        True,
        True,
        True,
        True,
        True,
        ["train", "unlabelled"],
    ]
    assert (
        not {"html", "apostrophes", "headers", "quotes", "signatures", "attachments", "duplicates"}
        & found(table(tmp_path / "b.csv", rows()))[1].keys()
    )


def test_scripts_are_told_by_the_letters():
    assert scripts_of(["река lake"]) == {"CYRILLIC": 0.5, "LATIN": 0.5}
    assert list(scripts_of(["東京の川", "12 !"])) == ["CJK", "HIRAGANA"]


# graphs, sequences, wikis


def test_lines_of_two_names_are_edges_and_a_third_number_their_weight(tmp_path):
    rng = random.Random(1)
    edges = [(f"n{rng.randrange(20)}", f"n{rng.randrange(20)}") for _ in range(100)]
    (tmp_path / "a.txt").write_text("# a graph\n" + "".join(f"{a} {b}\n" for a, b in edges))
    (tmp_path / "b.txt").write_text("".join(f"{a} {b} 0.5\n" for a, b in edges))
    seen, knobs = found(tmp_path / "a.txt")
    assert (seen.method, seen.facts["nodes"], knobs["directed"]) == ("graph", "20", False)
    assert found(tmp_path / "b.txt")[1]["weight"] == "weight"


def test_a_table_of_source_and_target_is_a_graph_and_takes_the_labels_beside_it(tmp_path):
    table(tmp_path / "edges.csv", [{"src": f"n{i}", "dst": f"n{i + 1}"} for i in range(9)])
    table(tmp_path / "node_labels.csv", [{"node": f"n{i}", "label": "a"} for i in range(10)])
    seen, knobs = found(tmp_path / "edges.csv")
    assert (seen.method, seen.facts["nodes"], knobs["source_column"], knobs["labels"]) == (
        "graph",
        "10",
        "src",
        tmp_path / "node_labels.csv",
    )


def test_a_list_of_neighbours_is_known_by_its_lines(tmp_path):
    (tmp_path / "a.txt").write_text("a b c\nb a\nc a d\nd c\n")
    seen, knobs = found(tmp_path / "a.txt")
    assert (seen.method, knobs["form"], seen.facts["nodes"]) == ("graph", "adjacency", "4")


def test_fasta_is_known_by_its_lines_and_long_sequences_are_cut(tmp_path):
    (tmp_path / "a.txt").write_text(">one\nACGTN\nACG\n>two\nTTTT\n")
    seen, knobs = found(tmp_path / "a.txt")
    assert (seen.method, seen.facts["sequences"]) == ("dna", "2, of 4 to 8 bases, 6 in the middle")
    assert "length" not in knobs
    (tmp_path / "b.fa").write_text(">one\n" + "ACGT" * 3000)
    assert found(tmp_path / "b.fa")[1]["length"] == 1000
    (tmp_path / "c.fa").write_text(">one\nMKLVFFAELQ\n")
    refused(tmp_path / "c.fa", "holds proteins")


def test_the_dump_of_a_wiki_is_known_whatever_its_name(tmp_path):
    page = "<page><title>{0}</title><ns>0</ns><revision><text>'''{0}''' is a [[river]] of the north and {1}.</text></revision></page>"
    pages = "".join(page.format(name, TEXT) for name in ("Ob", "Don"))
    for name in ("a.xml", "b.txt"):
        (tmp_path / name).write_text(f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{pages}</mediawiki>')
        seen = look(str(tmp_path / name))
        assert (seen.method, seen.n_all, seen.figures.english) == ("mediawiki", 2, True)


def test_an_archive_of_texts_is_looked_at_as_the_folder_in_it_and_one_of_tables_has_to_be_unpacked(tmp_path):
    texts = {f"news/{'ab'[i % 2]}/{i}.txt": row["body"].encode() for i, row in enumerate(rows(20))}
    for ending in (".zip", ".tar.gz"):
        seen = look(str(archive(tmp_path / f"texts{ending}", texts)))
        assert (seen.method, seen.source.name, seen.what) == ("folder", f"texts{ending}", "an archive of texts, 20 files")
        assert (seen.figures.labels, seen.n_all) == ({"a": 10, "b": 10}, 20)
    texts = {name.replace("news/", "train\\").replace("/", "\\"): text for name, text in texts.items()}
    seen = look(str(archive(tmp_path / "windows.zip", texts).rename(tmp_path / "WINDOWS.ZIP")))
    assert (seen.figures.labels, seen.figures.splits) == ({"a": 10, "b": 10}, {"train": 20})
    refused(
        archive(tmp_path / "table.zip", {"a.csv": b"text,label\na b,x\nc d,y\n"}),
        "table.zip holds CSV, .*Unpack it, and name what is in it",
    )
    refused(archive(tmp_path / "none.tar", {}), "none.tar is a folder without a file")


def test_a_column_in_a_struct_is_found_by_its_name_with_a_dot_and_a_list_is_no_label(tmp_path):
    held = [{"meta": {"body": row["body"], "stars": row["stars"]}, "label": [row["stars"]]} for row in rows()]
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    knobs = found(tmp_path / "a.parquet")[1]
    assert (knobs["text"], knobs["label"]) == ("meta.body", "meta.stars")


# what is refused


def test_what_is_missing_or_holds_nothing_is_refused(tmp_path):
    refused(tmp_path / "a.csv", "is missing")
    (tmp_path / "a.csv").touch()
    refused(tmp_path / "a.csv", "is empty")
    (tmp_path / "b.txt").write_text(" \n\n")
    refused(tmp_path / "b.txt", "nothing but white space")
    (tmp_path / "c.csv").write_text("text,label\n")
    refused(tmp_path / "c.csv", "has no rows")
    (tmp_path / "none" / "a").mkdir(parents=True)
    refused(tmp_path / "none", "a folder without a file")
    (tmp_path / "d.jsonl").write_text('[{"text": "a"}]')
    refused(tmp_path / "d.jsonl", r"JSON as a whole.*jq -c '\.\[\]' d.jsonl")
    (tmp_path / "e.json").write_text('{\n "text": "a"\n}\n')
    refused(tmp_path / "e.json", r"JSON as a whole.*jq -c '\.' e.json")


def test_a_csv_that_cannot_be_told_apart_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"never closed\n' + "abc def,x\n" * 1000)
    refused(tmp_path / "a.csv", "has no rows; 1 could not be read, the first a.csv line 2: is not CSV: unexpected end of data")
    (tmp_path / "b.csv").write_text('"text,label\n' + "abc def,x\n" * 20_000)
    refused(tmp_path / "b.csv", "line 1: is not CSV")
    (tmp_path / "c.csv").write_text("text,text\na b,c d\n")
    refused(tmp_path / "c.csv", "has 2 columns named 'text'. Rename all but one")
    (tmp_path / "d.csv").write_text("sep=;\ntext;label\na b;x\n")
    refused(tmp_path / "d.csv", "begins with the line 'sep=;', which Excel alone reads. Take it away")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_what_is_binary_is_refused_and_no_pickle_is_opened(tmp_path):
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    for name in ("a.png", "a.txt", "a.csv"):
        (tmp_path / name).write_bytes(png)
        refused(tmp_path / name, "is a PNG image")
    for name in ("b.pkl", "b.csv"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        refused(tmp_path / name, "pickle")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
        file.writestr("a.csv", "text\na sea\na lake\n")
    refused(tmp_path / "c.zip", "c.zip holds CSV, and of archives only those of texts are read")
    (tmp_path / "d.txt").write_bytes(b"abc\0def")
    refused(tmp_path / "d.txt", "NUL bytes, the first at byte 3")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "1.png").write_bytes(png)
    refused(tmp_path / "e", "is a PNG image")


# a little that is wrong in much that is right


def test_utf16_with_a_byte_too_many_is_a_fault(tmp_path):
    path = table(tmp_path / "a.csv", rows(), encoding="utf-16")
    assert found(path)[0].n_all == 60
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "a.csv is not utf-16 as a whole: truncated data")


def test_a_nul_in_thousands_of_letters_makes_no_file_binary(tmp_path):
    path = table(tmp_path / "a.csv", rows())
    content = path.read_bytes()
    path.write_bytes(content[:3028] + b"\0" + content[3029:])
    seen, knobs = found(path)
    assert (seen.method, seen.n_all, knobs["label"]) == ("csv", 60, "stars")
    assert "1 rows hold NUL characters" in seen.notes[0]
    path.write_bytes(content[:3000].replace(b" ", b"\0"))
    refused(path, "is binary")


def test_a_folder_with_a_file_that_cannot_be_unpacked_is_looked_at_and_the_file_counted(tmp_path):
    for i, row in enumerate(rows(12)):
        (tmp_path / f"{i}.txt.gz").write_bytes(gzip.compress(row["body"].encode()) if i != 5 else b"not packed")
    seen = look(str(tmp_path))
    assert (seen.method, seen.figures.n) == ("folder", 11)
    assert "1 files cannot be read, the first because it is not a whole gz file" in seen.notes[0]


@pytest.mark.parametrize("odd", [{"a": 1}, ["x", 1], 7])
def test_an_odd_value_among_many_words_leaves_a_label_a_label(tmp_path, odd):
    held = [{"body": row["body"], "label": row["stars"] if i != 30 else odd} for i, row in enumerate(rows())]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    seen, knobs = found(tmp_path / "a.jsonl")
    assert knobs["label"] == "label"
    assert any("column label: 1 of 60 cells hold a list or an object" in note for note in seen.notes) == isinstance(odd, list)


def test_a_column_of_which_one_cell_in_nine_is_a_list_is_no_label(tmp_path):
    held = [{**row, "stars": [row["stars"], 1] if i % 9 == 0 else row["stars"]} for i, row in enumerate(rows())]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    assert found(tmp_path / "a.jsonl")[1]["label"] is None


def test_a_few_rows_of_an_unknown_split_leave_the_split_as_it_is_given_and_are_told(tmp_path):
    def part(i):
        return "dev" if i == 7 else "test" if i % 4 == 0 else "train"

    seen, knobs = found(table(tmp_path / "a.csv", rows(600, part=part)))
    assert knobs["split"] == "part"
    assert "divide" not in knobs
    assert any(
        "1 of 600 rows name a split that is none of train, valid, test, unlabelled (dev); they will be rejected" in it for it in seen.notes
    )
    seen, knobs = found(table(tmp_path / "b.csv", rows(600, part=lambda i: "dev" if i % 10 == 7 else part(i))))
    assert "split" not in knobs
    assert any("write train, valid, test, unlabelled in it" in note for note in seen.notes)

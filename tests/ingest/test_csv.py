"""CSV files of a user's own."""

import pytest

from pipelines.errors import Fault
from pipelines.ingest.csv import Params, ingest
from pipelines.kernels.splits import stratified
from pipelines.method import Run


def corpus_of(tmp_path, content, **knobs):
    source = tmp_path / "own.csv"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / "out", seed=1))


def test_columns_are_found_by_name_and_an_empty_label_means_unlabelled(tmp_path):
    corpus = corpus_of(tmp_path, 'kind,body\nsea,"a, b\nc"\n,d\n', text="body", label="kind")
    rows = corpus.read().to_pylist()
    assert [(r["doc_id"], r["text"], r["label"]) for r in rows] == [("row-000000001", "a, b\nc", "sea"), ("row-000000002", "d", None)]
    assert rows[1]["split"] == "unlabelled"


def test_drawn_splits_hold_the_same_share_of_every_label(tmp_path):
    text = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(200))
    frame = corpus_of(tmp_path, text, valid_share=0.2, test_share=0.1).read().to_pandas()
    assert frame.groupby("label")["split"].value_counts().unstack().values.tolist() == [[10, 70, 20]] * 2


def test_the_split_of_a_document_does_not_depend_on_the_order_of_the_rows():
    import numpy as np

    ids, labels = [f"d{i}" for i in range(50)], ["ab"[i % 2] for i in range(50)]
    one = stratified(ids, labels, {"valid": 0.2}, np.random.default_rng(3))
    assert stratified(ids[::-1], labels[::-1], {"valid": 0.2}, np.random.default_rng(3)) == one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("txt,label\na,b\n", r"no column 'text'; it has txt, label\. Did you mean 'txt'"),
        ("text,label\n", "has a header and no rows"),
        ("", "cannot be read.*a header line"),
        ("text,label\na,b,c\n", "cannot be read.*as many cells"),
        ("text,text,label\na,b,c\n", "has 2 columns named 'text'"),
        ("text,label\na,b\nc\0d,b\n", "1 rows have a NUL character in text, first row 2"),
        (b"text,label\n\xff\xfe,b\n", "cannot be read.*UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, text, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, text)


def test_an_unknown_split_is_named_with_its_row(tmp_path):
    with pytest.raises(Fault, match=r"row 2 has split 'vald'.*Did you mean 'valid'"):
        corpus_of(tmp_path, "text,label,s\na,b,train\nc,d,vald\n", split="s")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Fault, match="is missing. Put the file there"):
        ingest(Params(source=str(tmp_path / "none.csv")), Run(tmp_path / "out"))


def test_a_row_without_an_id_is_named(tmp_path):
    with pytest.raises(Fault, match="row 2 has no id"):
        corpus_of(tmp_path, "id,text,label\na,b,c\n,b,c\n", id="id")

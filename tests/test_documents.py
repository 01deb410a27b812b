"""What every source of documents shares: cleaning, rejects, doubles, leaks, splits, batches."""

import subprocess
import sys
from collections import Counter
from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import documents
from pipelines.artifacts.corpus import RECORDS, _normalised, normalised
from pipelines.cleaning import Reject
from pipelines.documents import Documents, Skipped, gathered, write
from pipelines.errors import Fault
from pipelines.method import Run
from tests.support import HOME


def made(folder, rows, named=True, seed=1, threads=1, cluster=None, **knobs):
    """The corpus of some records; `where` and, where it is left out, `id` are numbered."""
    records = (
        {"where": f"row {number}", "id": f"d{number}", **row} if isinstance(row, dict) else row for number, row in enumerate(rows, 1)
    )
    folder.mkdir(exist_ok=True)
    return write(gathered(records), Documents(**knobs), Run(folder / "out", seed=seed, threads=threads, cluster=cluster), named)


def texts_of(folder, *texts, **knobs):
    return made(folder, [{"text": text} for text in texts], **knobs).read()["text"].to_pylist()


def figures(corpus):
    return {(row["step"], row["split"]): row["n_documents"] for row in corpus.read("cleaning").to_pylist()}


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def split_of(corpus):
    rows = corpus.read(columns=["doc_id", "split"]).to_pylist()
    return {row["doc_id"]: row["split"] for row in rows}


LABELLED = [{"text": f"text {i}", "label": "ab"[i % 3 == 0], "group": f"g{i // 4}", "time": float(i)} for i in range(200)]

# cleaning


@pytest.mark.parametrize(
    ("switch", "before", "after"),
    [
        ("html", "Good.<br /><br />Bad.", "Good.\nBad."),
        ("html", "Good <BR>bad<br/>", "Good\nbad\n"),
        ("html", "<p class='x'>One</p><p>two <b>three</b></p>", "\nOne\ntwo three\n"),
        ("html", "Oh <grin> I <3 it, 1 < 2 > 0", "Oh <grin> I <3 it, 1 < 2 > 0"),
        ("html", "AT&amp;T &lt;b&gt; caf&eacute; &#39;x&#39;", "AT&T <b> café 'x'"),
        ("html", "a<!-- hidden -->b<script>x<y</script>c", "abc"),
        ("html", '<a href="http://x.org">link</a>', "link"),
        ("html", "if a<b then c>d, i<u and j>k", "if a<b then c>d, i<u and j>k"),
        ("html", "<img alt=\"1>0\">t<a title='it''s' href='x>y'>l</a>", "tl"),
        ("html", '<font color="red>bad</font> <input checked/><A HREF=x.org/a?b=c>well</A>', "bad well"),
        ("html", '<video controls src=x>v</video><iframe src="x"></iframe>i<o:p class="x">o', "vio"),
        ("html", '<!DOCTYPE html><html lang=en>a<svg width="1"><title>x</title><g></g></svg>b</html>', "ab"),
        ("html", "a <foo@bar.com> <http://x.org> vector<int> <- ->", "a <foo@bar.com> <http://x.org> vector<int> <- ->"),
        ("nfkc", "o\ufb03ce \uff21 2\u00b2", "office A 22"),
        ("nfkc", "e\u0301", "é"),
        ("control", "a\x07b\x1bc\x7fd\x85e", "a b c d e"),
        ("control", "\ufeffa\u200bb", "ab"),
        ("control", "a\r\nb\rc\td\n", "a\nb\nc\td\n"),
        ("mask_urls", "See http://x.org/a?b=1, www.y.de. Or (ftp://z.com/f)!", "See <url>, <url>. Or (<url>)!"),
        ("mask_urls", "e.g. this, etc.", "e.g. this, etc."),
        ("mask_emails", "Mail a.b+c@uni.ac.at or me @home.", "Mail <email> or me @home."),
        ("headers", "From: a@b.c\nSubject: Re: x\n  folded\nLines: 3\n\n  Body: one\n\ntwo\n", "  Body: one\n\ntwo\n"),
        ("headers", "From: a@b.c\nArticle-I.D.: b.1\n\nBody\n", "Body\n"),
        ("headers", " b.c!a\nSubject: x\nLines: 1\n\nBody\n", "Body\n"),  # the rest of a line of the head that was cut
        ("headers", " a!b\n c\nSubject: x\n\nBody\n", "Body\n"),
        ("headers", "From a@b.c Mon Apr  5 12:00:00 1993\nFrom: a@b.c\nSubject: x\n\nBody\n", "Body\n"),  # mbox
        ("headers", "From here on: nothing.\n\nBody\n", "From here on: nothing.\n\nBody\n"),
        ("headers", "  Indented.\n\nSubject: of talk\n", "  Indented.\n\nSubject: of talk\n"),
        ("headers", "No header here.\n\nSubject: of talk\n", "No header here.\n\nSubject: of talk\n"),
        ("quotes", "a@b.c (A B) writes:\n> what\n>> ever\n| more\n\nMine.\n", "\nMine.\n"),
        ("quotes", "JB> what\n: ever\n :> more\nMine :-) 2 > 1.\n:-)\n", "Mine :-) 2 > 1.\n:-)\n"),
        ("quotes", "In <1qj$a@b.c> d@e.f (G. H.) \nwrites:\n>x\nIn <it> I trust.\n", "In <it> I trust.\n"),
        ("quotes", "d@e.f (G H) writes...\nAs quoted from <1@b.c> by d@e.f:\nHe writes... well.\n", "He writes... well.\n"),
        ("quotes", "d@e.f sez: > x\nMail me at d@e.f, he said.\n", "Mail me at d@e.f, he said.\n"),
        # uuencode of b"Cat" is #0V%T (POSIX, uuencode); of 45 bytes 0 a line of M and 60 accents
        ("attachments", "See:\nbegin 644 cat.txt\n#0V%T\n`\nend\nMine.\nbegin 1 at the end\n", "See:\nMine.\nbegin 1 at the end\n"),
        ("attachments", f"Part 2:\nM{'`' * 60}\nM{'`' * 60}\nMine.\nM.\n", "Part 2:\nMine.\nM.\n"),
        ("attachments", f"Key:\n{'iQCV' * 16}\n{'AgUB' * 16}\nK8Aj\n=Ab1/\nMine.\n", "Key:\nMine.\n"),
        ("attachments", f"{'one' * 21}\nMine.\n", f"{'one' * 21}\nMine.\n"),
        ("signatures", "Mine.\n-- \nA. B.\na@b.c\n", "Mine.\n"),
        ("signatures", "Mine.\n--\nTwo --\nA.\n\n    =====\n=====\nA. B.", "Mine.\n"),
        ("signatures", "Mine.\n______\n A. B. | a@b.c\n______\n", "Mine.\n"),
        ("signatures", f"Table:\n----\n{'row' * 3}\n" + "row\n" * 9, f"Table:\n----\n{'row' * 3}\n" + "row\n" * 9),
        (
            "apostrophes",
            "don\u2019t l\u2019\u00e9t\u00e9 rock\u2019n\u2019roll can\u00b4t \u2018so\u2019 `so` 5\u20196",
            "don't l'\u00e9t\u00e9 rock'n'roll can't \u2018so\u2019 `so` 5\u20196",
        ),
        ("quotes", "In article <1@x>, a@b.c (N) wrote:\nAlso mine: he writes well.\n", "Also mine: he writes well.\n"),
    ],
)
def test_a_switch_changes_a_text_as_worked_out_by_hand_and_is_counted(tmp_path, switch, before, after):
    off = dict.fromkeys(("html", "nfkc", "control"), False)
    corpus = made(tmp_path, [{"text": before}, {"text": "nothing to do"}], **{**off, switch: True})
    assert corpus.read()["text"].to_pylist() == [after, "nothing to do"]
    assert figures(corpus) == ({(switch, "unlabelled"): 1} if before != after else {})


def test_a_switch_that_is_off_changes_nothing(tmp_path):
    text = "<br /> o\ufb03ce \x07 http://x.org a@b.c\n> said\n"
    assert texts_of(tmp_path, text, control=False) == [text]


def test_a_news_article_keeps_what_its_author_wrote(tmp_path):
    article = (
        "From: ann@x.edu (Ann)\r\nSubject: Re: Motif\r\nNNTP-Posting-Host: x\r\n\r\n"
        "bob@y.org (Bob) writes:\r\n>Which <grin>?\r\n\r\nThis one: http://x.edu/m\r\n"
    )
    assert texts_of(tmp_path, article, headers=True, quotes=True, mask_urls=True, html=True) == ["\nThis one: <url>\n"]


def test_short_documents_are_dropped_and_long_ones_cut_by_characters(tmp_path):
    corpus = made(tmp_path, [{"text": t} for t in (" \u00e4b ", "\u00e4bc", "\u00e4bcdef")], min_characters=3, max_characters=4)
    assert corpus.read()["text"].to_pylist() == ["äbc", "äbcd"]
    assert figures(corpus) == {("max_characters", "unlabelled"): 1, ("min_characters", "unlabelled"): 1}
    assert not rejects(corpus)


def test_what_is_no_document_is_rejected_with_its_reason_and_its_start(tmp_path):
    rows = [
        {"text": "good"},
        {"text": None},
        {"text": " \n"},
        {"text": "a\0b"},
        {"text": "x", "id": ""},
        {"text": "y" * 200, "split": "vald"},
    ]
    corpus = made(tmp_path, [*rows, Reject("row 7", "is broken", "start")])
    assert corpus.read()["text"].to_pylist() == ["good"]
    assert dict(rejects(corpus)) == {
        "row 2": "has no text",
        "row 3": "is empty",
        "row 4": "holds a NUL character in its text, as no text does",
        "row 5": "has no id",
        "row 6": "has split 'vald'; a split is one of train, valid, test, unlabelled. Did you mean 'valid'?",
        "row 7": "is broken",
    }
    excerpt = {row["where"]: row["excerpt"] for row in corpus.read("rejects").to_pylist()}
    assert (excerpt["row 6"], excerpt["row 7"]) == ("y" * 80, "start")


def test_a_label_that_is_a_whole_number_is_the_same_class_written_either_way_and_is_counted(tmp_path):
    labels = ["1", "1.0", "-2.00", "+3.0", "1.5", "v1.0", "1.", "10"]
    corpus = made(tmp_path, [{"text": f"t{i}", "label": label} for i, label in enumerate(labels)], valid_share=0.0, test_share=0.0)
    assert corpus.read()["label"].to_pylist() == ["1", "1", "-2", "+3", "1.5", "v1.0", "1.", "10"]
    assert figures(corpus) == {("label_number", "train"): 3}


def test_labels_lose_stray_spaces_and_a_nan_is_no_label_and_both_are_counted(tmp_path):
    labels = ["a", " a", "a\t", "NaN", "nan ", "", None, "None"]
    corpus = made(tmp_path, [{"text": f"t{i}", "label": label} for i, label in enumerate(labels)], valid_share=0.0, test_share=0.0)
    assert corpus.read()["label"].to_pylist() == ["a", "a", "a", *[None] * 5]
    assert figures(corpus) == {("label_trimmed", "train"): 2, ("label_none", "unlabelled"): 3}


def test_the_second_document_of_an_id_is_rejected(tmp_path):
    corpus = made(tmp_path, [{"text": "one", "id": "x"}, {"text": "two", "id": "y"}, {"text": "three", "id": "x"}])
    assert corpus.read()["text"].to_pylist() == ["one", "two"]
    assert rejects(corpus) == [("row 3", "has an id that stands before")]


def test_a_source_without_a_document_is_a_fault_that_names_the_first_reject(tmp_path):
    with pytest.raises(Fault, match=r"no document; 2 of its records were rejected, the first row 1: is empty"):
        made(tmp_path, [{"text": ""}, {"text": ""}])


def test_places_where_nothing_stands_are_one_figure(tmp_path):
    corpus = write(
        chain([Skipped("empty_lines", 3)], gathered([{"id": "a", "text": "b"}]), [Skipped("empty_lines", 4)]),
        Documents(),
        Run(tmp_path / "o"),
    )
    assert figures(corpus) == {("empty_lines", "unlabelled"): 7}
    assert corpus.n_rows("rejects") == 0


# doubles and leaks


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("A  good\tfilm!\n", "a good film"),
        ("it's_10/10", "it s 10 10"),
        ("\uff21\u00df\u00c9 \ufb01n\u2014x", "aßé fin x"),
        ("...", "..."),  # without any, it is itself
        (" \U0001f600", "\U0001f600"),
        (None, None),
    ],
)
def test_what_counts_as_the_same_text_are_letters_and_digits(text, plain):
    assert normalised(pa.array(["first", text, "last"])[1:]).to_pylist() == [plain, "last"]


@given(st.lists(st.text(st.characters(max_codepoint=200), max_size=8), max_size=8))
def test_texts_of_ascii_and_others_are_normalised_alike(texts):
    array = pa.array(texts, pa.large_string())
    assert normalised(array).to_pylist() == [
        plain or text.strip() for text, plain in zip(texts, _normalised(array).to_pylist(), strict=True)
    ]


DOUBLES = [
    ("train", "The same text."),
    ("train", "the  same TEXT"),
    ("train", "stands in test"),
    ("train", "stands in valid"),
    ("train", "its own"),
    ("valid", "Stands in valid!"),
    ("valid", "stands in test"),
    ("test", "stands in test"),
    ("test", "Stands in test."),
    ("unlabelled", "stands in valid"),
    ("unlabelled", "the same text"),
]


def doubles(folder, **knobs):
    return made(
        folder, [{"text": text, "split": split, "label": None if split == "unlabelled" else "a"} for split, text in DOUBLES], **knobs
    )


def test_leaks_into_held_out_splits_are_dropped_and_counted_by_default_and_doubles_kept(tmp_path):
    corpus = doubles(tmp_path)
    assert corpus.read()["doc_id"].to_pylist() == ["d1", "d2", "d5", "d6", "d8", "d9", "d11"]
    assert figures(corpus) == {("leaks", "train"): 2, ("leaks", "valid"): 1, ("leaks", "unlabelled"): 1}


def test_doubles_are_dropped_within_the_splits_that_are_named(tmp_path):
    corpus = doubles(tmp_path, duplicates=["train"], leaks=False)
    assert corpus.read()["doc_id"].to_pylist() == ["d1", *(f"d{i}" for i in range(3, 12))]
    assert figures(corpus) == {("duplicates", "train"): 1}
    assert figures(doubles(tmp_path / "b", duplicates=["train", "test"], leaks=False)) == {
        ("duplicates", "train"): 1,
        ("duplicates", "test"): 1,
    }


def test_near_leaks_are_found_by_minhash_and_far_texts_kept(tmp_path):
    words = [f"w{i}" for i in range(200)]
    held = " ".join(words)
    near = " ".join([*words[:100], "changed", *words[101:]])  # 191 of 201 shingles of five are the same: Jaccard 0.95
    half = " ".join([*words[:100], *(f"v{i}" for i in range(100))])  # about a third
    rows = [(held, "test"), (near, "train"), (half, "train"), ("of its own, and long enough for a shingle", "train"), (near, "unlabelled")]
    rows = [{"text": text, "split": split, "label": None if split == "unlabelled" else "a"} for text, split in rows]
    assert made(tmp_path / "off", rows, valid_share=0.0).n_rows() == 5
    corpus = made(tmp_path, rows, near_leaks=0.8, valid_share=0.0)
    assert corpus.read()["doc_id"].to_pylist() == ["d1", "d3", "d4"]
    assert figures(corpus) == {("near_leaks", "train"): 1, ("near_leaks", "unlabelled"): 1}


# splits


def test_given_splits_are_kept_whatever_their_case(tmp_path):
    rows = [{"text": f"t{i}", "label": "a", "split": name} for i, name in enumerate([" Train", "VALID", "test ", "unlabelled"])]
    assert list(split_of(made(tmp_path, rows)).values()) == ["train", "valid", "test", "unlabelled"]


def test_where_no_valid_is_given_it_is_drawn_from_train_alone(tmp_path):
    rows = [{**row, "split": "train" if i < 150 else "test"} for i, row in enumerate(LABELLED)]
    split = split_of(made(tmp_path, rows, valid_share=0.2))
    assert Counter(split.values()) == {"train": 120, "valid": 30, "test": 50}
    assert all(split[f"d{i}"] == "test" for i in range(151, 201))
    assert Counter(split_of(made(tmp_path / "none", rows, valid_share=0.0)).values()) == {"train": 150, "test": 50}


def test_some_labelled_documents_with_a_split_and_some_without_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="1 of 2 documents have a label and no split"):
        made(tmp_path, [{"text": "a", "label": "x", "split": "train"}, {"text": "b", "label": "x"}])


def test_documents_without_a_label_are_unlabelled(tmp_path):
    split = split_of(made(tmp_path, [*LABELLED, {"text": "none"}, {"text": "nan", "label": "nan"}]))
    assert [split["d201"], split["d202"]] == ["unlabelled"] * 2
    assert Counter(split.values()) == {"train": 140, "valid": 30, "test": 30, "unlabelled": 2}


def test_a_stratified_split_has_the_same_share_of_each_label_and_a_random_one_of_all(tmp_path):
    shares = {"valid_share": 0.2, "test_share": 0.1}
    frame = made(tmp_path, LABELLED, divide="stratified", **shares).read().to_pandas()
    assert frame.groupby("label")["split"].value_counts().unstack().to_dict("index") == {
        "a": {"test": 13, "train": 93, "valid": 27},
        "b": {"test": 7, "train": 47, "valid": 13},
    }
    frame = made(tmp_path / "random", LABELLED, divide="random", **shares).read().to_pandas()
    assert frame["split"].value_counts().to_dict() == {"train": 140, "valid": 40, "test": 20}
    assert (frame[frame.split == "valid"].label == "b").sum() != 13


def test_no_group_is_in_two_splits(tmp_path):
    frame = made(tmp_path, LABELLED, divide="group").read().to_pandas()
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    assert frame["split"].value_counts().to_dict() == {"train": 144, "valid": 28, "test": 28}


@pytest.mark.parametrize("none", [None, ""])
def test_to_divide_by_group_all_documents_must_have_one(tmp_path, none):
    with pytest.raises(Fault, match=r"divide is group, and 1 of 201 documents have none"):
        made(tmp_path, [*LABELLED, {"text": "a", "label": "a", "group": none}], divide="group")


def test_by_time_train_lies_before_valid_and_valid_before_test(tmp_path):
    mixed = LABELLED[::-2] + LABELLED[::2]
    frame = made(tmp_path, mixed, divide="time").read().to_pandas()
    when = frame.assign(time=[row["time"] for row in mixed]).groupby("split")["time"].agg(["min", "max"])
    assert when.loc["train", "max"] < when.loc["valid", "min"] <= when.loc["valid", "max"] < when.loc["test", "min"]
    with pytest.raises(Fault, match=r"divide is time, and 1 of 201 documents have none"):
        made(tmp_path, [*LABELLED, {"text": "a", "label": "a"}], divide="time")


def test_blocks_are_unbroken(tmp_path):
    split = list(split_of(made(tmp_path, LABELLED, divide="blocks")).values())
    borders = sum(a != b for a, b in zip(split, split[1:] + split[:1], strict=True))
    assert borders == 3  # in a ring
    assert Counter(split) == {"train": 140, "valid": 30, "test": 30}


def test_shares_that_leave_nothing_to_train_on_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="no document is left to train on"):
        made(tmp_path, [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], valid_share=0.49, test_share=0.49)


@pytest.mark.parametrize("divide", ["stratified", "random", "group", "time"])
@pytest.mark.parametrize("named", [True, False])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(60)), seed=st.integers(0, 3))
def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_rows(tmp_path_factory, divide, named, order, seed):
    rows = [{"id": f"d{i}", **row} for i, row in enumerate(LABELLED[:60])]
    folder = tmp_path_factory.mktemp("order")

    def parts(rows):
        if not named:  # then ids are places
            rows = [{**row, "id": f"row-{place}"} for place, row in enumerate(rows)]
        corpus = made(folder, rows, named=named, seed=seed, divide=divide).read(columns=["text", "split"]).to_pylist()
        return {row["text"]: row["split"] for row in corpus}

    assert parts([rows[i] for i in order]) == parts(rows)


@pytest.mark.parametrize("knobs", [{"divide": "random"}, {"divide": "stratified"}, {"divide": "time"}, {"limit": 7}])
@pytest.mark.parametrize("seed", range(3))
def test_copies_of_a_text_with_other_labels_or_spelling_fall_the_same_way_whatever_the_order_of_the_rows(tmp_path, knobs, seed):
    texts = [[f"Text {i // 6}", f"text {i // 6}!"][i % 2] for i in range(60)]
    rows = [{"text": text, "label": "abc"[i % 3], "group": f"g{i % 6}", "time": 1.0} for i, text in enumerate(texts)]

    def parts(rows):
        rows = [{**row, "id": f"row-{place}"} for place, row in enumerate(rows)]
        corpus = made(tmp_path, rows, named=False, seed=seed, leaks=False, **knobs).read(columns=["text", "label", "group", "split"])
        return sorted(tuple(row.values()) for row in corpus.to_pylist())

    assert parts(rows) == parts(rows[::-1]) == parts(rows[30:] + rows[:30])


@pytest.mark.parametrize("divide", ["stratified", "random", "group", "blocks"])
def test_another_seed_gives_another_split(tmp_path, divide):
    one, other = (split_of(made(tmp_path / str(seed), LABELLED, seed=seed, divide=divide)) for seed in (1, 2))
    assert one != other
    assert Counter(one.values()).keys() == Counter(other.values()).keys()


def test_a_limit_keeps_so_many_of_each_label_after_what_is_dropped_the_same_in_any_order(tmp_path):
    rows = [{"id": f"d{i}", **row} for i, row in enumerate([*LABELLED, *({"text": f"more {i}"} for i in range(9))])]
    all_of_them = split_of(made(tmp_path, rows))
    few = made(tmp_path / "few", rows, limit=5)
    assert set(few.read().to_pandas().groupby("label", dropna=False).size()) == {5}
    assert split_of(few).items() < all_of_them.items()
    assert split_of(made(tmp_path / "turned", rows[::-1], limit=5)) == split_of(few)


def test_classes_too_rare_for_valid_are_told(tmp_path, capsys):
    def said(name, labels, **knobs):
        rows = ({"id": f"d{i}", "where": f"row {i}", "text": f"text {i}", "label": label} for i, label in enumerate(labels))
        made = write(gathered(rows), Documents(**knobs), Run(tmp_path / name, "ingest/toy", seed=1, show=True))
        lines = [line for line in capsys.readouterr().out.splitlines() if "too few to be in valid" in line]
        return {row["label"] for row in made.read().to_pylist() if row["split"] == "valid"}, lines

    labels = [*"aaabbccdeee"]
    in_valid, lines = said("drawn", labels)
    assert in_valid == {"a", "e"}
    assert lines == [
        "ingest/toy: 3 of 5 classes have fewer than 3 documents, too few to be in valid, first 'b', 'c', 'd'. "
        "Bring more of them, join them, or say divide: random"
    ]
    assert said("common", ["a"] * 3 + ["e"] * 3)[1] == []
    assert said("random", labels, divide="random")[1] == []
    assert said("none", labels, valid_share=0.0)[1] == []


def test_a_step_looks_at_what_those_before_it_have_kept(tmp_path):
    rows = [
        {"text": "good film", "label": "a", "split": "train"}, {"text": "good film!!!!!!", "label": "a", "split": "train"},
        {"text": "bad", "label": "b", "split": "test"}, {"text": "bad............", "label": "b", "split": "train"},
    ]  # fmt: skip
    corpus = made(tmp_path, rows, min_characters=12, duplicates=["train"], valid_share=0.0)
    assert corpus.read()["text"].to_pylist() == ["good film!!!!!!", "bad............"]
    assert figures(corpus) == {("min_characters", "train"): 1, ("min_characters", "test"): 1}


def test_what_a_limit_drops_is_counted(tmp_path):
    corpus = made(tmp_path, LABELLED, limit=5)
    assert sum(n for (step, _), n in figures(corpus).items() if step == "limit") == len(LABELLED) - 10


def test_rejects_are_a_share_of_the_records_that_the_source_says_it_has_read(tmp_path):
    corpus = made(tmp_path, [{"text": "a"}, Reject("row 7", "is nothing"), Skipped(RECORDS, 1000)])
    assert corpus.measures(corpus.profile())["rejects"].value == 1 / 1000


# batches


def long_source(n=400):
    for i in range(n):
        if i % 37 == 0:
            yield Reject(f"row {i}", "is broken", "x")
        if i % 50 == 0:
            yield Skipped("empty_lines", 2)
        yield {"text": f"text {i // 2} \x07 <br>", "label": "abc"[i % 3], "id": f"d{i - (i % 91 == 90)}", "group": f"g{i // 7}"}


def all_bytes(corpus):
    return {path.name: path.read_bytes() for path in sorted(corpus.folder.iterdir())}


def test_the_bytes_are_the_same_for_any_size_of_batch(tmp_path, monkeypatch):
    knobs = {"html": True, "duplicates": ["train"], "near_leaks": 0.9}
    whole = all_bytes(made(tmp_path / "whole", long_source(), **knobs))
    assert whole.keys() == {"corpus.parquet", "rejects.parquet", "cleaning.parquet"}
    monkeypatch.setattr(documents, "ROWS", 7)
    assert all_bytes(made(tmp_path / "many", long_source(), **knobs)) == whole
    monkeypatch.setattr(documents, "BATCH_BYTES", 40)
    assert all_bytes(made(tmp_path / "short", long_source(), **knobs)) == whole


@pytest.mark.parametrize("threads", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_bytes_are_the_same_for_any_number_of_processes(tmp_path, monkeypatch, threads):
    monkeypatch.setattr(documents, "ROWS", 7)
    monkeypatch.setattr(documents, "ALONE", 3)
    one = made(tmp_path / "one", long_source(), html=True, duplicates=["train"])
    assert one.n_rows("rejects") > 10
    assert all_bytes(made(tmp_path / "several", long_source(), threads=threads, html=True, duplicates=["train"])) == all_bytes(one)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bytes(tmp_path, monkeypatch):
    from distributed import LocalCluster

    from pipelines import cluster

    monkeypatch.setattr(documents, "ROWS", 7)
    one = made(tmp_path / "one", long_source(), html=True)
    settings = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with LocalCluster(**settings) as workers:
        monkeypatch.setenv(cluster.VARIABLE, workers.scheduler_address)
        assert all_bytes(made(tmp_path / "cluster", long_source(), html=True, cluster=cluster.from_environment())) == all_bytes(one)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_document_of_50_mb_is_read_and_cleaned(tmp_path):
    text = "A good <b>long</b> text, of 50 MB.\n" * 1_500_000
    corpus = made(tmp_path, [{"text": text}, {"text": "short"}], html=True, mask_urls=True, quotes=True)
    assert corpus.read()["text"].to_pylist() == [text.replace("<b>", "").replace("</b>", ""), "short"]


READ_A_LONG_SOURCE = """
import resource, sys
from pipelines.documents import Documents, gathered, write
from pipelines.method import Run

filler = "some words of a long text that goes on and on, " * 45

def source(n):
    for i in range(n):
        yield {"id": str(i), "text": f"{i} {filler}", "label": "ab"[i % 2], "where": f"row {i}"}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

write(gathered(source(100)), Documents(), Run(sys.argv[1] + "/warm"))
before = peak()
write(gathered(source(280_000)), Documents(), Run(sys.argv[1] + "/out"))
print(280_000 * len(filler), peak() - before)
"""


@pytest.mark.slow
def test_memory_grows_by_far_less_than_the_size_of_the_source(tmp_path):
    done = subprocess.run([sys.executable, "-c", READ_A_LONG_SOURCE, str(tmp_path)], cwd=HOME, capture_output=True, text=True, check=True)
    size, grown = map(int, done.stdout.split())
    assert size > 590_000_000
    assert grown < size / 2

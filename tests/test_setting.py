"""Whether a classifier has seen text that it is judged by."""

from pipelines.setting import Read, held_out_text, sentence, setting

ROWS = {
    "corpus/news": Read("ingest", "csv", {}, []),
    "tokens/words": Read("tokenize", "words", {"vocab_splits": ["train", "test"]}, ["corpus/news"]),
    "tokens/plain": Read("tokenize", "words", {"vocab_splits": ["train", "unlabelled"]}, ["corpus/news"]),
    "counts/w10": Read("cooccur", "windowed", {"splits": ["train", "valid", "test"]}, ["tokens/plain"]),
    "vectors/glove": Read("embed", "glove", {}, ["counts/w10"]),
    "codings/short": Read("compress", "linear", {}, ["vectors/glove"]),
    "predictions/own": Read("classify", "lstm", {}, ["tokens/plain"]),
    "predictions/vocab": Read("classify", "lstm", {}, ["tokens/words"]),
    "predictions/coded": Read("classify", "lstm", {}, ["tokens/plain", "codings/short"]),
    "corpus/cora": Read("ingest", "graph", {"labels": "topics.csv"}, []),
    "tokens/cora": Read("tokenize", "whitespace", {}, ["corpus/cora"]),
    "vectors/news": Read("embed", "pretrained", {"source": "GoogleNews.bin"}, ["tokens/plain"]),
    "predictions/news": Read("classify", "lstm", {}, ["tokens/plain", "vectors/news"]),
    "predictions/cora": Read("classify", "logreg", {}, ["tokens/cora"]),
    "vectors/digits": Read("embed", "numbers", {"source": "digits"}, []),
    "vectors/other": Read("embed", "numbers", {"source": "other.csv"}, []),
    "vectors/bags": Read("embed", "bags", {}, ["counts/bags"]),
    "vectors/bags-seen": Read("embed", "bags", {"infer": []}, ["counts/bags"]),
    "codings/digits": Read("compress", "pca", {}, ["vectors/digits"]),
    "codings/other": Read("compress", "pca", {}, ["vectors/other"]),
    "codings/bags": Read("compress", "pca", {}, ["vectors/bags-seen"]),
    "scores/digits": Read("evaluate", "few_labels", {}, ["vectors/digits", "codings/digits", "codings/other"]),
}


def test_train_and_unlabelled_alone_are_inductive():
    assert held_out_text(ROWS, "predictions/own") == {}
    assert (setting({}), sentence({})) == ("inductive", "none of valid and test")


def test_a_vocabulary_of_test_is_transductive():
    assert held_out_text(ROWS, "predictions/vocab") == {"test": ["tokens/words (vocab_splits)"]}


def test_vectors_are_followed_through_codings_and_counts_to_where_held_out_text_came_in():
    seen = held_out_text(ROWS, "predictions/coded")
    assert seen == {"valid": ["counts/w10 (splits)"], "test": ["counts/w10 (splits)"]}
    assert sentence(seen) == "text from valid by counts/w10 (splits); text from test by counts/w10 (splits)"


def test_walks_over_labelled_nodes_lead_through_those_held_out():
    assert held_out_text(ROWS, "predictions/cora") == {"valid": ["corpus/cora (walks)"], "test": ["corpus/cora (walks)"]}


def test_of_what_was_made_elsewhere_nobody_can_say_what_it_has_seen():
    seen = held_out_text(ROWS, "predictions/news")
    assert (setting(seen), sentence(seen)) == ("unknown", "text from elsewhere by vectors/news")
    both = held_out_text({**ROWS, "predictions/both": Read("classify", "lstm", {}, ["tokens/words", "vectors/news"])}, "predictions/both")
    assert (setting(both), list(both)) == ("transductive", ["test", "elsewhere"])


def test_codings_of_documents_have_seen_those_of_valid_and_test_unless_these_have_no_vectors():
    reads = ["vectors/bags"]
    assert held_out_text({**ROWS, "codings/all": Read("compress", "pca", {}, reads)}, "codings/all") == {
        split: ["codings/all (documents of vectors/bags)"] for split in ("valid", "test")
    }
    assert held_out_text(ROWS, "codings/bags") == {}
    assert (
        held_out_text({**ROWS, "predictions/bags": Read("classify", "document_vectors", {}, ["tokens/plain", *reads])}, "predictions/bags")
        == {}
    )


def test_codings_of_vectors_that_few_labels_draws_from_without_tokens_have_seen_what_is_scored():
    assert held_out_text(ROWS, "codings/digits") == {"valid": ["scores/digits (valid_share)"]}
    assert held_out_text(ROWS, "codings/other") == {}  # of rows that are not scored
    assert held_out_text(ROWS, "vectors/digits") == {}  # as they came
    few = Read("evaluate", "few_labels", {}, ["vectors/bags", "codings/bags"])
    seen = {"valid": ["scores/few (valid_share)"]}
    for key in ("vectors/bags", "codings/bags"):  # columns and codings are chosen by the documents that are scored
        assert held_out_text({**ROWS, "scores/few": few}, key) == seen
        assert held_out_text({**ROWS, "scores/few": few._replace(reads=[*few.reads, "tokens/plain"])}, key) == {}

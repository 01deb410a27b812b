"""doc2vec: paragraph vectors, one per document or per class, learned with the words' own.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per document that has a known token (its doc_id; its label, but for those of test;
                  count is its known tokens), per such class, or per word; the model holds the words' vectors and the outputs
source  Le, Mikolov 2014: PV-DBOW, PV-DM with the mean and with the concatenation of a window; gensim 4.4 has the same
        forms under dm, dm_mean, dm_concat and dbow_words
shapes  T documents, V words, D = vector_size. In memory: 4 D (T + 2 V) bytes (concat: 4 D (T + V + V (2 window + 1))),
        a piece of text, and the changes of a batch (at most 256 MB)

Documents of `splits` are learned together with the words; then the words stand still, and those of `infer` get
vectors from them: so a classifier may read test documents that took no part in what made the words' vectors. A split
that is in both is inferred, too: its own vectors moved with the words, and are further from a new document's.

The bytes are the same for any number of threads. `engine: gensim` trains and infers with gensim 4.4 instead, in one thread.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels import word2vec as kernel
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
FORMS = {"dbow": kernel.DBOW, "dbow_words": kernel.DBOW, "dm_mean": kernel.DM, "dm_concat": kernel.CONCAT}


class Params(word2vec.Word2vecKnobs):
    # dbow: the document tells its words; dbow_words: and words their neighbours, too; dm: the document and a window tell
    # the word in the middle
    form: Literal["dbow", "dbow_words", "dm_mean", "dm_concat"] = "dbow"
    tag: Literal["document", "label"] = "document"  # what has a vector: each document, or each class
    of: Literal["tags", "words"] = "tags"  # what the rows are
    # documents that get a vector afterwards; logistic regression on those of IMDb, one seed, is right of 86.9 % of valid where those of
    # train are, too, and of 85.2 % where they are as they were learned
    infer: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "valid", "test", "unlabelled"])
    infer_epochs: int = Field(10, ge=1)
    epochs: int = Field(20, ge=1)
    lr: float = Field(0.1, gt=0, le=1)  # falls in a straight line to min_lr; 0.025, the words' rate, leaves documents where they began


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    infer = params.infer if params.tag == "document" and params.of == "tags" else []
    words = word2vec.words_of(tokens, params.splits, run)
    run.say_if_wide(params.vector_size, len(words.ids))
    tags, table = _tags(tokens, params, params.splits, words)
    start = word2vec.begin(len(words.ids), params.vector_size, run.rng)
    documents = word2vec.begin(table.num_rows, params.vector_size, run.rng)
    width = start.shape[1] * (2 * params.window + 1 if params.form == "dm_concat" else 1)
    weights = kernel.Weights(start, documents, word2vec.outputs(words, params, width))
    hidden, words_too = FORMS[params.form], params.form == "dbow_words"
    trained = word2vec.train(
        lambda: word2vec.pieces(tokens, params.splits, tags), words, weights, params, run, hidden, words_too=words_too
    )  # fmt: skip
    if infer:
        learned = pc.invert(pc.is_in(table.column("split"), pa.array(infer)))
        documents, table = documents[learned.to_numpy(zero_copy_only=False)], table.filter(learned)
        later, more = _tags(tokens, params, infer, words)
        if more.num_rows:
            inferred = kernel.Weights(start, word2vec.begin(more.num_rows, params.vector_size, run.rng), weights.outputs)
            word2vec.infer(
                lambda: word2vec.pieces(tokens, infer, later), words, inferred, params, params.infer_epochs, run, hidden, trained
            )
            documents, table = np.concatenate([documents, inferred.documents]), pa.concat_tables([table, more])
    size = params.vector_size
    with run.open(Vectors) as out:
        if params.of == "words":
            out.append(item=tokens.vocab().column("token").take(words.ids), count=words.counts, vector=start[:, :size])
        else:
            kept = np.flatnonzero(table.column("count").to_numpy())  # the others still have the numbers that they began with
            if len(kept) < table.num_rows:
                run.say(f"{table.num_rows - len(kept):,} tags of {table.num_rows:,} have no known word and get no vector")
            columns = {name: table.column(name).take(kept) for name in ("item", "count", "label")}
            out.append(**columns, vector=documents[kept, :size])
        held = weights.outputs.reshape(len(weights.outputs), -1, start.shape[1])[:, :, :size]
        out.model(
            {"model": "doc2vec", **params.model_dump()},
            {"words": np.ascontiguousarray(start[:, :size]), "context": held.reshape(len(held), -1)},
        )
    return out.artifact


def _tags(tokens: Tokens, params: Params, splits: list[str], words: word2vec.Words) -> tuple[np.ndarray, pa.Table]:
    """(row of each document of the splits; item, count, label of each row, of documents their split). Raises Fault for a class that is missing."""
    ids, labels, counts, split = [], [], [], []
    for batch in tokens.batches(["doc_id", "split", "label", "token_ids"], 4096):
        batch = batch.filter(pc.is_in(batch.column("split"), pa.array(splits)))
        ids += batch.column("doc_id").to_pylist()
        split += batch.column("split").to_pylist()
        hidden = pc.equal(batch.column("split"), "test")
        labels += pc.if_else(hidden, pa.scalar(None, pa.string()), batch.column("label")).to_pylist()
        lengths = batch.column("token_ids").value_lengths().to_numpy(zero_copy_only=False)
        known = words.place[batch.column("token_ids").flatten().to_numpy(zero_copy_only=False)] >= 0
        counts.append(np.bincount(np.repeat(np.arange(len(lengths)), lengths), weights=known, minlength=len(lengths)).astype(np.int64))
    count = np.concatenate([np.zeros(0, np.int64), *counts])
    if params.tag == "document":
        return np.arange(len(ids), dtype=np.int32), pa.table({
            "item": pa.array(ids, pa.string()), "count": count, "label": pa.array(labels, pa.string()), "split": pa.array(split, pa.string()),
        })  # fmt: skip
    if None in labels:
        raise Fault(
            f"{tokens.name}: {labels.count(None):,} documents of {', '.join(splits)} have no label, and tag is label. Say splits: [train], or tag: document"
        )
    classes, tags = np.unique(np.array(labels, object).astype(str), return_inverse=True)
    total = np.bincount(tags, weights=count, minlength=len(classes)).astype(np.int64)
    names = pa.array(classes.tolist(), pa.string())
    return tags.astype(np.int32), pa.table({"item": names, "count": total, "label": names})

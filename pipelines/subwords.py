"""What BPE and WordPiece share: the `tokenizers` library trains or loads a model, encodes in batches, and keeps its file.

The tokenizer.json beside the tokens is the one that made them: token_id 0 is <unk>, no special token is added,
nothing is cut off or filled up; that is done where a model reads.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from tokenizers import Tokenizer

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.method import Run

BYTES = 4_000_000  # of text that is encoded at once; the library holds places and words of each token meanwhile
PIECE = 500_000  # characters, or up to the next place to cut, that a long document goes to the library in
# the models that are trained here look at no more than a word and the space before it, so a cut in front of that changes nothing
CUT = re.compile(r"(?<=\w)[ \n\t]")


class Params(vocabulary.Counted):
    vocab_size: int = Field(30_000, ge=2)  # tokens, <unk> and the alphabet among them
    min_count: int = Field(2, ge=1)  # a pair seen less often is not merged
    lower: bool = False
    tokenizer: str | None = (
        None  # a tokenizer.json, relative to the project, in place of training; vocab_size, min_count and lower are then its own
    )


def sources(params: Params) -> list[str]:
    return [params.tokenizer] if params.tokenizer else []


def tokenize(corpus: Corpus, params: Params, run: Run, kind: str, train: Callable[[Corpus, Params], Tokenizer]) -> Tokens:
    """
    Args:
        kind: the library's name of the model, BPE or WordPiece.
    """
    # read when the library starts its threads, in its first batch; no byte depends on them
    os.environ.update(TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS=str(run.threads))
    if params.tokenizer:
        page = settle(_load(params.tokenizer, kind), params.tokenizer)
    else:
        page = json.loads(train(corpus, params).to_str())
        page["added_tokens"] = []  # a text that reads <unk> is text
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
    tokens = encode(corpus, params, run, Tokenizer.from_str(text))
    (tokens.folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    return tokens


def encode(corpus: Corpus, params: Params, run: Run, tokenizer: Tokenizer) -> Tokens:
    vocab = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])]
    counts = np.zeros(len(vocab), np.int64)
    with run.open(Tokens) as out, run.progress(corpus.n_rows(), "documents") as bar:
        for batch in batches(corpus, ["doc_id", "split", "label", "text"]):
            values, n_tokens = encoded(batch.column("text").to_pylist(), tokenizer, whole=params.tokenizer is not None)
            counted = vocabulary.counts_for(batch.column("split"), params)
            counts += np.bincount(values[np.repeat(counted, n_tokens)], minlength=len(vocab))
            columns = {name: batch.column(name) for name in ("doc_id", "split", "label")}
            out.append(**columns, token_ids=(values, np.concatenate([[0], np.cumsum(n_tokens)])))
            bar.advance(len(n_tokens))
        if not counts.any():
            raise Fault(
                f"the splits {', '.join(params.vocab_splits)} of {corpus.name} have no text; a vocabulary needs one. Change vocab_splits"
            )
        out.append("vocab", token_id=np.arange(len(vocab)), token=vocab, count=counts)
    return out.artifact


def encoded(texts: list[str], tokenizer: Tokenizer, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of some documents end to end, int32, and how many each has; `whole` cuts none, whatever memory it takes."""
    ids, n_tokens = [np.empty(0, np.int32)], np.zeros(len(texts), np.int64)
    for part in [list(enumerate(texts))] if whole else parts(texts):
        found = tokenizer.encode_batch_fast([piece for _, piece in part], add_special_tokens=False)
        ids += [np.array(encoding.ids, np.int32) for encoding in found]
        np.add.at(n_tokens, [document for document, _ in part], [len(encoding) for encoding in found])
    return np.concatenate(ids), n_tokens


def texts(corpus: Corpus, params: Params) -> Iterator[list[str]]:
    """The documents that make the vocabulary, long ones in pieces, some at a time."""
    for batch in batches(corpus, ["split", "text"]):
        here = batch.column("text").filter(pa.array(vocabulary.counts_for(batch.column("split"), params))).to_pylist()
        yield from ([piece for _, piece in part] for part in parts(here))


def parts(texts: list[str]) -> Iterator[list[tuple[int, str]]]:
    """(place of a document, piece of it), in order, some with BYTES characters together at a time."""
    held, n = list[tuple[int, str]](), 0
    for document, text in enumerate(texts):
        for piece in pieces(text):
            held.append((document, piece))
            n += len(piece)
            if n >= BYTES:
                yield held
                held, n = [], 0
    if held:
        yield held


def pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > PIECE and (cut := CUT.search(text, start + PIECE)):
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


def batches(corpus: Corpus, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some documents at a time, of about BYTES of text: one article may be as long as a hundred reviews."""
    for batch in corpus.batches(columns, vocabulary.ROWS):
        size = max(1, BYTES * batch.num_rows // max(1, batch.column("text").nbytes))
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _load(path: str, kind: str) -> dict[str, Any]:
    """A tokenizer.json as the library writes it. Raises Fault for a file that is none, or of another model."""
    try:
        page = json.loads(Tokenizer.from_str(Path(path).read_text(encoding="utf-8")).to_str())
    except FileNotFoundError:
        raise Fault(f"{path} is missing. Put the file there, or name another as `tokenizer`") from None
    except Exception as err:  # the library knows one kind of error
        raise Fault(f"{path} is no tokenizer.json that the tokenizers library can read ({err}). Save one with Tokenizer.save") from err
    if page["model"]["type"] != kind:
        raise Fault(
            f"{path} holds a {page['model']['type']} model; this method takes {kind}. Name another as `tokenizer`, or another method"
        )
    return page


def settle(page: dict[str, Any], path: str) -> dict[str, Any]:
    """The same tokenizer with <unk> as token 0, the others after it in their order, and nothing but text in what it gives."""
    model = page["model"]
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in page["added_tokens"]}}
    unknown = model.get("unk_token") or UNKNOWN  # a model of bytes knows everything, and has none
    if unknown != UNKNOWN and UNKNOWN in ids:
        raise Fault(f"{path}: its unknown token is {unknown!r}, and {UNKNOWN!r}, as it is called here, is another one. Rename that one")
    order = sorted((token for token in ids if token != unknown), key=ids.__getitem__)
    new = {token: i for i, token in enumerate(order, UNKNOWN_ID + 1)} | {unknown: UNKNOWN_ID}

    def name(token: str) -> str:
        return UNKNOWN if token == unknown else token

    model["vocab"] = {name(token): new[token] for token in sorted({*model["vocab"], unknown}, key=new.__getitem__)}
    if model.get("unk_token"):
        model["unk_token"] = UNKNOWN
    if "dropout" in model:
        model["dropout"] = None  # chance in training, not in an artifact
    added = [{**token, "id": new[token["content"]], "content": name(token["content"])} for token in page["added_tokens"]]
    page["added_tokens"] = sorted(added, key=lambda token: token["id"])
    return {**page, "truncation": None, "padding": None, "post_processor": None}

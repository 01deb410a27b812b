"""Words: documents cut into words by a pattern, and the vocabulary of the words seen often enough.

reads   corpus    the documents, all splits
writes  tokens    token_ids per document, in the corpus' order; vocab by count, then alphabetically; tokenizer.json, where
                  the pattern is a set of characters with a joiner or without: others mean other things to other engines
source  none; a regular expression, and a cut-off on counts as in word2vec (Mikolov 2013)
shapes  V tokens kept, and <unk> before them with id 0

The text is read once. A word first gets the number of its first sighting, its code; the codes lie on
disk until all is counted, and then become the token_ids of the vocabulary. What is held is a few pieces of
text and each word once. A pattern like the default, a set of characters with a joiner or without, is
cut by a kernel in threads; any other by Python's re, in processes.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels import words as kernel
from pipelines.kernels.patterns import compiled
from pipelines.method import Run
from pipelines.vocabulary import LOWERCASE, Worded, counts_for, split, write_tokenizer

Array = np.ndarray
ROWS = 256  # documents per piece of work
ALONE = 128  # pieces that one process cuts sooner than others could be started
STOPPED = -1  # in the place of a stop word's token_id


class Params(Worded):
    # left out, as if they were not there: a list, or scikit-learn's 318 English ones; in lower case where `lower` holds
    stop_words: Literal["english"] | list[str] = Field([])


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    with run.scratch() as folder:
        words, counts = write_codes(corpus, params, run, folder)
        vocab, vocab_counts, token_id = build_vocabulary(words, counts, params, corpus.name)
        with run.open(Tokens) as out:
            out.append("vocab", token_id=np.arange(len(vocab)), token=vocab, count=vocab_counts)
            for batch, n_words, codes in read_codes(corpus, folder):
                ids, ends = token_id[codes], np.cumsum(n_words)
                if params.stop_words:
                    kept = ids != STOPPED
                    ends, ids = np.concatenate([[0], np.cumsum(kept)])[ends], ids[kept]
                columns = {name: batch.column(name) for name in ("doc_id", "split", "label")}
                out.append(**columns, token_ids=(ids, np.concatenate([[0], ends])))
    pattern = spelled_out(params.pattern)
    if pattern:
        stopped = "|".join(re.escape(word) for word in stop_words(params).to_pylist())
        without = [split(rf"\A(?:{stopped})\z", "Removed")] if stopped else []
        write_tokenizer(
            out.artifact, [FINAL_SIGMA, LOWERCASE] if params.lower else [], [split(pattern, "Removed", invert=True), *without], None
        )
    else:
        run.say(f"no tokenizer.json: pattern {params.pattern!r} is no set of characters, SET+ or SET+(?:JOINER SET+)*")
    return out.artifact


def write_codes(corpus: Corpus, params: Params, run: Run, folder: Path) -> tuple[pa.Array, Array]:
    """Cuts all documents into words; writes the words' codes, and how many words each document has, end to end.

    Returns:
        words: code -> word.
        counts: (words,) int64, sightings in `vocab_splits`.
    """
    words = kernel.Words()
    counts = np.zeros(0, np.int64)
    splits = (batch.column(0) for batch in corpus.batches(["split"], ROWS))
    texts = (batch.column(0) for batch in corpus.batches(["text"], ROWS))
    pieces = map_over(corpus.n_rows(), params, run)(partial(cut, pattern=params.pattern, lower=params.lower), texts)
    with (
        (folder / "codes").open("wb") as codes_file,
        (folder / "n_words").open("wb") as n_words_file,
        run.progress(corpus.n_rows(), "documents") as bar,
    ):
        for split, (spelled, ends, local, n_words) in zip(splits, pieces, strict=True):
            codes = words.add(spelled, ends)
            if words.n > len(counts):
                counts = np.concatenate([counts, np.zeros(words.n, np.int64)])  # more than now needed: few copies in all
            counted = np.repeat(counts_for(split, params), n_words)
            counts[codes] += np.bincount(local[counted], minlength=len(codes))
            codes[local].tofile(codes_file)
            n_words.tofile(n_words_file)
            bar.advance(len(n_words))
    spelled, ends = words.strings()
    return pa.LargeStringArray.from_buffers(words.n, pa.py_buffer(ends), pa.py_buffer(spelled)), counts[: words.n]


def map_over(n_documents: int, params: Params, run: Run) -> Callable[..., Iterable[Any]]:
    """What applies a function to all pieces, in order: `map`, or as much of it side by side as pays."""
    if run.cluster:
        return run.map
    if kernel.alphabet(params.pattern, params.lower):
        return partial(map_in_threads, run.threads) if run.threads > 1 else map
    return run.map if n_documents > ALONE * ROWS else map


def map_in_threads(threads: int, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """For functions that hold Python's lock for next to nothing; few items are ahead."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Any]] = deque()
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def cut(texts: pa.Array, pattern: str, lower: bool) -> tuple[Array, Array, Array, Array]:
    """The words of some documents, as `kernel.cut` gives them; runs in a thread or a process of its own."""
    try:
        texts.validate(full=True)  # the kernel reads what the bytes say, without looking twice
    except pa.ArrowInvalid as err:
        raise Fault(f"the corpus has a text that is not UTF-8: {err}. Convert its source to UTF-8, and ingest it again") from err
    _, offsets, data = texts.buffers()
    offsets = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset).astype(np.int64)
    data = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    return (kernel.cut if kernel.alphabet(pattern, lower) else kernel.cut_plain)(data, offsets, pattern, lower)


def build_vocabulary(words: pa.Array, counts: Array, params: Params, name: str) -> tuple[pa.Array, Array, Array]:
    """The words that are kept, most frequent first, alphabetically among equals.

    Returns:
        vocab, its counts, and (words,) int32: code -> token_id, or STOPPED.

    Raises:
        Fault: no word is kept, or the pattern finds words of no characters.
    """
    if pc.any(pc.equal(words, "")).as_py():
        raise Fault(
            f"{name}: pattern {params.pattern!r} also matches where there is nothing, so words can be empty. Write + where it has *"
        )
    stopped = pc.is_in(words, stop_words(params).cast(words.type)).to_numpy(zero_copy_only=False)
    counts = np.where(stopped, 0, counts)
    often = np.flatnonzero(counts >= params.min_count)
    kept = pa.table({"code": often, "word": words.take(pa.array(often)), "count": counts[often]})
    kept = kept.filter(pc.not_equal(kept["word"], UNKNOWN))  # a word spelled like the unknown token is one
    kept = kept.sort_by([("count", "descending"), ("word", "ascending")]).slice(0, params.max_vocab or None).combine_chunks()
    if not len(kept):
        raise Fault(_nothing_kept(words, counts, params, name))
    token_id = np.full(len(words), UNKNOWN_ID, np.int32)
    token_id[kept["code"].to_numpy()] = np.arange(1, len(kept) + 1)
    token_id[stopped] = STOPPED
    n_unknown = counts.sum() - kept["count"].to_numpy().sum()
    vocab = pa.concat_arrays([pa.array([UNKNOWN], words.type), *kept["word"].chunks])
    return vocab, np.concatenate([[n_unknown], kept["count"].to_numpy()]), token_id


def stop_words(params: Params) -> pa.Array:
    if params.stop_words == "english":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return pa.array(sorted(ENGLISH_STOP_WORDS))
    return pa.array(params.stop_words, pa.string())


def _nothing_kept(words: pa.Array, counts: Array, params: Params, name: str) -> str:
    where = f"the splits {', '.join(params.vocab_splits)} of {name}"
    if not counts.any():
        return f"{where} have no word that pattern {params.pattern!r} finds; a vocabulary needs one. Change pattern or vocab_splits"
    top = int(counts.argmax())
    return (
        f"min_count {params.min_count} leaves no vocabulary: of {np.count_nonzero(counts):,} words in {where} the most frequent, "
        f"{words[top].as_py()!r}, was seen {counts[top]} times. Lower min_count to {counts[top]} or less"
    )


def read_codes(corpus: Corpus, folder: Path) -> Iterator[tuple[pa.RecordBatch, Array, Array]]:
    """The documents again, with how many words they have, and the codes of those."""
    with (folder / "codes").open("rb") as codes_file, (folder / "n_words").open("rb") as n_words_file:
        for batch in corpus.batches(["doc_id", "split", "label"], ROWS):
            n_words = np.fromfile(n_words_file, np.int64, len(batch))
            yield batch, n_words, np.fromfile(codes_file, np.int32, n_words.sum())


# tokenizer.json

# a capital sigma is another letter at a word's end; the library lowers each character by itself
CASED = r"(?!\p{Case_Ignorable})\p{Cased}"
FINAL_SIGMA = {
    "type": "Replace",
    "pattern": {"Regex": rf"{CASED}\p{{Case_Ignorable}}*\KΣ(?!\p{{Case_Ignorable}}*{CASED})"},
    "content": "ς",
}


@lru_cache(maxsize=4)
def spelled_out(pattern: str) -> str | None:
    r"""The pattern for Oniguruma, with the characters that Python finds in a set: the two have other ideas of \w.

    None where the pattern is not of the form that `kernel.alphabet` knows.
    """
    form = kernel.FORM.fullmatch(pattern)
    if not form:
        return None
    letters, joiner = _characters(form["set"]), _characters(form["joiner"]) if form["joiner"] else ""
    return f"{letters}+(?:{joiner}{letters}+)*" if joiner else f"{letters}+"


def _characters(one: str) -> str:
    """[...] of all characters that match; of no text are the halves of a character, 0xD800 to 0xDFFF."""
    runs = []
    for part, start in (("".join(map(chr, range(0xD800))), 0), ("".join(map(chr, range(0xE000, 0x110000))), 0xE000)):
        runs += [rf"\x{{{start + run.start():x}}}-\x{{{start + run.end() - 1:x}}}" for run in compiled(f"{one}+").finditer(part)]
    return f"[{''.join(runs)}]" if runs else "(?!)"

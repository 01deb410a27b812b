"""Cleaning: what is done to the documents of a batch, each step a knob with a count. Runs in a process of its own.

reads   Piece      a batch of RECORD, as a source gave it, and what could not be read
gives   Cleaned    the batch without what is no document, the rejects, and what pipelines/documents.py has to know of each
"""

from collections.abc import Iterator
from html import unescape
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.artifacts.corpus import SPLITS, hashes, normalised
from pipelines.errors import nearest
from pipelines.method import Knobs

RECORD = pa.schema([
    ("id", pa.string()),
    ("text", pa.large_string()),
    ("label", pa.string()),
    ("split", pa.string()),  # null: it is drawn
    ("group", pa.string()),
    ("time", pa.float64()),  # anything that can be ordered
    ("where", pa.string()),  # file and line or row, for people
])  # fmt: skip
EXCERPT = 80  # characters
NONE = ("", "nan", "none", "null", "na", "n/a", "<na>")  # of a label, in lower case: there is none
UNKNOWN = -1


class Reject(NamedTuple):
    """A record that is no document."""

    where: str
    reason: str
    excerpt: str = ""


class Cleaning(Knobs):
    """Knobs of every source; what is done goes in the order in which it stands here."""

    html: bool = False  # tags and comments out, a line break where a block ends; &amp; is &
    apostrophes: bool = False  # between two letters ’, ‘, ʼ, ´ and ` become ', so that don’t and don't are one word
    nfkc: bool = False  # Unicode's compatible form: the ligature fi is two letters, a full-width A is A
    control: bool = True  # control characters and byte order marks out, line breaks and tabs kept
    headers: bool = False  # the head of a mail or a news article, up to the first empty line
    attachments: bool = False  # lines of uuencode and base64: files and keys in a mail
    quotes: bool = False  # lines of somebody else's text in an answer: > ..., and "N. N. writes:"
    signatures: bool = False  # a line "-- " and the 15 lines at most that end the text after it; of other lines of hyphens or the like 8
    mask_urls: bool = False  # a web address becomes <url>
    mask_emails: bool = False  # an e-mail address becomes <email>
    min_characters: int = Field(1, ge=1)  # a shorter document is rejected
    max_characters: int = Field(0, ge=0)  # of a longer one the start is kept; 0 keeps all
    # Twice the same text, letters and digits compared: what follows the first in its split is dropped, so that rows in
    # another order may keep another copy, with its id and label. Not from valid and test, where it would be another test
    # than everybody else's.
    duplicates: list[Literal["train", "valid", "test", "unlabelled"]] = Field([])
    leaks: bool = True  # what stands in valid or test is dropped from train and unlabelled; what stands in test from valid
    # as `leaks`, for texts whose sets of five words in a row have at least this Jaccard similarity, by MinHash; 0 is off
    near_leaks: float = Field(0.0, ge=0, lt=1)
    limit: int = Field(0, ge=0)  # documents kept of each label, drawn by seed; 0 keeps all


def record_batch(n: int, **columns: Any) -> pa.RecordBatch:
    """`n` records; a column that is not given is null."""
    arrays = []
    for field in RECORD:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(n, field.type))
        elif isinstance(values, (pa.Array, pa.ChunkedArray)):
            values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            arrays.append(values.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD)


class Piece(NamedTuple):
    """What goes to a process at a time: a batch, and what the reader rejected before it."""

    rejects: list[Reject]
    batch: pa.RecordBatch


class Cleaned(NamedTuple):
    """A batch as it goes on disk, and what is kept of it in memory."""

    rejects: list[Reject]
    batch: pa.RecordBatch
    columns: dict[str, np.ndarray]


# the steps

BLOCKS = (  # names of elements, of HTML today and of before
    "address|article|aside|blockquote|br|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|header|hgroup|"
    "hr|li|main|menu|nav|ol|p|pre|section|summary|table|td|th|tr|ul"
)
INLINES = (
    "a|abbr|acronym|applet|area|audio|b|base|basefont|bdi|bdo|big|blink|body|button|canvas|caption|center|cite|code|col|colgroup|data|"
    "datalist|del|dfn|em|embed|font|frame|frameset|head|html|i|iframe|img|input|ins|kbd|label|legend|link|map|mark|marquee|math|meta|"
    "meter|nobr|noframes|noscript|object|optgroup|option|output|param|picture|progress|q|rp|rt|ruby|s|samp|script|search|select|slot|"
    "small|source|span|strike|strong|style|sub|sup|svg|tbody|template|textarea|tfoot|thead|time|title|track|tt|u|var|video|wbr"
)
# of an attribute the value may hold > in quotes; without a value are these alone, else `a <b then c> d` would be a tag
VALUE = r"""[a-z_:@][\w:.@-]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s<>]+)"""
SWITCH = (
    "(?:async|autofocus|autoplay|border|checked|compact|controls|declare|default|defer|disabled|download|hidden|ismap|loop|multiple|muted|"
    "nohref|noresize|noshade|novalidate|nowrap|open|playsinline|readonly|required|reversed|selected)"
)
ATTRIBUTES = rf"(?:\s*(?:\s|/)\s*(?:{VALUE}|{SWITCH}))*[\s/]*"
BLOCK = rf"</?(?:{BLOCKS}){ATTRIBUTES}>"
# a name that is none has at least a value in quotes: an element of XML or of somebody's own
INLINE = rf"""</?(?:{INLINES}){ATTRIBUTES}>|<[a-z][\w:.-]*\s+[a-z_:@][\w:.@-]*\s*=\s*(?:"[^"]*"|'[^']*'){ATTRIBUTES}>"""
UNSEEN = r"<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>|<svg\b.*?</svg\s*>|<!(?:doctype\b|\[(?:if|endif)\b)[^<>]*>"
URL = r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]"
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
# names as RFC 5322, 2.2 has them, such as Article-I.D.; before them the line that begins a message of an mbox (RFC 4155), or indented lines,
# the rest of one that was cut
HEADER = r"\A(?:(?:>?From |[ \t])[^\n]*\n)*(?:[A-Za-z][!-9;-~]*:[^\n]*\n(?:[ \t]+[^\n]*\n)*)+(?:\s*\n|\z)"
QUOTE = (
    r"(?m)^(?:[ \t]*[>|].*|[ \t]*[A-Za-z]{1,4}>.*|[ \t]*:[ \t>:|].*"  # > text, JB> text, : text
    r"|In article .*|Quoted from .*"
    r"|(?i:[ \t]*(?:in|from|(?:as )?quot(?:ed from|ing))(?: (?:article|message))?:?[ \t]+<[^<>\s]+@.*)"  # In <1993@b.c> a@b.c (A. B.)
    r"|.*(?:writes|wrote|says|said) ?:[ \t]*"
    r"|.*@.*\b(?:writes|wrote|says|said|sez)[ \t]*(?:(?:\.\.+|[,:;]*)[ \t]*|:[ \t]*>.*)|.*writes in .*)$\n?"
)
# all of a file, or the full lines of a part of one; of base64 (RFC 4648) three lines or more, of 60 to 76 characters but for the last
ATTACHMENT = (
    r"(?m)^begin [0-7]{3,4} .+\n(?:[ -`]{1,62}\n)*?end[ \t]*$\n?|^M[ -`]{60}[ -`]?$\n?"
    r"|(?:^[A-Za-z0-9+/]{60,76}\n){2,}[A-Za-z0-9+/]+={0,2}$\n?(?:^=[A-Za-z0-9+/]{4}$\n?)?"  # PGP's have a sum after it
)
SIGNATURE = r"(?m)^(?:-- ?\n(?:.*\n?){0,15}|[-_=*~]{3,}[ \t]*\n(?:.*\n?){0,8})\z"  # "-- " is RFC 3676, 4.3
CONTROL = r"[\x{feff}\x{200b}\x01-\x08\x0b-\x1f\x7f-\x{9f}]"


def without_html(texts: pa.Array) -> pa.Array:
    """Breaks and blocks become a new line, known tags nothing; <grin> and the like are the author's words."""
    texts = pc.replace_substring_regex(texts, rf"(?is){UNSEEN}", "")
    texts = pc.replace_substring_regex(texts, rf"(?i)[ \t\n]*(?:{BLOCK}\s*)+", "\n")
    texts = pc.replace_substring_regex(texts, rf"(?i){INLINE}", "")
    if pc.any(pc.match_substring(texts, "&")).as_py():
        texts = pa.array([unescape(text) for text in texts.to_pylist()], texts.type)
    return texts


def one_apostrophe(texts: pa.Array) -> pa.Array:
    for _ in range(2):  # a letter between two of them is seen once a pass
        texts = pc.replace_substring_regex(texts, r"(\pL)[’‘ʼ´`](\pL)", r"\1'\2")
    return texts


def without_control(texts: pa.Array) -> pa.Array:
    """Line ends as \n; a byte order mark or a zero-width space is nothing, any other control character a space."""
    if not pc.any(pc.match_substring_regex(texts, CONTROL)).as_py():  # the most frequent case, and the fastest
        return texts
    texts = pc.replace_substring_regex(texts, r"\r\n?", "\n")
    texts = pc.replace_substring_regex(texts, r"[\x{feff}\x{200b}]", "")
    return pc.replace_substring_regex(texts, r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]", " ")


# step -> what it makes of the texts, in the order in which it is done
STEPS: dict[str, Any] = {
    "html": without_html,
    "apostrophes": one_apostrophe,  # before nfkc, which makes a space and an accent of ´
    "nfkc": lambda texts: pc.utf8_normalize(texts, "NFKC"),
    "control": without_control,
    "headers": lambda texts: pc.replace_substring_regex(texts, HEADER, ""),
    "attachments": lambda texts: pc.replace_substring_regex(texts, ATTACHMENT, ""),
    "quotes": lambda texts: pc.replace_substring_regex(texts, QUOTE, ""),
    "signatures": lambda texts: pc.replace_substring_regex(texts, SIGNATURE, ""),
    "mask_urls": lambda texts: pc.replace_substring_regex(texts, URL, "<url>"),
    "mask_emails": lambda texts: pc.replace_substring_regex(texts, EMAIL, "<email>"),
}
CHANGES = [*STEPS, "max_characters", "label_trimmed", "label_none", "label_number", "min_characters"]


def steps(texts: pa.Array, params: Cleaning) -> Iterator[tuple[str, pa.Array]]:
    """Each step that the knobs ask for, and the texts after it."""
    for step, change in STEPS.items():
        if getattr(params, step):
            texts = change(texts)
            yield step, texts
    if params.max_characters:
        yield "max_characters", pc.utf8_slice_codeunits(texts, 0, params.max_characters)


def cleaned(piece: Piece, params: Cleaning) -> Cleaned:
    """A batch cleaned, without what is no document, and what the index needs of it."""
    batch, rejects = piece.batch, list(piece.rejects)
    batch = without(batch, rejects, pc.fill_null(pc.equal(batch.column("id"), ""), True), "has no id")
    batch = without(batch, rejects, pc.is_null(batch.column("text")), "has no text")
    for name in ("text", "id", "label", "group"):
        nul = pc.fill_null(pc.match_substring(batch.column(name), "\0"), False)
        batch = without(batch, rejects, nul, f"holds a NUL character in its {name}, as no text does")
    batch = in_known_splits(batch, rejects)

    text, changed = batch.column("text"), {}
    for step, after in steps(text, params):
        changed[step], text = pc.not_equal(text, after), after
    label = pc.utf8_trim_whitespace(batch.column("label"))
    none = pc.is_in(pc.utf8_lower(label), pa.array(NONE))
    changed["label_trimmed"] = pc.and_not(pc.not_equal(label, batch.column("label")), none)
    changed["label_none"] = pc.and_(none, pc.not_equal(label, ""))
    # the same class, in a file where a cell was empty and so all became floats
    before, label = label, pc.replace_substring_regex(label, r"^([+-]?[0-9]+)\.0+$", r"\1")
    changed["label_number"] = pc.not_equal(before, label)
    group = batch.column("group")
    columns = {name: batch.column(name) for name in RECORD.names}
    columns |= {"text": text, "label": pc.if_else(none, None, label), "group": pc.if_else(pc.equal(group, ""), None, group)}
    bits = np.zeros(batch.num_rows, np.uint16)
    for place, step in enumerate(CHANGES):
        if step in changed:
            bits |= changed[step].fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint16) << place
    batch = record_batch(batch.num_rows, **columns)

    length = pc.utf8_length(pc.utf8_trim_whitespace(text)).to_numpy(zero_copy_only=False)
    bits |= (length < params.min_characters).astype(np.uint16) << CHANGES.index("min_characters")
    bits = bits[length > 0]
    batch = without(batch, rejects, pa.array(length == 0), "is empty")
    plain = normalised(batch.column("text"))
    whole = (batch.column(name).cast(pa.large_string()) for name in ("label", "group", "text"))
    seen = {
        "id": hashes(batch.column("id")),
        "text": hashes(plain),
        "group": hashes(batch.column("group")),
        "tie": hashes(pc.binary_join_element_wise(*whole, pa.scalar("\0", pa.large_string()), null_handling="replace"))[:, 0].copy(),
        "split": split_of(batch).fill_null(UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int8),
        "time": batch.column("time").fill_null(np.nan).to_numpy(zero_copy_only=False),
        "changes": bits,
    }
    if params.near_leaks:
        seen["minhash"] = minhashes(plain)
    return Cleaned(rejects, batch, seen)


def split_of(batch: pa.RecordBatch) -> pa.Array:
    """The place in SPLITS that each record names, null where there is none."""
    return pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(batch.column("split"))), pa.array(SPLITS))


def in_known_splits(batch: pa.RecordBatch, rejects: list[Reject]) -> pa.RecordBatch:
    """Without the records of a split that is none; an empty cell is no split, to be drawn."""
    split = batch.column("split")
    wrong = pc.and_(pc.is_null(split_of(batch)), pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(split), ""), False))
    for name in pc.unique(split.filter(wrong)).to_pylist():
        reason = f"has split {name!r}; a split is one of {', '.join(SPLITS)}.{nearest(name, SPLITS)}"
        batch = without(batch, rejects, pc.fill_null(pc.equal(batch.column("split"), name), False), reason)
    return batch


def without(batch: pa.RecordBatch, rejects: list[Reject], wrong: pa.BooleanArray, reason: str) -> pa.RecordBatch:
    """The batch without the rows that are wrong; those go to `rejects`."""
    if not pc.any(wrong).as_py():
        return batch
    out = batch.filter(wrong)
    excerpts = pc.utf8_slice_codeunits(out.column("text").fill_null(""), 0, EXCERPT).to_pylist()
    rejects += [Reject(where or "", reason, excerpt) for where, excerpt in zip(out.column("where").to_pylist(), excerpts, strict=True)]
    return batch.filter(pc.invert(wrong))


SHINGLE = 5  # words in a row
N_HASHES = 128
SEED, SCHEME = 1, "affine32"  # of the hash functions; not the run's seed, so that near is near in every run


def minhashes(texts: pa.Array) -> np.ndarray:
    """(n, N_HASHES) uint32: of each text's set of SHINGLE words in a row (Broder 1997); all of a text with fewer words."""
    from datasketch import MinHash

    made, blank = np.empty((len(texts), N_HASHES), np.uint32), MinHash(N_HASHES, SEED, scheme=SCHEME)
    for row, text in enumerate(texts.to_pylist()):
        words, sketch = text.split(), blank.copy()
        sketch.update_batch({" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))})
        made[row] = sketch.hashvalues
    return made

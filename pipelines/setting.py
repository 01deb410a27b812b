"""Setting: was a classifier trained inductively, or has it seen texts that it is judged by?

inductive      what it reads (vocabulary, counts, vectors, codings) was made from train, and from what is unlabelled
transductive   text of valid or test took part in making it, labels aside, as where vectors of all documents are compressed; or it was
               made with what few_labels draws from the vectors to score it on, where that row reads no tokens, and so has no splits
unknown        some of it was made elsewhere: pretrained vectors, a tokenizer.json of others

Followed through the rows of params.yaml. A knob that names splits is called `splits`, or ends in `_splits`, and names
neither valid nor test unless somebody writes so; tests/test_every_method.py asks that of every method.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

HELD_OUT = ("valid", "test")
DOCUMENTS = ("bags", "doc2vec", "lsa", "mean_of_words", "random_projection")  # a vector for each of all, or of the splits of `infer`
ELSEWHERE = "elsewhere"


class Read(NamedTuple):
    """A row of params.yaml, as far as it is asked here."""

    verb: str
    method: str
    written: Mapping[str, Any]  # knobs
    reads: list[str]  # noun/row


def held_out_text(rows: Mapping[str, Read], key: str) -> dict[str, list[str]]:
    """Split that is held out, or ELSEWHERE -> the rows by which its text took part in `key` (noun/row); {} is inductive."""
    seen: dict[str, list[str]] = {}
    above = _above(rows, key)
    for scores, row in rows.items():
        if row.method == "few_labels" and key in row.reads and not _of(row, "tokens"):
            scored = {name for vectors in _of(row, "vectors") for name in (vectors, *_above(rows, vectors))}
            if scored & {*above}:
                seen.setdefault("valid", []).append(f"{scores} (valid_share)")
    for name in [key, *above]:
        if name not in rows:
            continue
        row = rows[name]
        for knob, value in row.written.items():
            if knob == "splits" or knob.endswith("_splits"):
                for split in HELD_OUT:
                    if isinstance(value, list) and split in value:
                        seen.setdefault(split, []).append(f"{name} ({knob})")
        for vectors in _of(row, "vectors") if row.verb == "compress" else ():  # which learns from every row of them
            made = rows.get(vectors)
            for split in HELD_OUT if made and made.method in DOCUMENTS else ():
                if split in made.written.get("infer", HELD_OUT):
                    seen.setdefault(split, []).append(f"{name} (documents of {vectors})")
        if row.method == "graph" and row.verb == "ingest" and row.written.get("labels"):  # walks go wherever edges lead
            for split in HELD_OUT:
                seen.setdefault(split, []).append(f"{name} (walks)")
        if row.method == "pretrained" or row.written.get("tokenizer"):
            seen.setdefault(ELSEWHERE, []).append(name)
    return {split: seen[split] for split in (*HELD_OUT, ELSEWHERE) if split in seen}


def _of(row: Read, noun: str) -> list[str]:
    return [name for name in row.reads if name.startswith(f"{noun}/")]


def _above(rows: Mapping[str, Read], key: str) -> list[str]:
    """What a row is made from, directly or not, the nearest first."""
    found, waiting = dict[str, None](), [key]
    while waiting:
        if (row := rows.get(waiting.pop(0))) is not None:
            waiting += [name for name in row.reads if name not in found]
            found |= dict.fromkeys(row.reads)
    return list(found)


def setting(seen: Mapping[str, list[str]]) -> str:
    return "inductive" if not seen else "unknown" if list(seen) == [ELSEWHERE] else "transductive"


def sentence(seen: Mapping[str, list[str]]) -> str:
    told = [f"text from {split} by {', '.join(rows)}" for split, rows in seen.items()]
    return "; ".join(told) or "none of valid and test"

"""Setting: was a classifier trained inductively, or has it seen texts that it is judged by?

inductive      what it reads (vocabulary, counts, vectors, codings) was made from train, and from what is unlabelled
transductive   text of valid or test took part in making it, labels aside
unknown        some of it was made elsewhere: pretrained vectors, a tokenizer.json of others

Followed through the rows of params.yaml. A knob that names splits is called `splits`, or ends in `_splits`, and names
neither valid nor test unless somebody writes so; tests/test_every_method.py asks that of every method.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

HELD_OUT = ("valid", "test")
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
    asked, waiting = set[str](), [key]
    while waiting:
        key = waiting.pop(0)
        if key in asked or key not in rows:
            continue
        asked.add(key)
        row = rows[key]
        waiting += row.reads
        for knob, value in row.written.items():
            if knob == "splits" or knob.endswith("_splits"):
                for split in HELD_OUT:
                    if isinstance(value, list) and split in value:
                        seen.setdefault(split, []).append(f"{key} ({knob})")
        if row.method == "graph" and row.verb == "ingest" and row.written.get("labels"):  # walks go wherever edges lead
            for split in HELD_OUT:
                seen.setdefault(split, []).append(f"{key} (walks)")
        if row.method == "pretrained" or row.written.get("tokenizer"):
            seen.setdefault(ELSEWHERE, []).append(key)
    return {split: seen[split] for split in (*HELD_OUT, ELSEWHERE) if split in seen}


def setting(seen: Mapping[str, list[str]]) -> str:
    return "inductive" if not seen else "unknown" if list(seen) == [ELSEWHERE] else "transductive"


def sentence(seen: Mapping[str, list[str]]) -> str:
    told = [f"text from {split} by {', '.join(rows)}" for split, rows in seen.items()]
    return "; ".join(told) or "none of valid and test"

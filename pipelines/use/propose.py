"""Propose: which column is what, and what the texts need before they are read, each with its reason.

reads   Look         what pipelines/use/look.py saw
gives   guesses      knobs of the ingest row, added to it, and notes on what to beware of

The rules are plain ones, and can be wrong: what they choose stands in the parameter file, to be mended there by hand.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pipelines.artifacts.corpus import SPLITS
from pipelines.cleaning import NONE
from pipelines.errors import Fault
from pipelines.ingest.folder import SPLIT_OF
from pipelines.use.seen import MOSTLY, Column, Guess, Look

MOST_CLASSES = 100
FEW = 10  # documents of a class with which one can hardly learn and test

LABELS = ("label", "class", "category", "target", "sentiment", "stars", "rating", "topic")
GROUPS = ("group", "author", "user", "person", "patient", "customer", "thread", "conversation", "product", "movie", "film", "article")
IDS = ("id", "key", "uuid", "guid", "url", "uri")
TIMES = ("time", "date", "timestamp", "datetime", "created", "published", "year")


def choose(seen: Look) -> tuple[Column, Column | None, Column | None]:
    """Adds to the guesses which column is what; gives those of text, label and split. Raises Fault where none can be the text."""
    so_far = "" if seen.whole else " in what was looked at"
    split = chosen_split(seen)
    text = chosen_text(seen, split)
    left = [it for it in seen.columns if it not in (text, split)]
    label = chosen_label(seen, left, so_far)
    left = [it for it in left if it is not label and it.kind != "tokens"]
    n = len(text.texts)
    own = chosen_id(seen, left, n, so_far)
    left = [it for it in left if it is not own]

    group = next((it for it in named(left, GROUPS) if it.n_filled == n and FEW <= it.n_distinct < n), None)
    if group:
        seen.guesses.append(Guess("group", group.name, f"named so; {group.n_distinct:,} different, each in several rows"))
    time = next((it for it in named(left, TIMES) if it.n_filled == n and it is not group and it.kind in ("time", "number")), None)
    if time:
        seen.guesses.append(Guess("time", time.name, "named so, and every cell is a time or a number"))
    if split:
        values = {it.strip().lower() for it in split.texts if it and it.strip()}
        seen.guesses.append(Guess("split", split.name, f"its values are {', '.join(sorted(values & set(SPLITS)))}"))
        if label and "valid" not in values and seen.whole:
            seen.guesses.append(Guess("valid_share", 0.15, "no row is in valid, so it is drawn from train"))
    elif label:
        why = f"what is of one {group.name} stays in one split" if group else "each split has as large a share of every class"
        seen.guesses.append(Guess("divide", "group" if group else "stratified", why))
    return text, label, split


def chosen_split(seen: Look) -> Column | None:
    for it in seen.columns:
        if it.kind != "text" or it.n_distinct > len(SPLIT_OF):
            continue
        cells = Counter(text.strip().lower() for text in it.texts if text and text.strip())
        values = set(cells)
        known, others = values & set(SPLITS), values - set(SPLITS)
        n_others = sum(cells[name] for name in others)
        if n_others <= (1 - MOSTLY) * cells.total() and (
            len(known) > 1 or (known and _named(it, ("split", "part", "fold", "subset", "set")))
        ):
            if others:
                seen.notes.append(
                    f"column {it.name}: {n_others:,} of {cells.total():,} rows name a split that is none of {', '.join(SPLITS)} "
                    f"({', '.join(sorted(others))}); they will be rejected"
                )
            return it
        if values & {"train", "training", "test", "testing"} and values <= set(SPLIT_OF):
            seen.notes.append(
                f"column {it.name} names splits, and some by other words ({', '.join(sorted(values - set(SPLITS)))}): write {', '.join(SPLITS)} "
                f"in it, and say split: {it.name}. Until then splits are drawn"
            )
    return None


def chosen_text(seen: Look, split: Column | None) -> Column:
    """Raises Fault when no column has words in it."""
    wordy = [it for it in seen.columns if it.kind in ("text", "tokens") and it is not split and it.mean_length >= 2 and not _is_code(it)]
    wordy = [it for it in wordy if it.n_filled <= 20 or it.n_distinct >= 0.05 * it.n_filled]  # else it is a class
    if not wordy:
        told = ", ".join(f"{it.name} ({it.kind}, {it.n_distinct:,} different)" for it in seen.columns[:30])
        raise Fault(
            f"{seen.source} has no column of text; it has {told}. If its first line is data, put one before it that names the columns. "
            f"Numbers alone are for embed: {{NAME: {{method: numbers, source: {seen.source}}}}}, what happened to whom and when for ingest: events"
        )
    text, *others = sorted(wordy, key=lambda it: -it.mean_length)
    near = (
        f"; the next, {others[0].name}, has {others[0].mean_length:,.0f}" if others and others[0].mean_length > text.mean_length / 2 else ""
    )
    seen.guesses.append(
        Guess("text", text.name, f"of the columns of words the longest, {text.mean_length:,.0f} characters on average{near}")
    )
    return text


def chosen_label(seen: Look, left: list[Column], so_far: str) -> Column | None:
    plain = [it for it in left if it.kind not in ("tokens", "object")]
    few = [it for it in plain if 2 <= it.n_distinct <= MOST_CLASSES and it.n_filled >= 2 * it.n_distinct]
    if not seen.whole:  # a file that is sorted by class begins with one
        few += [it for it in plain if it.n_distinct == 1 and it.n_filled > 1 and _named(it, LABELS[:4])]
    for it in named(few, LABELS):
        seen.guesses.append(Guess("label", it.name, f"named so, with {it.n_distinct} different values{so_far}"))
        return it
    for it in named(left, LABELS):
        if it.kind in ("tokens", "object"):
            why = "it holds lists or objects, and a document has one label: write that one, a word or a number"
        elif 2 <= it.n_distinct <= MOST_CLASSES:
            why = f"its {it.n_distinct:,} different values stand in {it.n_filled:,} rows, too few for each to be there twice"
        else:
            why = f"it has {it.n_distinct:,} different values, not 2 to {MOST_CLASSES}"
        seen.notes.append(f"column {it.name} is named like a label, and is none: {why}")
    words = [it for it in few if it.kind in ("text", "truth")]
    numbers = [it for it in few if it.kind == "number" and it.n_distinct <= 20 and _whole_numbers(it)]
    for it in [*words, *numbers]:
        seen.guesses.append(Guess("label", it.name, f"it has few values, {it.n_distinct}, that stand again and again{so_far}"))
        return it
    seen.guesses.append(Guess("label", None, f"no column has 2 to {MOST_CLASSES} values that stand again and again"))
    return None


def chosen_id(seen: Look, left: list[Column], n: int, so_far: str) -> Column | None:
    unique = [it for it in left if it.n_filled == n == it.n_distinct and n > 1 and it.kind in ("text", "number") and it.mean_length <= 100]
    for it in named(unique, IDS):
        seen.guesses.append(Guess("id", it.name, f"named so, and another in every row{so_far}"))
        return it
    for it in unique:
        if _whole_numbers(it) or (it.kind == "text" and not _spaced(it)):
            seen.guesses.append(Guess("id", it.name, f"another in every row{so_far}"))
            return it
    seen.guesses.append(Guess("id", None, "no column is another in every row; rows are numbered"))
    for it in left:
        if it.name.lower() == "id" and it.n_distinct < it.n_filled:
            seen.notes.append(
                f"column {it.name} is not taken as the id: {it.n_filled - it.n_distinct:,} of its values stand there before, and a second document of an "
                "id is rejected"
            )
    return None


def _parts(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())


def _named(column: Column, words: Sequence[str]) -> list[str]:
    return [word for word in words if word in _parts(column.name)]


def named(columns: Iterable[Column], words: Sequence[str]) -> Iterator[Column]:
    """The columns called by these words, in the words' order; those that are called nothing else first."""
    columns = list(columns)
    for word in words:
        yield from sorted((it for it in columns if word in _parts(it.name)), key=lambda it: len(_parts(it.name)))


def _whole_numbers(column: Column) -> bool:
    return all(re.fullmatch(r"\s*-?\d+\s*", text) for text in column.texts if text is not None and text.strip())


def _spaced(column: Column) -> bool:
    return any(" " in text.strip() for text in column.texts if text)


def _is_code(column: Column) -> bool:
    """Addresses, hashes and the like: long, and not to be read."""
    there = [text.strip() for text in column.texts if text and text.strip()]
    return 2 * sum(re.fullmatch(r"\w+://\S+|[0-9a-fA-F-]{16,}|(?:/|[A-Z]:\\)\S+", text) is not None for text in there) > len(there)


def label_of(label: str | None) -> str | None:
    label = (label or "").strip()
    return None if label.lower() in NONE else label


# the texts


def clean(seen: Look) -> Look:
    """Adds what the texts need before they are read, and what to beware of."""
    it = seen.figures
    if it.html >= 0.02:
        seen.guesses.append(Guess("html", True, f"{it.html:.0%} of the texts have tags or entities of HTML"))
    if it.apostrophes >= 0.02:
        seen.guesses.append(
            Guess("apostrophes", True, f"{it.apostrophes:.0%} of the texts have ’ or the like within a word, where others have '")
        )
    if it.headers >= 0.2:
        seen.guesses.append(
            Guess("headers", True, f"{it.headers:.0%} begin with the head of a mail, whose names and addresses give classes away")
        )
        if it.quotes >= 0.05:
            seen.guesses.append(Guess("quotes", True, f"{it.quotes:.0%} quote other people's mails"))
        if it.signatures >= 0.05:
            seen.guesses.append(Guess("signatures", True, f"{it.signatures:.0%} end with the author's name and address"))
        if it.attachments:
            seen.guesses.append(Guess("attachments", True, f"{it.attachments:.1%} have lines of a file as uuencode or base64"))
    if it.n_duplicates:
        seen.guesses.append(
            Guess(
                "duplicates", ["train", "unlabelled"], f"{it.n_duplicates:,} texts stand there before; valid and test are left as they are"
            )
        )
    rare = [label for label, n in it.labels.items() if n < FEW]
    if rare and seen.whole:
        seen.notes.append(
            f"{len(rare)} classes have fewer than {FEW} documents, such as {min(rare)}: too few to learn from and to be tested on"
        )
    if it.labels and it.labels.most_common(1)[0][1] > 0.9 * it.labels.total():
        seen.notes.append(
            f"nine documents of ten are {it.labels.most_common(1)[0][0]}: look at macro_f1, and at accuracy_majority beside accuracy"
        )
    return seen

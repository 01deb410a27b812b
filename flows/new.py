"""A parameter file for data of somebody's own: looked at, told in tables, written with a reason for each guess.

The sizes follow from how many words there are; what is not certain stands in the file as a comment, to be switched on by hand.
"""

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows import experiments
from flows.git import git, main_checkout
from pipelines import params, registry
from pipelines.errors import Fault
from pipelines.sources import DATA_SET, VARIABLE
from pipelines.use import look as looking
from pipelines.use.seen import UNSPACED, Look

SHOWN = 60  # characters of an example
CLASSES = 20  # told one by one
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")  # needs no quotes in YAML, but for these
WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
ALL = ["train", "valid", "test", "unlabelled"]


@dataclass
class Made:
    name: str
    file: Path
    tables: list[Any]  # for a terminal
    notes: list[str]


@dataclass
class Rows:
    """The rows of a verb, each with its keys, and what a comment says of a key."""

    verb: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    why: dict[tuple[str, str], str] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)  # comments below the last row


def new(root: Path, source: str, name: str | None, sample: int, force: bool) -> Made:
    """Writes experiments/NAME.yaml in the main checkout.

    Raises:
        Fault: the source cannot be looked at, the name is none or taken, or what was written is no parameter file.
    """
    if sample < 0:
        raise Fault(f"--sample is {sample}; it must be a number of documents, or 0 for all")
    main = main_checkout(root)
    name = name or named_after(source, sample)
    experiments.check_name(name)
    file = main / experiments.FILES / f"{name}.yaml"
    if file.exists() and not force:
        raise Fault(f"{file} is there already. Take another name (--name), or say --force to write it anew")
    seen = looking.look(source)
    text = parameters(seen, name, written(source, main), sample, main)
    params.rows_of(YAML(typ="safe", pure=True).load(text))
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return Made(name, file, tables(seen), seen.notes)


def named_after(source: str, sample: int) -> str:
    """The file's name in letters, digits and hyphens."""
    stem = source.removeprefix(DATA_SET).rstrip("/").rpartition("/")[2] or Path(source).resolve().name
    made = re.sub(r"[^A-Za-z0-9]+", "-", stem.partition(".")[0]).strip("-")
    if not made:
        raise Fault(f"{source}: no experiment can be named after it. Give a name in letters, digits and hyphens: --name NAME")
    return made + ("-sample" if sample else "")


def written(source: str, main: Path) -> str:
    """The source as the file names it: below the project when git has it, as data:NAME below WORDLOOM_DATA, else by its full path.

    The experiment runs in another folder, perhaps on another machine.
    """
    if source.startswith(DATA_SET):
        return source
    path = Path(source).resolve()
    has_git = (main / ".git").exists()  # without it no worktree is made
    if path.is_relative_to(main.resolve()) and (not has_git or git(main, "--literal-pathspecs", "ls-files", "--", str(path))):
        return str(path.relative_to(main.resolve()))
    home, there = os.path.abspath(os.environ.get(VARIABLE) or os.devnull), Path(os.path.abspath(source))
    if there != Path(home) and there.is_relative_to(home):
        return DATA_SET + there.relative_to(home).as_posix()
    return str(path)


# the parameter file


def parameters(seen: Look, name: str, source: str, sample: int, main: Path) -> str:
    stages = {"graph": of_graph, "dna": of_sequences}.get(seen.method, of_texts)(seen, name, sample)
    head = [
        f"{Path(source).name}, as `wordloom new` saw it: {seen.what}{about(seen)}.",
        "What follows # is the reason of a guess. Mend by hand what is wrong, then run: wordloom experiment " + name,
    ]
    if sample:
        head.append(f"A first run through all stages, on about {sample:,} documents: its scores say that it works, and not how well.")
    lines = [f"# {comment(line)}" for line in head]
    lines += ["run: {seed: 1, threads: 2, device: cpu}", "", *ingest(seen, name, source, sample, main)]
    for stage in stages:
        lines += ["", f"{stage.verb}:"]
        for row, keys in stage.rows.items():
            reason = "; ".join(why for (of, _), why in stage.why.items() if of == row)
            lines += [f"  # {comment(reason)}"] if reason else []
            lines.append(f"  {row}: {flow(keys)}")
        lines += [f"  # {comment(line)}" for line in stage.after]
    return "\n".join(lines) + "\n"


def about(seen: Look) -> str:
    if seen.n_all is None:
        return f", {seen.figures.n:,} documents looked at"
    thing = {"graph": "nodes", "dna": "sequences"}.get(seen.method, "documents")
    counted = seen.whole or seen.method in ("parquet", "folder")
    return f", {'' if counted else 'about '}{seen.n_all:,} {thing}"


def ingest(seen: Look, name: str, source: str, sample: int, main: Path) -> list[str]:
    """The row that reads the source, a line a knob."""
    knobs = registry.load("ingest", seen.method).params.model_fields
    lines = [f"  {scalar(name)}:", f"    method: {seen.method}", f"    source: {scalar(source)}"]
    for knob, value, why in seen.guesses:
        if isinstance(value, Path):  # a file beside the source, named as that is
            value = written(str(value), main)
        lines.append(f"    {knob}: {scalar(value)}  # {comment(why)}")
    if sample and "limit" in knobs:
        limit = math.ceil(sample / max(1, len(seen.figures.labels)))
        lines.append(f"    limit: {limit}  # documents of each class; without this line all are read")
    elif sample and "walks_per_node" in knobs:
        lines.append("    walks_per_node: 2  # without this line 10")
    if "label" in knobs:
        known = {guess.knob for guess in seen.guesses}
        lines += [
            f"    # {knob}: COLUMN  # {why}"
            for knob, why in (
                ("group", "what must not be in two splits, such as an author; then say divide: group"),
                ("time", "with it, divide: time makes test of the latest"),
                ("split", "a column of train, valid, test and unlabelled"),
            )
            if knob not in known
        ]
    if "near_leaks" in knobs and seen.method not in ("dna",):
        lines.append("    # mask_urls: true, mask_emails: true, near_leaks: 0.8 and others: docs/methods.md")
    return ["ingest:", *lines]


def of_texts(seen: Look, name: str, sample: int) -> list[Rows]:
    it = seen.figures
    n_words = int(it.mean_words * (min(sample, seen.n_all or sample) if sample else seen.n_all or it.n))
    unspaced = sum(share for script, share in it.scripts.items() if script in UNSPACED) > 0.3
    if unspaced:
        row, tokens = "characters", {"method": "characters", "corpus": name, "min_count": 2}
        why = "the script has no spaces between words, so characters are the tokens"
        n_words = n_words * it.characters[1] // max(1, it.words[1])
    else:
        row, tokens = (
            "words",
            {"method": "words", "corpus": name, "min_count": 2 if n_words < 100_000 else 5 if n_words < 5_000_000 else 10},
        )
        why = "a word seen less often is unknown"
        if n_words > 5_000_000:
            tokens["max_vocab"] = 40_000
    made = [Rows("tokenize", {row: tokens}, {(row, ""): f"about {n_words:,} words; {why}"})]
    made += of_vectors(row, n_words, sample, english=it.english and n_words >= 50_000, classes=bool(it.labels))
    if it.labels:
        made.insert(-1, of_classes(row, seen, sample))
    return made


def of_classes(row: str, seen: Look, sample: int) -> Rows:
    n = min(sample, seen.n_all or sample) if sample else seen.n_all or seen.figures.n
    longest = min(400, max(10, -(-seen.figures.p95_words // 10) * 10))
    lstm = {"method": "lstm", "tokens": row, "vectors": "skipgram", "max_tokens": longest}
    lstm |= {"batch_size": 32, "lr": 0.005} if n < 10_000 else {}
    lstm |= {"hidden_size": 64, "max_tokens": min(longest, 150), "batch_size": 16, "lr": 0.01} if sample else {"epochs": 8}
    tfidf = {"method": "tfidf_logreg", "tokens": row} | ({"min_df": 1} if n < 200 else {}) | ({"ngrams": 1, "tol": 1e-4} if sample else {})
    why = f"{seen.figures.p95_words:,} words or fewer have 95 % of the texts; what is longer than max_tokens is cut"
    return Rows("classify", {"tfidf-logreg": tfidf, "lstm": lstm}, {("lstm", ""): why})


def of_vectors(
    row: str, n_words: int, sample: int, english: bool = False, classes: bool = False, sizes: int = 0, splits: Any = None
) -> list[Rows]:
    """cooccur, embed, compress, evaluate: the smaller the corpus, the fewer numbers and the more epochs."""
    size = sizes or (32 if sample else 50 if n_words < 200_000 else 100)
    coding = max(2, size // 3 if size < 100 else 32)
    more = {"splits": splits} if splits else {}
    epochs = max(3, min(10 if sample else 20, round(5_000_000 / max(1, n_words))))
    glove = {
        "method": "glove",
        "counts": "w10",
        "vector_size": size,
        "x_max": 10,
        "epochs": 5 if sample else 25 if n_words < 5_000_000 else 15,
    }
    skipgram = {"method": "skipgram", "tokens": row, "vector_size": size, "window": 5, "negative": 5, "epochs": epochs, **more}
    linear = {"method": "linear", "vectors": "skipgram", "coding_size": coding} | ({"epochs": 20} if sample else {})
    stacked = {"method": "stacked", "vectors": "skipgram", "sizes": [2 * coding, coding]} | ({"epochs": 20} if sample else {})
    compress = {"linear": linear} if sample else {"linear": linear, "stacked": stacked}
    codings = list(compress)
    asked = {"vectors": ["glove", "skipgram"], "codings": codings}
    evaluate = {"neighbours": {"method": "neighbours", **asked}}
    scores = Rows("evaluate", evaluate)
    if not sample:
        evaluate["reconstruction"] = {"method": "reconstruction", "vectors": "skipgram", "codings": codings}
    if english and not sample:
        evaluate["similarity"] = {"method": "similarity", **asked}
        evaluate["analogy"] = {"method": "analogy", **asked}
        scores.why["similarity", ""] = "the texts are English, and so are these questions"
    if classes:
        evaluate["classification"] = {"method": "classification", "predictions": ["tfidf-logreg", "lstm"]}
        scores.after.append("the test set is not scored here; wordloom final ROW does that, once")
    return [
        Rows("cooccur", {"w10": {"method": "windowed", "tokens": row, "window": 10, **more}}),
        Rows("embed", {"glove": glove, "skipgram": skipgram}),
        Rows("compress", compress),
        scores,
    ]


def of_graph(seen: Look, name: str, sample: int) -> list[Rows]:
    n = seen.figures.n
    size = 16 if n < 200 else 32 if sample else 64 if n < 2000 else 128
    splits = ALL if seen.value("labels") else None
    nodes = {"method": "whitespace", "corpus": name, "min_count": 1, **({"vocab_splits": splits} if splits else {})}
    tokens = Rows("tokenize", {"nodes": nodes})
    if splits:
        tokens.why["nodes", ""] = "the walks of every node, so that all get a vector; the labels are no part of them"
    made = of_vectors("nodes", n * (160 if sample else 800), sample, sizes=size, splits=splits)
    if n < 1000:
        made[1].rows["skipgram"]["sample"] = 0
        made[1].why["skipgram", ""] = "sample 0: with so few nodes none is too frequent to learn from"
    return [tokens, *made]


def of_sequences(seen: Look, name: str, sample: int) -> list[Rows]:
    n_words = int(seen.figures.mean_words * (min(sample, seen.n_all or sample) if sample else seen.n_all or seen.figures.n))
    shortest = 4 if n_words < 1_000_000 else 6
    kmers = {"method": "kmers", "corpus": name, "k_min": 3, "k_max": shortest}
    tokens = Rows("tokenize", {"kmers": kmers}, {("kmers", ""): f"about {n_words:,} bases; longer k-mers need more of them"})
    return [tokens, *of_vectors("kmers", n_words, sample)]


# YAML


def flow(keys: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in keys.items()) + "}"


def scalar(value: Any) -> str:
    """A value in YAML: words as they are, all other text as JSON has it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    # JSON leaves some characters as they are that YAML does not take, such as U+0085
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda it: f"\\u{ord(it[0]):04x}", json.dumps(value, ensure_ascii=False))


def comment(text: str) -> str:
    """Text that ends where the line ends, whatever is in it."""
    return " ".join("".join(it if it.isprintable() else " " for it in text).split())


# for a terminal


def tables(seen: Look) -> list[Any]:
    from rich.table import Table

    it = seen.figures
    facts = Table("what was seen", "", show_header=True, title=comment(str(seen.source)))
    for key, value in facts_of(seen).items():
        facts.add_row(key, cell(value, 200))
    made: list[Any] = [facts]
    if seen.columns:
        columns = Table("column", "holds", "filled", "different", "characters, mean", "examples")
        for column in seen.columns:
            examples = " | ".join(cell(example) for example in column.examples)
            columns.add_row(
                cell(column.name), column.kind, f"{column.n_filled:,}", f"{column.n_distinct:,}", f"{column.mean_length:,.0f}", examples
            )
        made.append(columns)
    if it.labels:
        classes = Table("class", "documents", "share")
        for label, n in it.labels.most_common(CLASSES):
            classes.add_row(cell(label), f"{n:,}", f"{n / it.labels.total():.1%}")
        if len(it.labels) > CLASSES:
            classes.add_row(f"and {len(it.labels) - CLASSES:,} more", "", "")
        made.append(classes)
    proposed = Table("knob", "value", "why")
    proposed.add_row("method", seen.method, seen.what)
    for knob, value, why in seen.guesses:
        proposed.add_row(knob, cell("none" if value is None else scalar(str(value) if isinstance(value, Path) else value)), cell(why, 200))
    return [*made, proposed]


def facts_of(seen: Look) -> dict[str, str]:
    it = seen.figures
    looked = "all of it" if seen.whole else f"a part, {it.n:,} of them"
    facts = {
        "form": seen.what,
        "bytes": f"{seen.n_bytes:,}",
        "documents": about(seen).removeprefix(", ") + f"; looked at: {looked}",
        **seen.facts,
    }
    if it.scripts:
        facts |= {
            "empty": f"{it.n_empty:,}",
            "twice the same": f"{it.n_duplicates:,}, letters and digits compared",
            "characters": spread(it.characters),
            "words, by white space": spread(it.words) + f"; 95 % have {it.p95_words:,} at most",
            "scripts": ", ".join(f"{script.capitalize()} {share:.0%}" for script, share in it.scripts.items())
            + ("; English" if it.english else ""),
            "encoding": str(seen.value("encoding") or "UTF-8, or as a mark says"),
        }
    if it.labels:
        facts["labels"] = f"{it.labels.total():,} documents have one of {len(it.labels):,}; {it.n - it.labels.total():,} have none"
    if it.splits:
        facts["splits"] = ", ".join(f"{split} {n:,}" for split, n in it.splits.items())
    return facts


def spread(numbers: Iterable[int]) -> str:
    least, middle, most = numbers
    return f"{least:,} to {most:,}, {middle:,} in the middle"


def cell(text: str, width: int = SHOWN) -> Any:
    """Of foreign text what a terminal may show."""
    from rich.markup import escape

    text = comment(text[: 4 * width])
    return escape(text if len(text) <= width else text[: width - 3] + "...")

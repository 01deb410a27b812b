"""MediaWiki: the articles of a wiki's XML dump, without markup.

reads   source       a dump, *-pages-articles.xml, as it is or in .bz2 or .gz, or several; read as a stream
writes  corpus       a document = an article, a paragraph, or a few sentences; its id and its group are the article's title
source  MediaWiki's export format; gensim.corpora.wikicorpus strips the markup

Redirects, empty pages, and those of other namespaces are left out and counted. A dump has no labels: all is unlabelled,
unless `labels` names a table of them.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.documents import Documents, Skipped, gathered, write
from pipelines.label_table import Labels
from pipelines.method import Run
from pipelines.wiki import Page, pages, passages, plain, prose

PIECE = 2**19  # characters of markup to a process at a time
ALONE = 32  # pieces that one process strips sooner than others could be started


class Params(Documents):
    source: str | list[str] = "pages-articles.xml.bz2"  # a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = None  # of what is downloaded
    labels: str | None = None  # a table with columns id, an article's title, and label
    unit: Literal["article", "paragraph", "sentences"] = "article"
    sentences: int = Field(3, ge=1)  # per document, where that is the unit
    # whole sentences of eight words or more, without an English appendix (References, See also); False keeps each line
    # that has no markup, as a wiki in another script than Latin needs
    prose: bool = True


def sources(params: Params) -> list[str]:
    return [*where_from.paths(params.source), *where_from.paths(params.labels or [])]


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, (".xml",), params.sha256)
    labels = Labels(params.labels, run)
    return write(gathered(labelled(read(files, params, run), labels)), params, run)


Record = dict[str, Any] | Reject | Skipped


def labelled(records: Iterable[Record], labels: Labels) -> Iterator[Record]:
    for record in records:
        yield {**record, "label": labels.of(record["group"])} if isinstance(record, dict) else record
    labels.check()


def read(files: list[Path], params: Params, run: Run) -> Iterator[Record]:
    """The documents of all dumps, in their order; on all processes, once there is enough for that."""
    batches = pieces(files)
    first = list(islice(batches, ALONE if run.threads > 1 and not run.cluster else 0))
    few = first and len(first) < ALONE
    done = (stripped(piece, params) for piece in first) if few else run.map(stripped, chain(first, batches), params)
    for documents in done:
        yield from documents


class Piece(NamedTuple):
    """Articles, each with its place in the files, so many that their markup makes a piece of work."""

    articles: list[tuple[str, Page]]
    n_others: int  # pages between them that are no articles


def pieces(files: list[Path]) -> Iterator[Piece]:
    held: list[tuple[str, Page]] = []
    n_characters = n_others = 0
    for path in files:
        with where_from.opened(path) as stream:
            for number, page in enumerate(pages(stream, str(path)), 1):
                if not page.is_article:
                    n_others += 1
                    continue
                held.append((f"{path.name}: page {number} ({page.title})", page))
                n_characters += len(page.markup)
                if n_characters > PIECE:
                    yield Piece(held, n_others)
                    held, n_characters, n_others = [], 0, 0
    yield Piece(held, n_others)


def stripped(piece: Piece, params: Params) -> list[Record]:
    """The documents of some articles; runs in a process of its own."""
    documents: list[Record] = [Skipped("not_an_article", piece.n_others)] if piece.n_others else []
    for where, page in piece.articles:
        texts = cut(plain(page.markup), params)
        if not texts:
            documents.append(Reject(where, "has no text left without its markup", page.markup[:EXCERPT]))
        for i, text in enumerate(texts):
            name = page.title if params.unit == "article" else f"{page.title}/{i:04d}"
            documents.append({"id": name, "text": text, "group": page.title, "where": where})
    return documents


def cut(text: str, params: Params) -> list[str]:
    paragraphs = prose(text) if params.prose else [line.strip() for line in text.splitlines() if line.strip()]
    if params.unit == "sentences":
        return passages(paragraphs, params.sentences)
    return ["\n".join(paragraphs)] if params.unit == "article" and paragraphs else paragraphs

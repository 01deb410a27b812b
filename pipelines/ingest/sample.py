"""Sample: passages of the 106 English Wikipedia articles that come with gensim.

reads   nothing of the user's: the MediaWiki dump inside the gensim package, so every install has it
writes  corpus       a document = a passage of a few sentences, in reading order; group = the article
source  Wikipedia, dump of 2015, CC BY-SA; gensim.corpora.wikicorpus strips the MediaWiki markup
task    which article a passage is from, for the articles long enough; the others are unlabelled

What is in it, and what it is not good for: docs/sample.md.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gensim.test.utils import datapath
from pydantic import Field

from pipelines.artifacts.corpus import Corpus
from pipelines.errors import Fault
from pipelines.method import Knobs, Run
from pipelines.sources import opened
from pipelines.wiki import pages, passages, plain, prose

DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


class Params(Knobs):
    sentences: int = Field(3, ge=1)  # per passage; with 5 there are 40 % fewer to learn from, and tf-idf gets 93 % right
    min_passages: int = Field(60, ge=8)  # an article of at least so many is a class
    valid_share: float = Field(0.15, gt=0, lt=0.4)  # of an article's passages, one block
    test_share: float = Field(0.15, gt=0, lt=0.4)
    gap: int = Field(1, ge=0)  # passages on each side of a block that lose their label


def ingest(params: Params, run: Run) -> Corpus:
    with run.open(Corpus) as out:
        for title, markup in articles(Path(datapath(DUMP))):
            texts = passages(prose(plain(markup)), params.sentences)
            splits = ["unlabelled"] * len(texts)
            if len(texts) >= params.min_passages:
                splits = draw_blocks(len(texts), params, run.rng)
            out.append(
                doc_id=[f"{title}/{i:04d}" for i in range(len(texts))],
                text=texts,
                label=[None if split == "unlabelled" else title for split in splits],
                split=splits,
                group=[title] * len(texts),
            )
    return out.artifact


def articles(dump: Path) -> Iterator[tuple[str, str]]:
    """(title, MediaWiki markup) of each page of a dump that is an article and no redirect."""
    if not dump.is_file():
        raise Fault(f"{dump} is missing; it is part of gensim 4.4.0. Install that again, whole: pip install --force-reinstall gensim")
    try:
        with opened(dump) as stream:
            yield from ((page.title, page.markup) for page in pages(stream, str(dump)) if page.is_article)
    except (OSError, Fault) as err:
        raise Fault(f"{dump} cannot be read ({err}). Install gensim again: pip install --force-reinstall gensim") from err


def draw_blocks(n: int, params: Params, rng: np.random.Generator) -> list[str]:
    """The split of each of an article's `n` passages: a block of valid and a block of test, at random places.

    Neighbours tell of the same thing, often in the same words. So each part is one unbroken block, and the
    `gap` passages on each side of one are unlabelled: no classifier is trained beside what it is asked.
    """
    lengths = {"valid": max(1, round(params.valid_share * n)), "test": max(1, round(params.test_share * n))}
    if n - sum(lengths.values()) - 4 * params.gap < 1:
        raise Fault(
            f"an article of {n} passages has none left to train on: valid takes {lengths['valid']}, test {lengths['test']}, "
            f"each gap {params.gap}. Lower valid_share, test_share or gap, or raise min_passages"
        )
    free = n - sum(lengths.values()) - params.gap  # between the two blocks lies a gap at least
    before, between = np.diff(np.sort(rng.integers(0, free + 1, 2)), prepend=0)
    splits = ["train"] * n
    start = int(before)
    for part in rng.permutation(list(lengths)).tolist():
        end = start + lengths[part]
        splits[start:end] = [part] * lengths[part]
        for i in [*range(max(0, start - params.gap), start), *range(end, min(n, end + params.gap))]:
            splits[i] = "unlabelled"
        start = end + params.gap + int(between)
    return splits

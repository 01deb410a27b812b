"""MediaWiki: the articles of a dump, and the prose in their markup. What the sources of that form share.

A dump is read as a stream, one page in memory at a time. gensim.corpora.wikicorpus strips the markup.
"""

import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from xml.parsers import expat

from gensim.corpora.wikicorpus import filter_wiki

from pipelines.errors import Fault

NAMESPACE = "http://www.mediawiki.org/xml/export-"
ARTICLES = "0"  # the number of the namespace; discussions, users, templates have others
PIECE = 2**18  # bytes of XML at a time
LARGEST_PAGE = 2**26  # characters; MediaWiki itself takes no page above two million


class Page(NamedTuple):
    title: str
    markup: str
    is_article: bool  # not a redirect, nor empty, nor of another namespace


def pages(stream: IO[bytes], name: str) -> Iterator[Page]:
    """All pages of a dump, in its order. Of a page with several revisions the last counts.

    Args:
        name: of the file, for messages.

    Raises:
        Fault: it is no dump, it ends early or breaks, or it declares entities, which could unfold to any size.
    """
    reader = _Reader(name)
    try:
        while piece := stream.read(PIECE):
            reader.parser.Parse(piece, False)
            yield from reader.taken()
        reader.parser.Parse(b"", True)
        yield from reader.taken()
    except expat.ExpatError as err:
        raise Fault(f"{name} is not a whole dump: {err}; {reader.how_far()}. Fetch it again") from err
    except Fault as fault:  # of a stream that is cut, or of what stands in it
        raise Fault(f"{line} ({reader.how_far()})" for line in fault.faults) from fault


class _Reader:
    """What expat calls: gathers the page under way, and keeps those that are whole until they are taken."""

    def __init__(self, name: str):
        self.name = name
        self.n_pages, self.last = 0, ""
        self.done: list[Page] = []
        self.fields: dict[str, str] = {}  # of the page under way
        self.text: list[str] | None = None  # of the element under way, where it is one of `wanted`
        self.n_characters = 0
        self.parser: Any = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.parser.StartElementHandler = self.root
        self.parser.EndElementHandler = self.end

    def taken(self) -> list[Page]:
        done, self.done = self.done, []
        return done

    def how_far(self) -> str:
        return f"the last page read is {self.last!r}, number {self.n_pages:,}" if self.n_pages else "no page was read"

    def refuse(self, *_: Any) -> None:
        raise Fault(f"{self.name} declares a document type, as no dump of MediaWiki does; nothing in it is unfolded. Take another file")

    def root(self, tag: str, _: Any) -> None:
        if not tag.startswith(NAMESPACE):
            raise Fault(
                f"{self.name} begins with <{tag.rpartition(' ')[2]}>; a dump of MediaWiki begins with <mediawiki xmlns={NAMESPACE}...>"
            )
        self.parser.StartElementHandler = self.start

    def start(self, tag: str, _: Any) -> None:
        tag = tag.rpartition(" ")[2]
        if tag == "page":
            self.fields = {}
        elif tag == "redirect":
            self.fields["redirect"] = ""
        elif tag in ("title", "ns", "text"):
            self.text, self.n_characters = [], 0
            self.parser.CharacterDataHandler = self.data

    def data(self, text: str) -> None:
        assert self.text is not None
        self.text.append(text)
        self.n_characters += len(text)
        if self.n_characters > LARGEST_PAGE:
            raise Fault(f"{self.name}: page {self.fields.get('title')!r} has more than {LARGEST_PAGE:,} characters. Take it out")

    def end(self, tag: str) -> None:
        tag = tag.rpartition(" ")[2]
        if self.text is not None:
            self.fields[tag] = "".join(self.text)
            self.text = self.parser.CharacterDataHandler = None
        elif tag == "page":
            title, markup = self.fields.get("title", ""), self.fields.get("text", "")
            redirects = "redirect" in self.fields or markup.lstrip().lower().startswith("#redirect")
            self.n_pages, self.last = self.n_pages + 1, title
            self.done.append(Page(title, markup, self.fields.get("ns", ARTICLES) == ARTICLES and bool(markup.strip()) and not redirects))


# what follows these headings is for looking things up
APPENDIX = re.compile(r"references|external links|see also|further reading|notes|footnotes|bibliography|sources|citations|works cited")
HEADING = re.compile(r"\s*(=+)\s*(.*?)\s*=+\s*")
SHORTEST = 8  # words; a line of fewer is a caption, a table's cell or a list's entry


def plain(markup: str) -> str:
    """Text without templates, tags, links and tables; headings as they are."""
    return filter_wiki(markup)


def prose(text: str) -> list[str]:
    """The paragraphs of an article that filter_wiki has cleaned: whole sentences, no appendix, no leftovers of markup."""
    paragraphs = []
    appendix = 0  # depth of the heading that opened one
    for line in text.splitlines():
        heading = HEADING.fullmatch(line)
        if heading:
            depth = len(heading[1])
            if appendix == 0 or depth <= appendix:
                appendix = depth if APPENDIX.fullmatch(heading[2].lower()) else 0
        elif not appendix:
            line = _clean(line)
            if len(line.split()) >= SHORTEST and re.search(r"[.!?][\"'”’)]*$", line):
                paragraphs.append(line)
    return paragraphs


def _clean(line: str) -> str:
    if re.match(r"\s*(?:File|Image|Category):|\s*[|!{]", line):
        return ""
    line = re.sub(r"^[\s*#:;,]+|''+|__[A-Z]+__", "", line)
    # a foreign name or a sound that was a template leaves its brackets and commas behind
    line = re.sub(r"\(\s*[,;:\s]+", "(", line)
    line = re.sub(r"[,;:\s]+\)", ")", line).replace("()", "")
    line = re.sub(r"\s+", " ", line)
    return re.sub(r" ([,;.])", r"\1", line).strip()


# a full stop, not after an initial or one of these, before what can begin a sentence
SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b(?:Dr|Lt|Mr|Ms|St|ca|cf|vs)\.)(?<!\b(?:Col|Gen|Gov|Mrs|Rev|Sen|e\.g|i\.e)\.)(?<!\bBrig\.)(?<! v\.)"
    r"[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])"
)


def passages(paragraphs: list[str], n_sentences: int) -> list[str]:
    """Every `n_sentences` sentences that follow each other, over the borders of paragraphs; the last has what is left."""
    sentences = [sentence for paragraph in paragraphs for sentence in split_sentences(paragraph)]
    return [" ".join(sentences[i : i + n_sentences]) for i in range(0, len(sentences), n_sentences)]


def split_sentences(paragraph: str) -> list[str]:
    ends = [match.end() for match in SENTENCE_END.finditer(paragraph)]
    return [paragraph[start:end].strip() for start, end in zip([0, *ends], [*ends, None], strict=True)]

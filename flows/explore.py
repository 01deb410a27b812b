"""A page in the browser that asks what was trained, and changes nothing: neighbours, analogies, likeness, search, predictions, the report.

/                     the page
/ask/neighbours?row=skipgram&word=sea&k=10
/ask/analogy?row=skipgram&a=dog&b=sheep&c=boat&method=add
/ask/similar?row=skipgram&a=sea&b=boat
/ask/search?row=documents&text=...
/ask/predict?row=tfidf&text=...&explain=1
/report

The answers are those that the commands give with --json; what cannot be answered is {"faults": [...]}, with status 422. A row is looked up
among those of params.yaml before anything is opened. What is asked is asked of one thing at a time, by one thread.
"""

import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from flows.api import LOOPBACK, Guard
from flows.pages import HEADERS as PAGES
from pipelines import layout
from pipelines.errors import Fault, nearest
from pipelines.layout import REPORT
from pipelines.params import ROW_NAME, load_yaml

ANYWHERE = {"0.0.0.0", "::"}
KEPT = 8  # rows whose vectors or weights are held at a time
MOST, WORDS, LONGEST_WORD, LONGEST_TEXT = 100, 20, 200, 4_000  # answers; words, characters of one, characters of a text
EXPLAINED = 1_000  # characters: an explanation asks as many times as there are words, 84 s of an LSTM for 4,000
AT_ONCE = 32  # requests that are taken on; the next are told to come again
SEARCHED = ("mean_of_words", "lsa", "bags", "doc2vec")
QUESTIONS = {  # -> the verbs whose rows can be asked
    "neighbours": ("embed", "compress"),
    "analogy": ("embed",),
    "similar": ("embed",),
    "search": ("embed",),
    "predict": ("classify",),
}
PREFIX = {"compress": "compress/"}  # what a row is called by, as in the commands
NOUN = {"embed": "vectors", "compress": "codings", "classify": "predictions"}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def serve(root: Path, host: str, port: int) -> None:
    """Serves the page until Ctrl-C. Raises Fault where the address cannot be listened on."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as err:
        raise Fault(f"{host}:{port} cannot be listened on ({err}). Name another one by --port or --host") from err
    shown = socket.gethostname() if host in ANYWHERE else f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listening.getsockname()[1]}", flush=True)
    if host not in LOOPBACK:
        print("whoever reaches this machine can read what was trained here; there is no password", flush=True)
    config = uvicorn.Config(
        application(root, names(host)), log_level="warning", access_log=False, limit_concurrency=AT_ONCE, server_header=False, lifespan="off",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    with listening:
        try:
            uvicorn.Server(config).run([listening])
        except KeyboardInterrupt:
            print("stopped", flush=True)


def names(host: str) -> set[str]:
    """Under which the page may be asked for: a page elsewhere could have its own name point to this machine ("DNS rebinding")."""
    if host in LOOPBACK:
        return LOOPBACK
    if host not in ANYWHERE:
        return {*LOOPBACK, host.lower()}
    import psutil

    addresses = {it.address.partition("%")[0].lower() for its in psutil.net_if_addrs().values() for it in its}
    return {*LOOPBACK, *addresses, socket.gethostname().lower(), socket.getfqdn().lower()}


def application(root: Path, known_as: Collection[str]) -> Starlette:
    """The page and its answers, of a project."""
    explorer = Explorer(root)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )

    def page(_: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        facts = {"project": root.resolve().name, "rows": explorer.rows(), "report": (root / REPORT).is_file()}
        facts |= {"most": MOST, "longest": LONGEST_TEXT}
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; "
        policy += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        text = environment.get_template("explore.html.j2").render(facts=facts, nonce=nonce)
        return HTMLResponse(text, headers={**HEADERS, "Content-Security-Policy": policy})

    def ask(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("pages of other sites are not answered here\n", 403)
        return JSONResponse(explorer.ask(request.path_params["question"], request.query_params), headers=HEADERS)

    def report(_: Request) -> Response:
        if not (root / REPORT).is_file():
            return PlainTextResponse(f"{REPORT} is not there. Run: wordloom report\n", 404)
        return FileResponse(root / REPORT, headers=PAGES)

    def told(_: Request, fault: Exception) -> Response:
        return JSONResponse({"faults": getattr(fault, "faults", [])}, 422, headers=HEADERS)

    routes = [Route("/", page), Route("/ask/{question}", ask), Route("/report", report)]
    guard = Middleware(Guard, names=known_as, hint="ask for it by the address that it was started with, --host")
    return Starlette(routes=routes, exception_handlers={Fault: told}, middleware=[guard])


class Explorer:
    """What the commands answer, of vectors and weights that are held from one question to the next."""

    def __init__(self, root: Path):
        self.root = root
        self.lock = threading.Lock()
        self.held: OrderedDict[tuple[str, str], tuple[tuple[int, int], Any]] = OrderedDict()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """For each question the rows that it can be asked of, in the order of params.yaml: row, method, made (whether it has run)."""
        tree = load_yaml(self.root / layout.PARAMS)
        return {
            question: [
                {"row": PREFIX.get(verb, "") + row, "method": raw.get("method"), "made": self._folder(verb, row).is_dir()}
                for verb in verbs
                for row, raw in (tree.get(verb) or {}).items()
                if isinstance(raw, Mapping) and ROW_NAME.fullmatch(str(row)) and (question != "search" or raw.get("method") in SEARCHED)
            ]
            for question, verbs in QUESTIONS.items()
        }

    def ask(self, question: str, given: QueryParams) -> Any:
        """The answer, for JSON. Raises Fault."""
        if question not in QUESTIONS:
            raise Fault(f"{question!r} is no question; there are {', '.join(QUESTIONS)}.{nearest(question, QUESTIONS)}")
        row = self._row(question, given.get("row", ""))
        try:
            with self.lock:
                return ANSWERS[question](self, row, given)
        except (KeyError, ValueError, OSError, RuntimeError) as err:  # what reads an artifact that is not whole, or an older one
            told = f"{type(err).__name__}: {err}"[:LONGEST_WORD]
            raise Fault(
                f"{row} cannot be asked ({told}). Perhaps it is not whole, or another version of Wordloom made it. Run: dvc repro"
            ) from err

    def space(self, row: str) -> Any:
        from pipelines.use.space import Space

        return self._held("embed", row, lambda: Space(self.root, row, hold=True))

    def classifier(self, row: str) -> Any:
        from pipelines.use.predict import Classifier

        return self._held("classify", row, lambda: Classifier(self.root, row))

    def _row(self, question: str, row: str) -> str:
        """A row that is in params.yaml: no other name comes near a path."""
        known, short = [it["row"] for it in self.rows()[question]], row[:LONGEST_WORD]
        if row not in known:
            raise Fault(f"{question} has no row {short!r} to ask; it has {', '.join(known) or 'none'}.{nearest(short, known)}")
        return row

    def _folder(self, verb: str, row: str) -> Path:
        return self.root / layout.artifact(NOUN[verb], str(row))

    def _held(self, verb: str, row: str, make: Callable[[], Any]) -> Any:
        """What was made of the artifact that lies there now: one that has been made anew is read anew."""
        folder = self._folder(verb, row)
        found = folder.stat() if folder.exists() else None
        stamp = (found.st_ino, found.st_mtime_ns) if found else (0, 0)
        if self.held.get((verb, row), (None,))[0] != stamp:
            self.held.pop((verb, row), None)
            self.held[verb, row] = (stamp, make())
        self.held.move_to_end((verb, row))
        while len(self.held) > KEPT:
            self.held.popitem(last=False)
        return self.held[verb, row][1]


def _neighbours(explorer: Explorer, row: str, given: QueryParams) -> Any:
    from pipelines.use.neighbours import by_codings, neighbours

    asked, k = _words(given), _k(given)
    if row.startswith("compress/"):
        found = by_codings(explorer.root, row.removeprefix("compress/"), asked, k)
    else:
        found = neighbours(explorer.space(row), asked, k)
    return [it.record() for it in found]


def _analogy(explorer: Explorer, row: str, given: QueryParams) -> Any:
    from pipelines.use.analogy import analogy

    method = given.get("method", "add")
    if method not in ("add", "mul"):
        raise Fault(f"method is {method[:LONGEST_WORD]!r}; it must be add or mul")
    found = analogy(explorer.space(row), *(_word(given, key) for key in "abc"), _k(given), method)
    return [{"word": word, "score": round(score, 6)} for word, score in found]


def _similar(explorer: Explorer, row: str, given: QueryParams) -> Any:
    from pipelines.use.analogy import similar

    a, b = _word(given, "a"), _word(given, "b")
    return {"a": a, "b": b, "cosine": round(similar(explorer.space(row), a, b), 6)}


def _search(explorer: Explorer, row: str, given: QueryParams) -> Any:
    from pipelines.use.search import search

    return [hit.record() for hit in search(explorer.root, row, _text(given), _k(given))]


def _predict(explorer: Explorer, row: str, given: QueryParams) -> Any:
    from pipelines.use.asking import told

    text, explain = _text(given), given.get("explain") == "1"
    if explain and len(text) > EXPLAINED:
        raise Fault(
            f"the text has {len(text):,} characters, and up to {EXPLAINED:,} are explained, since each word is left out once. "
            f"Leave explain out, or run: wordloom predict {row} --explain"
        )
    return next(told(explorer.classifier(row), [text], explain))


ANSWERS: dict[str, Callable[[Explorer, str, QueryParams], Any]] = {
    "neighbours": _neighbours, "analogy": _analogy, "similar": _similar, "search": _search, "predict": _predict,
}  # fmt: skip


def _k(given: QueryParams) -> int:
    k = given.get("k", "10")
    if not (k.isascii() and k.isdecimal() and len(k) < 4 and 1 <= int(k) <= MOST):
        raise Fault(f"k is {k[:LONGEST_WORD]!r}; it must be a number from 1 to {MOST}")
    return int(k)


def _words(given: QueryParams) -> list[str]:
    words = [word for word in given.getlist("word") if word]
    if not words or len(words) > WORDS:
        raise Fault(f"{len(words)} words are asked for; give 1 to {WORDS}")
    return [_short(word) for word in words]


def _word(given: QueryParams, key: str) -> str:
    word = given.get(key, "").strip()
    if not word:
        raise Fault(f"a word is missing, {key.upper()}. Give one")
    return _short(word)


def _short(word: str) -> str:
    if len(word) > LONGEST_WORD:
        raise Fault(f"a word has {len(word):,} characters; {LONGEST_WORD} are the most that are looked for")
    return word


def _text(given: QueryParams) -> str:
    text = given.get("text", "")
    if not text.strip():
        raise Fault("there is no text to ask about. Write some")
    if len(text) > LONGEST_TEXT:
        raise Fault(f"the text has {len(text):,} characters; here it may have {LONGEST_TEXT:,}. Longer ones are asked on the command line")
    return text

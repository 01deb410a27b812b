"""The report and the gates' pages over HTTP, so that links in the Prefect UI open. Nothing else is served.

/main/report.html                    of the main checkout
/main/runs/checks/vectors/glove.html
/imdb/report.html                    of the experiment in .wordloom/imdb

python -m flows.pages PORT           in the project's folder; on this machine only, to the end of its process
"""

import contextlib
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from flows.api import refusal
from flows.experiments import FOLDER
from flows.git import main_checkout
from pipelines.errors import Fault
from pipelines.layout import DATA, REPORT
from pipelines.workspaces import MAIN
from tasks.show import PORT, pages_url, version

NAME = "[A-Za-z0-9][A-Za-z0-9-]*"  # of a row, and of an experiment
# nothing is decoded or normalised: what may be asked for is written out
PAGE = re.compile(rf"/({NAME})/({re.escape(REPORT)}|runs/checks/(?:{'|'.join(DATA)})/{NAME}\.html)")
HERE = "127.0.0.1"
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # the report sorts its tables by a script of its own; no page fetches anything
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Server(ThreadingHTTPServer):
    """The pages of a project."""

    daemon_threads = True

    def __init__(self, main: Path, port: int):
        self.main = main
        super().__init__((HERE, port), Handler)

    def open(self, path: str) -> int | None:
        """A file descriptor for what may be seen under a path of a URL; None for all else."""
        found = PAGE.fullmatch(path)
        if not found:
            return None
        workspace, page = found.groups()
        parts = page.split("/") if workspace == MAIN else [FOLDER, workspace, *page.split("/")]
        handle = os.open(self.main, os.O_RDONLY | os.O_DIRECTORY)
        for part in parts:  # one by one, and through no link: neither `runs` nor the page may lead elsewhere
            try:
                # a pipe would be waited for
                below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
            except OSError:
                return None
            finally:
                os.close(handle)
            handle = below
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD."""

    server: Server
    timeout = 30.0  # seconds that a silent connection is kept

    def do_GET(self) -> None:
        # a page elsewhere on the web may give its own name this machine's address; it must not read what is here
        if refusal(self.headers.get("Host", ""), None, {HERE, "localhost", urlsplit(pages_url()).hostname})[0]:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        handle = self.server.open(self.path.partition("?")[0])
        if handle is None:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"Pages are /{MAIN}/{REPORT}, /EXPERIMENT/{REPORT}, and the gates' beside them.")
            return
        with os.fdopen(handle, "rb") as file:
            body = file.read()
            self.send_response(HTTPStatus.OK)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", version(os.fstat(file.fileno())))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def version_string(self) -> str:
        return "wordloom"

    def log_message(self, *_: object) -> None:
        """Nothing: who looked at what is nobody's business."""


def serve(root: Path, port: int) -> None:
    """Serves the pages of a project until the process is stopped. Raises Fault when the port is taken."""
    with _listening(root, port) as server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


@contextlib.contextmanager
def beside(root: Path) -> Iterator[str]:
    """Serves the pages meanwhile, from a thread, where links look for them; gives a line that says where, or why not."""
    try:
        server = _listening(root, urlsplit(pages_url()).port or PORT)
    except (Fault, ValueError) as fault:  # links are a help; nothing stops for want of them
        yield f"no pages: {fault}"
        return
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"Pages: the report and the gates', at {pages_url()}"
        server.shutdown()


def _listening(root: Path, port: int) -> Server:
    try:
        return Server(main_checkout(root).resolve(), port)
    except (OSError, OverflowError) as err:
        raise Fault(f"{HERE}:{port} cannot be listened on ({err}). Name another port in WORDLOOM_PAGES_URL, for runs too") from err


if __name__ == "__main__":
    try:
        if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
            raise Fault(f"python -m flows.pages takes a port, for instance {PORT}")
        serve(Path("."), int(sys.argv[1]))
    except Fault as fault:
        sys.exit("\n".join(f"fault: {line}" for line in fault.faults))

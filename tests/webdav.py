"""A real WebDAV server (wsgidav behind cheroot) on loopback, which can be slow, break off uploads, ask for a password, or be away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import ports


@dataclass
class Server:
    folder: Path
    url: str  # for DVC: webdav://127.0.0.1:PORT
    sleep_s: float = 0.0  # before each answer
    break_after: int | None = None  # uploads that come through; in the next ones the connection breaks half-way
    uploads: list[str] = field(default_factory=list)  # paths, as they came
    app: Callable | None = None  # what answers, by WSGI
    port: int = field(default_factory=ports.lasting)

    def start(self) -> None:
        """At the address that it had before, if it was there."""
        from cheroot import wsgi

        self._server = wsgi.Server(("127.0.0.1", self.port), self.app, numthreads=8)
        self._server.prepare()
        self.url = f"webdav://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens there any more."""
        self._server.stop()
        self._thread.join(10)


class Broken(Exception):
    """Ends a request without an answer."""


class _Half:
    """A request's body that ends in the middle, as when the client's connection is lost."""

    def __init__(self, body: Any, length: int):
        self.body, self.left = body, length

    def read(self, size: int = -1) -> bytes:
        if self.left <= 0:
            raise ConnectionResetError("the connection was lost")
        chunk = self.body.read(min(size, self.left) if size > 0 else self.left)
        self.left -= len(chunk)
        return chunk


@contextmanager
def serve(folder: Path, user: str | None = None, password: str = "") -> Iterator[Server]:
    """Serves a folder until the block ends."""
    from wsgidav.wsgidav_app import WsgiDAVApp

    folder.mkdir(exist_ok=True)
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {user: {"password": password}} if user else True}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "verbose": 0,
            "logging": {"enable": False},
            "lock_storage": False,
        }
    )
    made = Server(folder, "")
    lock = threading.Lock()

    def faulty(environ: dict[str, Any], start: Callable) -> Any:
        time.sleep(made.sleep_s)
        if environ["REQUEST_METHOD"] == "PUT":
            with lock:
                made.uploads.append(environ["PATH_INFO"])
                breaks = made.break_after is not None and len(made.uploads) > made.break_after
            if breaks:
                environ["wsgi.input"] = _Half(environ["wsgi.input"], max(1, int(environ.get("CONTENT_LENGTH") or 64) // 2))
        return app(environ, start)

    made.app = faulty
    made.start()
    try:
        yield made
    finally:
        made.stop()

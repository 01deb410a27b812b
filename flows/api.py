"""Prefect's API and UI for the people of this machine, and not for the pages of others that they look at.

python -m flows.api: where PREFECT_SERVER_API_HOST and PREFECT_SERVER_API_PORT say, until it is ended.

Prefect answers whoever asks, by whatever name and from whatever page, and who makes a run may say which command
the worker starts. A page anywhere on the web, open in a browser on this machine, could so run what it likes here.
Therefore no request is answered that a page of another site makes, nor, where no password is asked for, one by
another name than this server's: a page can have its own name point to this machine ("DNS rebinding").
"""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Guard:
    """An ASGI application before another one.

    Args:
        names: under which the server may be asked for; None for all.
        hint: what to do, for who asks by another.
    """

    def __init__(self, app: Any, names: Collection[str] | None, hint: str = "PREFECT_UI_URL names what is in front of it"):
        self.app, self.names, self.hint = app, names, hint

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, reason = refusal(headers.get("host", ""), headers.get("origin"), self.names, self.hint)
        if not status:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(reason, status)(scope, receive, send)


def refusal(host: str, origin: str | None, names: Collection[str] | None, hint: str = "") -> tuple[int, str]:
    """(status, reason) for a request that is not answered; (0, "") for one that is.

    Args:
        host, origin: its headers; browsers send the second with all that a page of another site asks for.
    """
    try:
        asked, page = urlsplit(f"//{host}"), urlsplit(origin or "")
        same = page.netloc == host or (page.port == asked.port and {page.hostname, asked.hostname} <= LOOPBACK)
    except ValueError:
        return 400, "its Host or Origin is no address\n"
    if names is not None and asked.hostname not in names:
        return 421, f"this server is not {asked.hostname}; {hint}\n"
    if origin is not None and not same:
        return 403, f"pages of {origin} are not answered here\n"
    return 0, ""


def main() -> None:
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    names = None
    if server.api.auth_string is None:
        fronts = [get_current_settings().ui_url, server.ui.api_url]
        names = {server.api.host, *LOOPBACK, *(urlsplit(url).hostname for url in fronts if url)}
    uvicorn.run(
        Guard(create_app(final=True), names), host=server.api.host, port=server.api.port,
        timeout_keep_alive=server.api.keepalive_timeout, log_level=server.logging_level.lower(),
        ws_ping_interval=server.api.websocket_ping_interval, ws_ping_timeout=server.api.websocket_ping_timeout,
    )  # fmt: skip


if __name__ == "__main__":
    main()

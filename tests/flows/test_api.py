"""Who is answered by Prefect's server."""

import json
from http.client import HTTPConnection

import pytest

from flows.api import LOOPBACK, refusal
from tests import serving

HERE = "127.0.0.1:4200"
EVIL = "http://evil.example"


@pytest.mark.parametrize(
    ("host", "origin", "names", "status"),
    [
        (HERE, None, LOOPBACK, 0),  # a worker, a script
        (HERE, "http://127.0.0.1:4200", LOOPBACK, 0),
        (HERE, "http://localhost:4200", LOOPBACK, 0),  # the UI under one name, its API under another
        ("[::1]:4200", "http://localhost:4200", LOOPBACK, 0),
        ("prefect.example", "https://prefect.example", {"prefect.example"}, 0),
        ("10.0.0.1:4200", "http://10.0.0.1:4200", None, 0),
        (HERE, EVIL, LOOPBACK, 403),
        (HERE, "http://localhost:3000", LOOPBACK, 403),  # some other program of this machine
        (HERE, "null", LOOPBACK, 403),
        (HERE, "", LOOPBACK, 403),
        ("10.0.0.1:4200", EVIL, None, 403),
        ("evil.example:4200", "http://evil.example:4200", LOOPBACK, 421),
        ("evil.example:4200", None, LOOPBACK, 421),
        ("", None, LOOPBACK, 421),
        ("[::1:4200", None, LOOPBACK, 400),
        (HERE, "http://127.0.0.1:port", LOOPBACK, 400),
    ],
)
def test_a_page_of_another_site_is_refused_and_so_is_another_name(host, origin, names, status):
    found, reason = refusal(host, origin, names)
    assert found == status
    assert bool(reason) == bool(status)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_no_page_of_another_site_has_a_worker_run_anything(tmp_path):
    """As a browser asks: first whether it may (OPTIONS), then by POST; and it opens a websocket without asking."""
    project = serving.project(tmp_path / "project")
    with serving.running(project.root, tmp_path / "home") as one:
        page = {"Content-Type": "application/json", "Origin": EVIL}
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version": "13",
        }

        def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
            connection = HTTPConnection("127.0.0.1", one.port, timeout=30)
            connection.request(method, path, json.dumps({}) if method == "POST" else None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders())

        status, headers = ask("OPTIONS", "/api/flows/filter", {**page, "Access-Control-Request-Method": "POST"})
        assert status == 403
        assert "access-control-allow-origin" not in {name.lower() for name in headers}
        assert ask("POST", "/api/flows/filter", page)[0] == 403
        assert ask("POST", "/api/flows/filter", {"Content-Type": "application/json", "Host": "evil.example"})[0] == 421
        assert ask("GET", "/api/events/in", {**upgrade, "Origin": EVIL})[0] == 403
        own = {"Content-Type": "application/json", "Origin": one.url}
        assert ask("POST", "/api/flows/filter", own)[0] == 200
        assert ask("GET", "/api/events/in", {**upgrade, "Origin": one.url, "Sec-WebSocket-Protocol": "prefect"})[0] == 101

"""The pages server: what it serves, and what it does not, however one asks."""

import http.client
import os
import socket
import subprocess
import sys
import threading

import pytest

from flows.pages import Server, beside
from tasks import show
from tests.scratch import REPOSITORY


@pytest.fixture
def main(tmp_path):
    """A checkout with a report, a gate's page, an experiment, and things that are nobody's business."""
    main = tmp_path / "main"
    for path, text in {
        "report.html": "<h1>Report</h1>",
        "runs/checks/vectors/glove.html": "glove's gate",
        "runs/checks/vectors/glove.json": "{}",
        "runs/records/vectors/glove.html": "a record",
        "data/report.md": "# Report",
        "params.yaml": "secret: 1",
        ".wordloom/imdb/report.html": "the experiment's report",
        ".wordloom/imdb/runs/checks/tokens/words.html": "its gate",
        ".wordloom/prefect-server.log": "a log",
    }.items():
        (main / path).parent.mkdir(parents=True, exist_ok=True)
        (main / path).write_text(text)
    (tmp_path / "outside.html").write_text("outside")
    return main


@pytest.fixture
def port(main):
    server = Server(main, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(port, path, method="GET", host="127.0.0.1:4201"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/main/report.html", "<h1>Report</h1>"),
        ("/main/runs/checks/vectors/glove.html", "glove's gate"),
        ("/imdb/report.html", "the experiment's report"),
        ("/imdb/runs/checks/tokens/words.html", "its gate"),
        ("/main/report.html?sort=1", "<h1>Report</h1>"),
    ],
)
def test_reports_and_gates_are_served_of_the_main_checkout_and_of_experiments(port, path, text):
    status, body, headers = ask(port, path)
    assert (status, body) == (200, text)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_head_says_the_same_without_the_page(port):
    status, body, headers = ask(port, "/main/report.html", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", "15")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/main", "/main/", "/main/runs/checks/", "/main/runs/checks/vectors", "/report.html", "/nobody/report.html",
        "/main/params.yaml", "/main/data/report.md", "/main/runs/checks/vectors/glove.json", "/main/runs/records/vectors/glove.html",
        "/main/../outside.html", "/../outside.html", "/main/runs/checks/vectors/../../../report.html", "/main/runs/checks/../checks/vectors/glove.html",
        "/main/%2e%2e/outside.html", "/main/runs/checks/vectors/%2e%2e%2fglove.html", "/main/report%2ehtml", "/main/report.html%00", "/main/report.html/",
        "/main//report.html", "/main/./report.html", "/..%5cmain/report.html", "/main\\report.html", "/.wordloom/imdb/report.html",
        "/main/.wordloom/imdb/report.html", "/imdb/../report.html", "/./report.html", "/../report.html", "/.git/report.html", "/main/reportXhtml",
        "file:///etc/passwd", "http://127.0.0.1/main/report.html", "*", "/etc/passwd", "/main/runs/checks/vectors/.html", "/main/report.html;x", "/" + "a" * 60_000,
    ],
)  # fmt: skip
def test_nothing_else_is_served(port, path):
    status, body, _ = ask(port, path)
    assert status in (400, 404, 414)
    assert "outside" not in body
    assert "secret" not in body


@pytest.mark.parametrize(
    "link", ["report.html", "runs/checks/vectors/glove.html", "runs/checks/vectors", "runs/checks", "runs", ".wordloom/imdb", ".wordloom"]
)
def test_no_link_is_followed_wherever_it_stands(main, port, link):
    page = (
        "/imdb/report.html"
        if "imdb" in link or link == ".wordloom"
        else "/main/" + (link if link.endswith("html") else "runs/checks/vectors/glove.html")
    )
    assert ask(port, page)[0] == 200
    kept = main.parent / "kept"
    (main / link).rename(kept)
    (main / link).symlink_to(kept)
    assert (main / link).exists()
    assert ask(port, page)[0] == 404


def test_a_pipe_or_a_folder_in_the_place_of_a_page_is_not_waited_for(main, port):
    (main / "report.html").unlink()
    os.mkfifo(main / "report.html")
    assert ask(port, "/main/report.html")[0] == 404
    (main / "report.html").unlink()
    (main / "report.html").mkdir()
    assert ask(port, "/main/report.html")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"])
def test_nothing_but_get_and_head_is_answered(main, port, method):
    assert ask(port, "/main/report.html", method)[0] == 501
    assert (main / "report.html").read_text() == "<h1>Report</h1>"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4201", "127.0.0.1.evil.example", "[", "", None, "localhost@evil.example"])
def test_a_page_that_gave_its_own_name_this_address_reads_nothing(port, host):
    status, body, _ = ask(port, "/main/report.html", host=host)
    assert status == 421
    assert "<h1>Report</h1>" not in body


def test_it_answers_to_the_name_that_people_reach_it_by(port, monkeypatch):
    assert ask(port, "/main/report.html", host="localhost:9")[0] == 200
    monkeypatch.setenv("WORDLOOM_PAGES_URL", "https://runs.example.org/")
    assert ask(port, "/main/report.html", host="runs.example.org")[0] == 200


def test_bytes_that_are_no_request_end_one_connection_and_no_more(port):
    for junk in (
        b"\x00\xff" * 1000 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /main/report.html HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            assert b"Report" not in connection.recv(10_000)
    assert ask(port, "/main/report.html")[0] == 200


def test_a_link_is_given_only_where_this_very_file_is_served(main, port, monkeypatch, tmp_path):
    monkeypatch.setenv("WORDLOOM_PAGES_URL", f"http://127.0.0.1:{port}/")
    assert show.address(main, "report.html") == f"http://127.0.0.1:{port}/main/report.html"
    assert show.address(main / ".wordloom/imdb", "report.html") == f"http://127.0.0.1:{port}/imdb/report.html"
    assert show.address(main, "params.yaml") is None
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.html").write_text("<h1>Reporz</h1>")  # another project's, of the same size
    assert show.address(other, "report.html") is None
    assert show.where(other, "report.html") == f"`{other / 'report.html'}`"


def test_without_a_server_the_path_is_named(main, monkeypatch):
    for url in ("http://127.0.0.1:9", "no address", "file:///"):
        monkeypatch.setenv("WORDLOOM_PAGES_URL", url)
        assert show.where(main, "report.html") == f"`{main / 'report.html'}`"


def test_the_command_serves_this_machine_alone_and_says_when_its_port_is_taken(project):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    (project.root / "report.html").write_text("<h1>Report</h1>")
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-P", "-m", "flows.pages", str(port)]
    with subprocess.Popen(command, cwd=project.root, env=env) as served:
        try:
            for _ in range(600):
                try:
                    answer = ask(port, "/main/report.html")
                    break
                except OSError:
                    assert served.poll() is None
                    threading.Event().wait(0.1)
            assert answer[:2] == (200, "<h1>Report</h1>")
            with socket.socket() as elsewhere:  # an address of this machine that is not the one it took
                elsewhere.settimeout(5)
                assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
            again = subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=60)
            assert again.returncode == 1
            assert "cannot be listened on (" in again.stderr
            assert "Traceback" not in again.stderr
        finally:
            served.terminate()


def test_they_are_served_beside_something_else_and_gone_with_it(project, monkeypatch):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WORDLOOM_PAGES_URL", f"http://127.0.0.1:{found.getsockname()[1]}")
        found.listen()
        with beside(project.root) as line:
            assert line.startswith("no pages: 127.0.0.1:")
    (project.root / "report.html").write_text("<h1>Report</h1>")
    with beside(project.root) as line:
        assert line == f"Pages: the report and the gates', at {show.pages_url()}"
        assert show.address(project.root, "report.html") == f"{show.pages_url()}/main/report.html"
    assert show.address(project.root, "report.html") is None

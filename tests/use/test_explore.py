"""`wordloom explore`: the page in the browser, and its answers."""

import json
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from flows import explore as exploring
from flows.__main__ import app
from flows.api import LOOPBACK
from pipelines import layout
from pipelines.errors import Fault
from pipelines.use import predict
from tests import browser
from tests.matrices import vectors_of
from tests.ports import lasting
from tests.scratch import wordloom

TEXT = "The farmer counts the sheep."


def client(root, names=LOOPBACK):
    return TestClient(exploring.application(root, names), base_url="http://127.0.0.1:4230", raise_server_exceptions=False)


@pytest.fixture
def asked(using):
    return client(using)


@pytest.mark.parametrize(
    ("question", "given", "command"),
    [
        ("neighbours", [("row", "given"), ("word", "sea"), ("word", "horse"), ("k", 2)], "neighbours given sea horse -k 2"),
        ("neighbours", [("row", "compress/small"), ("word", "sea"), ("k", 2)], "neighbours compress/small sea -k 2"),
        ("analogy", [("row", "given"), ("a", "dog"), ("b", "sheep"), ("c", "boat"), ("method", "mul")], "analogy given dog sheep boat --method mul"),
        ("similar", [("row", "given"), ("a", "sea"), ("b", "boat")], "similar given sea boat"),
        ("search", [("row", "topics"), ("text", TEXT), ("k", 3)], ["search", "topics", TEXT, "-k", "3"]),
        ("predict", [("row", "tfidf"), ("text", TEXT), ("explain", 1)], ["predict", "tfidf", TEXT, "--explain"]),
    ],
)  # fmt: skip
def test_the_answers_are_those_of_the_command(asked, using, monkeypatch, question, given, command):
    answer = asked.get(f"/ask/{question}?{urlencode(given)}")
    monkeypatch.chdir(using)
    done = CliRunner().invoke(app, [*(command.split() if isinstance(command, str) else command), "--json"], catch_exceptions=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert answer.status_code == 200
    assert answer.json() == (told if question in ("neighbours", "search") else told[0])


def test_a_word_that_is_not_known_gets_the_nearest_that_is(asked):
    answer = asked.get("/ask/similar?row=given&a=sea&b=baot")
    assert answer.status_code == 422
    assert answer.json()["faults"] == ["vectors/given has no vector of 'baot', and no letter n-grams for one. Did you mean 'boat'?"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4230", "127.0.0.1.evil.example", "192.168.1.4:4230", ""])
def test_who_asks_by_another_name_than_this_machine_s_is_not_answered(asked, host):
    for path in ("/", "/report", "/ask/similar?row=given&a=sea&b=boat"):
        assert asked.get(path, headers={"host": host}).status_code in (400, 421)


def test_pages_of_other_sites_are_not_answered(asked):
    path = "/ask/similar?row=given&a=sea&b=boat"
    assert asked.get(path, headers={"origin": "http://evil.example"}).status_code == 403
    assert asked.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert asked.get(path, headers={"origin": "http://127.0.0.1:4230", "sec-fetch-site": "same-origin"}).status_code == 200
    assert "access-control-allow-origin" not in asked.get(path).headers


@pytest.mark.parametrize("row", ["../../secret", "/etc", "compress/../../secret", "given/../given", "gvien", ""])
def test_only_rows_of_params_yaml_are_opened(asked, row):
    answer = asked.get("/ask/neighbours", params={"row": row, "word": "sea"})
    assert answer.status_code == 422
    assert answer.json()["faults"][0].startswith(f"neighbours has no row {row!r} to ask; it has given, means, topics, compress/small.")


@pytest.mark.parametrize(
    "path", ["/params.yaml", "/report/../params.yaml", "/%2e%2e/params.yaml", "/ask/", "/ask/open", "/data/4_vectors/given"]
)
def test_no_other_path_is_served(asked, path):
    assert asked.get(path).status_code in (404, 422)


@pytest.mark.parametrize(
    ("question", "given", "said"),
    [
        ("neighbours", {"row": "given", "word": "sea", "k": "101"}, "k is '101'; it must be a number from 1 to 100"),
        ("neighbours", {"row": "given", "word": "sea", "k": "٣"}, "k is '٣'"),
        ("neighbours", {"row": "given", "word": ["sea"] * 21}, "21 words are asked for; give 1 to 20"),
        ("neighbours", {"row": "given"}, "0 words are asked for"),
        ("neighbours", {"row": "given", "word": "a" * 201}, "a word has 201 characters"),
        ("analogy", {"row": "given", "a": "sea", "b": "boat"}, "a word is missing, C"),
        ("analogy", {"row": "given", "a": "sea", "b": "boat", "c": "dog", "method": "div"}, "method is 'div'"),
        ("search", {"row": "topics", "text": " "}, "there is no text"),
        ("search", {"row": "topics", "text": "sea " * 1001}, "the text has 4,004 characters"),
        ("predict", {"row": "tfidf", "text": "sea " * 251, "explain": "1"}, "up to 1,000 are explained"),
    ],
)
def test_what_is_too_large_or_missing_is_a_fault(asked, question, given, said):
    answer = asked.get(f"/ask/{question}", params=given)
    assert answer.status_code == 422
    assert said in answer.json()["faults"][0]


def test_a_text_of_the_length_that_is_allowed_fits_into_a_request(using):
    with serving(using) as address:
        answer = httpx.get(
            f"{address}/ask/search", params={"row": "topics", "text": f"sea {'世' * (exploring.LONGEST_TEXT - 4)}"}, timeout=60
        )
    assert answer.json()[0]["label"] == "sea"


def test_nothing_can_be_written_and_nothing_is(asked, using):
    before = layout.hash_path(using / "data")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert asked.request(method, "/ask/similar?row=given&a=sea&b=boat").status_code == 405
    for path in ("/", "/report", "/ask/search?row=topics&text=sheep", "/ask/predict?row=tfidf&text=sheep&explain=1"):
        asked.get(path)
    assert layout.hash_path(using / "data") == before


def test_the_page_has_the_rows_and_says_which_have_not_run(using, tmp_path):
    shutil.copy(using / "params.yaml", tmp_path)
    vectors_of(tmp_path / layout.artifact("vectors", "given"), ["sea", "boat"], np.eye(2))
    found = exploring.Explorer(tmp_path).rows()
    assert [(it["row"], it["made"]) for it in found["neighbours"]] == [
        ("given", True),
        ("means", False),
        ("topics", False),
        ("compress/small", False),
    ]
    assert [it["row"] for it in found["search"]] == ["means", "topics"]
    assert [it["row"] for it in found["predict"]] == ["tfidf"]


def test_nothing_of_the_project_becomes_html(tmp_path):
    root = tmp_path / "<b>x<script>"
    root.mkdir()
    (root / "params.yaml").write_text("embed: {good: {method: '</script><img src=x>'}}\n")
    page = client(root).get("/")
    assert "<b>x" not in page.text
    assert "<img" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_params_yaml_with_a_fault_is_told(tmp_path):
    (tmp_path / "params.yaml").write_text("a: [")
    assert "params.yaml is not YAML" in client(tmp_path).get("/").json()["faults"][0]


def test_the_report_is_served_where_there_is_one(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {}\n")
    assert client(tmp_path).get("/report").text == "report.html is not there. Run: wordloom report\n"
    assert "/report" not in client(tmp_path).get("/").text
    (tmp_path / "report.html").write_text("<p>it went well</p>")
    assert client(tmp_path).get("/report").text == "<p>it went well</p>"
    assert 'href="/report"' in client(tmp_path).get("/").text


def test_what_is_trained_again_is_read_again(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {v: {method: skipgram}}\n")
    here, asked = tmp_path / layout.artifact("vectors", "v"), client(tmp_path)

    def nearest():
        return asked.get("/ask/neighbours?row=v&word=sea&k=1").json()[0]["near"][0]["item"]

    vectors_of(here, ["sea", "boat", "dog"], np.float32([[1, 0], [1, 0.1], [0, 1]]))
    assert nearest() == "boat"
    here.rename(tmp_path / "before")
    vectors_of(here, ["sea", "boat", "dog"], np.float32([[1, 0], [0, 1], [1, 0.1]]))
    assert nearest() == "dog"


def test_questions_at_the_same_time_share_one_model_and_all_are_answered(using, monkeypatch):
    made = []

    class Counted(predict.Classifier):
        def __init__(self, *args):
            made.append(args)
            time.sleep(0.05)
            super().__init__(*args)

    monkeypatch.setattr(predict, "Classifier", Counted)
    asked = client(using)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda text: asked.get("/ask/predict", params={"row": "tfidf", "text": text}).json(), [TEXT, "the sea"] * 8)
        )
    assert len(made) == 1
    assert [it["predicted"] for it in answers] == ["farm", "sea"] * 8


def test_an_artifact_of_another_version_is_told_and_the_others_are_answered(using, tmp_path):
    shutil.copytree(using, tmp_path / "project")
    (tmp_path / "project" / layout.artifact("predictions", "tfidf") / "model.json").write_text("{}")
    asked = client(tmp_path / "project")
    assert asked.get("/ask/predict", params={"row": "tfidf", "text": TEXT}).json()["faults"][0].startswith("tfidf cannot be asked (")
    assert asked.get("/ask/similar?row=given&a=sea&b=boat").status_code == 200


def test_an_address_that_is_taken_is_a_fault_with_the_next_step(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Fault, match=rf"127.0.0.1:{port} cannot be listened on .* by --port or --host"):
            exploring.serve(tmp_path, "127.0.0.1", port)


def test_a_server_for_others_is_known_by_this_machine_s_addresses_and_names_alone():
    assert exploring.names("127.0.0.1") == LOOPBACK
    assert exploring.names("Books.example") == {*LOOPBACK, "books.example"}
    every = exploring.names("0.0.0.0")
    assert {"127.0.0.1", socket.gethostname().lower()} <= every
    assert "evil.example" not in every


class serving:
    """The command, in a process of its own, as long as the body lasts."""

    def __init__(self, root):
        self.address = f"http://127.0.0.1:{lasting()}"
        command = wordloom("explore", "--port", self.address.rpartition(":")[2])
        self.process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self.process.stdout.readline().strip()
        assert line == self.address, line + self.process.stderr.read()
        return self.address

    def __exit__(self, *_):
        self.process.send_signal(2)  # Ctrl-C
        said = self.process.communicate(timeout=30)
        assert (self.process.returncode, *said) == (0, "stopped\n", "")


@pytest.mark.slow
@pytest.mark.quick_slow
def test_in_a_browser_neighbours_are_looked_up_mended_and_gone_on_from(using, tmp_path):
    with browser.page(tmp_path / "chromium") as page, serving(using) as address:
        page.open(address)
        page.ask("document.querySelector('[name=word]').value = 'sea'; document.querySelector('.ask').click()")
        page.wait("document.querySelectorAll('.bars li').length > 0")
        assert page.ask("document.querySelector('.bars li').innerText").split() == ["boat", "0.996"]
        page.ask("document.querySelector('.bars button').click()")  # the neighbours of a neighbour
        page.wait("document.querySelector('.card h3')?.innerText.trim() === 'boat'")
        page.open(f"{address}/#predict?row=tfidf&text=a+horse+in+the+barn&explain=1")
        page.wait("document.querySelector('.big')?.innerText === 'farm'")
        assert page.ask("document.querySelector('.tokens').innerText").split() == ["a", "horse", "in", "the", "barn"]
        for width, dark in ((1280, False), (1280, True), (390, False)):
            page.look(width, 800, dark)
            assert page.ask("document.documentElement.scrollWidth") <= width
        assert page.said == []
        page.open(f"{address}/#similar?row=given&a=sea&b=baot")
        page.wait("document.querySelector('.fault button')")
        page.ask("document.querySelector('.fault button').click()")
        page.wait("document.querySelector('.big')?.innerText === '0.996'")
        assert all("422" in line for line in page.said)


@pytest.mark.slow
def test_in_a_browser_a_word_that_is_html_is_text(tmp_path):
    word = "<img/src=x/onerror=alert(1)>"
    root = tmp_path / "project"
    root.mkdir()
    (root / "params.yaml").write_text("embed: {v: {method: skipgram}}\n")
    vectors_of(root / layout.artifact("vectors", "v"), ["sea", word], np.eye(2))
    with browser.page(tmp_path / "chromium") as page, serving(root) as address:
        page.open(f"{address}/#neighbours?row=v&word=sea")
        page.wait("document.querySelectorAll('.bars li').length > 0")
        assert page.ask("document.querySelector('.bars button').innerText") == word
        assert page.ask("document.querySelectorAll('img').length") == 0
        assert page.said == []

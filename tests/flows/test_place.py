"""A worker that ends by itself: started again or given up, with its end said."""

import pytest

from flows import place


def worked(tmp_path, monkeypatch, ends):
    """(the exit status of `work`, how many workers it started), where each ends like that."""
    until_it_ends, started = place._until_it_ends, []

    def short(command, env):
        started.append(command)
        return until_it_ends(["sh", "-c", ends], env)

    monkeypatch.setattr(place, "_until_it_ends", short)
    monkeypatch.setattr(place, "answers", lambda url: None)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        return place.work(tmp_path, [], None), len(started)


@pytest.mark.parametrize(
    ("ends", "status", "said"), [("exit 3", 3, "exit status 3"), ("kill -9 $$", -9, "signal 9")], ids=["status", "signal"]
)
def test_a_worker_that_ends_though_the_server_answers_is_started_three_times_more(tmp_path, monkeypatch, capsys, ends, status, said):
    monkeypatch.setattr(place, "GIVES_UP_S", 0.0)
    assert worked(tmp_path, monkeypatch, ends) == (status, 1 + place.RESTARTS)
    assert capsys.readouterr().out.splitlines() == [
        *[f"the worker ended with {said}, though the server answers; another one starts"] * place.RESTARTS,
        f"the worker ended with {said}, 4 times within 10 minutes; no other is started",
    ]


def test_one_that_ends_at_once_has_a_reason_of_its_own(tmp_path, monkeypatch):
    assert worked(tmp_path, monkeypatch, "exit 3") == (3, 1)


def test_one_that_a_signal_ended_at_once_has_none(tmp_path, monkeypatch):
    assert worked(tmp_path, monkeypatch, "kill -9 $$") == (-9, 1 + place.RESTARTS)

"""A worker that ends by itself: started again or given up, with its end said."""

import pytest

from flows import place


@pytest.mark.parametrize(
    ("ends", "status", "said"), [("exit 3", 3, "exit status 3"), ("kill -9 $$", -9, "signal 9")], ids=["status", "signal"]
)
def test_a_worker_that_ends_though_the_server_answers_is_started_three_times_more(tmp_path, monkeypatch, capsys, ends, status, said):
    until_it_ends, started = place._until_it_ends, []

    def short(command, env):
        started.append(command)
        return until_it_ends(["sh", "-c", ends], env)

    monkeypatch.setattr(place, "_until_it_ends", short)
    monkeypatch.setattr(place, "answers", lambda url: None)
    monkeypatch.setattr(place, "GIVES_UP_S", 0.0)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert place.work(tmp_path, [], None) == status
    assert len(started) == 1 + place.RESTARTS
    assert capsys.readouterr().out.splitlines() == [
        *[f"the worker ended with {said}, though the server answers; another one starts"] * place.RESTARTS,
        f"the worker ended with {said}, 4 times within 10 minutes; no other is started",
    ]

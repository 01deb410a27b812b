"""`wordloom server` over a real Postgres."""

import pytest

from tests import postgres, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database():
    with postgres.running() as made:
        yield made


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    env = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
    with serving.running(serving.project(folder / "project").root, folder / "home", **env) as server:
        yield server


def deployments(server) -> list:
    with serving.client(server) as client:
        return sorted((it.name, it.id) for it in client.read_deployments())


def test_what_was_deployed_lies_in_postgres_and_survives_a_restart_of_the_server(server, database):
    names = [name for name, _ in deployments(server)]
    assert {"nightly", "cpu", "gpu"} <= set(names)
    assert sorted(database.query("select name from deployment").splitlines()) == sorted(names)
    before = deployments(server)
    server.end()
    server.start()
    assert deployments(server) == before
    assert not list((server.root.parent / "home").glob("*.db"))
    assert postgres.PASSWORD not in server.said.read_text() + (server.root / ".wordloom/server.log").read_text()


def test_after_a_kill_of_postgres_and_its_restart_the_same_server_answers_and_a_run_completes(server, database):
    before = deployments(server)
    database.kill()
    database.start()

    def answers() -> bool:
        from prefect.exceptions import PrefectHTTPStatusError

        try:
            return deployments(server) == before
        except PrefectHTTPStatusError:  # connections of its pool that died are found out one by one
            return False

    serving.until(answers)
    assert server.process.poll() is None
    server.project.set("embed", "g", text="again")
    done = server.wordloom("run")
    assert done.returncode == 0, done.stdout + done.stderr
    with serving.client(server) as client:
        (run,) = [run for run in client.read_flow_runs() if run.deployment_id is None]  # not the schedule's
    assert run.state_name == "Completed"


def test_the_password_may_come_from_the_environment_beside_an_address_without_it(database, tmp_path):
    project = serving.project(tmp_path / "project")
    with serving.running(project.root, tmp_path / "home", "--database", database.bare_url, PGPASSWORD=postgres.PASSWORD) as server:
        assert "nightly" in [name for name, _ in deployments(server)]
        assert server.end() == 0
    wrong = {"PGPASSWORD": "another"}
    other = serving.Server(project.root, tmp_path / "home", "--database", database.bare_url, **wrong)
    with pytest.raises(AssertionError, match="fault: the database cannot be used .*password authentication failed"):
        other.start()

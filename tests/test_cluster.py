"""A Dask cluster does the work of this machine's processes, to the same bytes, whatever becomes of its workers."""

import csv
import os
import signal
import subprocess
import time
from concurrent.futures import Future
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import LocalCluster, Security
from distributed.diagnostics.plugin import SchedulerPlugin

from pipelines import cluster, layout
from pipelines.errors import Fault
from pipelines.method import Run
from tests.support import ENV, HOME, make_project, run

ROWS = """
ingest:
  made: {method: csv, source: made.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: made, min_count: 2}
cooccur:
  w5: {method: windowed, tokens: words, window: 5}
"""


def double(x, factor=2):
    return x * factor


def end_process(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fails(x):
    raise Fault(f"{x} cannot be read")


class Watch(SchedulerPlugin):
    """Counts what the scheduler sees."""

    def __init__(self):
        self.n_done, self.n_lost = 0, 0

    def transition(self, key, start, finish, *args, **kwargs):
        self.n_done += start == "processing" and finish == "memory"

    def remove_worker(self, scheduler, worker, **kwargs):
        self.n_lost += 1


def local_cluster(**settings):
    defaults = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    return LocalCluster(**(defaults | settings))


@pytest.fixture(scope="module")
def two_workers():
    with local_cluster() as made:
        yield made


@pytest.fixture
def environment(monkeypatch):
    """Names a scheduler in the environment, and gives a run that has its workers."""

    def named(address, folder="unused"):
        monkeypatch.setenv(cluster.VARIABLE, address)
        return Run(folder, "tokenize/words", threads=2, cluster=cluster.from_environment())

    return named


@pytest.mark.parametrize("address", ["tcp://192.0.2.1:8786", "192.0.2.1:8786", "ucx://127.0.0.1:8786", "here"])
def test_a_scheduler_elsewhere_must_be_encrypted(environment, address):
    with pytest.raises(Fault, match=r"must be tls://HOST:PORT, or tcp://127.0.0.1:PORT"):
        environment(address)


def test_no_address_is_no_cluster(monkeypatch):
    monkeypatch.delenv(cluster.VARIABLE, raising=False)
    assert cluster.from_environment() is None


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_a_fault_that_names_it(environment):
    began = time.monotonic()
    with pytest.raises(Fault, match=r"tcp://127.0.0.1:9 \(WORDLOOM_SCHEDULER\) cannot be reached.*Start it: python -m dask scheduler"):
        list(environment("tcp://127.0.0.1:9").map(double, [1]))
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_scheduler_without_workers_is_a_fault(environment):
    with local_cluster(n_workers=0) as made, pytest.raises(Fault, match="has no worker. Start one in the project's folder"):
        list(environment(made.scheduler_address).map(double, [1]))


@pytest.mark.slow
def test_results_come_in_order_and_few_items_are_ahead(environment, two_workers):
    taken = []
    items = (taken.append(i) or i for i in range(50))
    results = environment(two_workers.scheduler_address).map(double, items, 3)
    assert next(results) == 0
    assert len(taken) <= 2 * 2 + 1
    assert list(results) == [3 * i for i in range(1, 50)]


@pytest.mark.slow
def test_what_is_shared_is_sent_once_and_is_the_same_array(environment, two_workers):
    text = np.arange(1000)
    assert all((part == text * i).all() for i, part in enumerate(environment(two_workers.scheduler_address).map(double, range(5), text)))


@pytest.mark.slow
def test_a_fault_on_a_worker_is_the_stages_fault(environment, two_workers):
    with pytest.raises(Fault, match="7 cannot be read"):
        list(environment(two_workers.scheduler_address).map(fails, [7]))


@pytest.mark.slow
def test_work_that_ends_every_worker_is_a_fault_and_not_a_hang(environment):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        local_cluster() as made,
        pytest.raises(Fault, match="the same piece of work ended several workers. Perhaps they need more memory"),
    ):
        list(environment(made.scheduler_address).map(end_process, [1]))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_in_mid_run_is_a_fault(environment):
    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        made = local_cluster()
        results = environment(made.scheduler_address).map(double, range(10_000))
        next(results)
        made.close()
        with pytest.raises(Fault, match="was lost"):
            list(results)


@pytest.mark.slow
def test_what_a_lost_scheduler_never_answers_is_a_fault_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(cluster, "TICK", 0.1)
    with local_cluster() as made, cluster.connect(made.scheduler_address) as workers:
        assert workers.result(workers.submit(double, 4)) == 8
        workers.client.close()
        with pytest.raises(Fault, match="was lost"):
            workers.result(Future())


@pytest.mark.slow
def test_a_local_process_that_is_killed_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="tokenize/words: one of its 2 processes was killed"):
        list(Run(tmp_path, "tokenize/words", threads=2).map(end_process, [1, 2, 3]))


@pytest.mark.slow
def test_over_tls_with_certificates_from_dasks_own_settings(environment, tmp_path, monkeypatch):
    security = Security.temporary()
    files = {}
    for name, text in (("ca", security.tls_ca_file), ("cert", security.tls_client_cert), ("key", security.tls_client_key)):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(text)
    known = {"ca-file": files["ca"], "client.cert": files["cert"], "client.key": files["key"]}
    settings = {"distributed.comm.require-encryption": True, **{f"distributed.comm.tls.{key}": str(path) for key, path in known.items()}}
    with local_cluster(n_workers=1, security=security, protocol="tls://") as made:
        assert made.scheduler_address.startswith("tls://")
        with dask.config.set(settings):
            assert list(environment(made.scheduler_address).map(double, [1, 2])) == [2, 4]
        with pytest.raises(Fault, match="cannot be reached"):  # without the certificates
            list(environment(made.scheduler_address).map(double, [1]))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """45,000 made-up documents, tokenised and counted without a cluster."""
    root = make_project(tmp_path_factory.mktemp("cluster") / "project", ROWS.replace("made.csv", "tests/tiny/notices.csv"))
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(5000)])
    with (root / "made.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "text", "label", "split"])
        for i, ids in enumerate(rng.zipf(1.4, (45_000, 50)) % 5000):
            out.writerow([f"d{i:05}", " ".join(words[ids]), "ab"[i % 2], "train" if i % 10 else "valid"])
    (root / "params.yaml").write_text("run: {seed: 1, threads: 1, device: cpu}\n" + ROWS)
    run(root, "python", "-m", "pipelines", "dag")
    run(root, "dvc", "repro", "cooccur-w5")
    return root


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize(("verb", "row", "noun"), [("tokenize", "words", "tokens"), ("cooccur", "w5", "counts")])
def test_a_cluster_that_loses_a_worker_in_mid_run_makes_the_bytes_of_one_process(project, verb, row, noun):
    folder = project / layout.artifact(noun, row)
    expected = layout.hash_path(folder)
    with local_cluster() as made:
        watch = Watch()
        made.scheduler.add_plugin(watch)
        environment = {**ENV, cluster.VARIABLE: made.scheduler_address}
        command = ["python", "-m", "pipelines", verb, row]
        stage = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + 200
        while watch.n_done < 5 and stage.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        assert stage.poll() is None, stage.communicate()[0]
        n_done = watch.n_done
        os.kill(next(iter(made.workers.values())).pid, signal.SIGKILL)
        output = stage.communicate(timeout=300)[0]
    assert stage.returncode == 0, output
    assert "works on a Dask cluster, 2 threads" in output
    assert watch.n_lost >= 1
    assert watch.n_done > n_done + 5
    assert layout.hash_path(folder) == expected


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused_and_nothing_is_left(project, two_workers):
    charts = project / "pipelines" / "charts.py"
    before = charts.read_text()
    charts.write_text(before + "\n# edited\n")
    try:
        env = {cluster.VARIABLE: two_workers.scheduler_address}
        done = run(project, "python", "-m", "pipelines", "cooccur", "w5", ok=False, env=env)
    finally:
        charts.write_text(before)
    assert done.returncode == 2
    assert "fault: the Dask worker on" in done.stderr
    assert "Bring it to the same revision" in done.stderr
    assert [path.name for path in (project / "data/3_counts").iterdir()] == ["w5"]


def test_stages_need_neither_dask_nor_lightning_until_they_are_told_to_use_them():
    code = "import sys; sys.modules |= dict.fromkeys(('distributed', 'dask', 'lightning_fabric')); import pipelines.run, pipelines.cluster, pipelines.ranks"
    run(HOME, "python", "-c", code)

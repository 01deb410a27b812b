"""What a failed stage is said to have failed of, and what the UI shows."""

from tasks.show import gate_facts, gate_rows, key
from tasks.stage import reason


def test_the_faults_of_a_stage_are_its_reason():
    lines = ["embed/g: reads", "fault: counts/w10: 3 rows have count <= 0", "fault: run dvc repro", "ERROR: failed to reproduce 'embed-g'"]
    assert reason(lines, 255) == "counts/w10: 3 rows have count <= 0\nrun dvc repro"


def test_without_a_fault_it_is_the_last_thing_said_and_how_it_ended():
    lines = ["Traceback (most recent call last):", "ValueError: no", "ERROR: failed to reproduce 'embed-g': exited with 1"]
    assert reason(lines, 255) == "ValueError: no (failed to reproduce 'embed-g': exited with 1)"
    assert reason([], -9) == "dvc ended with status -9"


def test_failed_expectations_come_first_in_the_gates_table():
    def result(name, success):
        failed = {"n_failed": int(not success), "share_failed": 0.25 * (not success), "examples": [{"token": "the"}] * (not success)}
        return {"expectation": name, "column": None, "success": success, "observed": None, **failed}

    rows = gate_rows({"results": [result("holds", True), result("fails", False)]})
    assert [(row["passed"], row["expectation"], row["share"], row["examples"]) for row in rows] == [
        ("NO", "fails", "25.00%", '{"token": "the"}'),
        ("yes", "holds", "0.00%", ""),
    ]


def test_what_warns_comes_after_what_fails_and_is_no_reason_of_a_closed_gate():
    seen = {"column": None, "observed": None, "n_failed": 1, "share_failed": 0.5, "examples": [], "success": False}
    results = [{**seen, "expectation": severity, "severity": severity} for severity in ("warn", "fail")]
    report = {"artifact": "a", "results": [*results, {**seen, "expectation": "holds", "severity": "fail", "success": True}]}
    assert [row["passed"] for row in gate_rows(report)] == ["NO", "warning", "yes"]
    assert [one["expectation"] for one in gate_facts(report)["failed"]] == ["fail"]


def test_artifacts_are_named_as_prefect_allows():
    assert key("gate", "vectors", "GloVe-50") == "gate-vectors-glove-50"


def test_tasks_of_many_rows_leave_no_thread_each(project, prefect_server):
    """Prefect starts one for each set of tags that a task begins with, and never ends it; it asks for slots of them, too."""
    import threading

    from prefect import flow

    from tasks import stage

    def waiting() -> int:
        return sum("ConcurrencySlot" in thread.name for thread in threading.enumerate())

    @flow
    def several() -> None:
        for row in range(5):
            stage.of(f"embed/r{row}", 0, 0).submit(str(project.root), "no-such", f"embed/r{row}", 60, ["embed", "cpu", f"r{row}"]).wait()

    before = waiting()
    several(return_state=True)
    assert waiting() == before

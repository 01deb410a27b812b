"""The environment is the locked one, and the check sees when it is not."""

from tests import lock

PROJECT = '[project]\ndependencies = ["torch==2.13.0", "Rich"]\n[project.optional-dependencies]\ndev = ["ruff>=0.5"]\n'
LOCK = "# made by: make lock\ntorch==2.13.0\nrich==14.0 ; python_version > '3'\nruff==0.6\n"


def test_what_is_installed_as_locked_has_no_faults():
    assert lock.faults(PROJECT, LOCK, {"torch": "2.13.0+cpu", "rich": "14.0", "ruff": "0.6", "more": "1"}) == []


def test_what_an_extra_of_ours_brings_is_looked_for():
    project = PROJECT.replace("[project]\n", '[project]\nname = "ours"\n').replace(
        '["ruff>=0.5"]', '["ours[more]", "ruff>=0.5"]\nmore = ["onnx"]'
    )
    told = {"torch": "2.13.0", "rich": "14.0", "ruff": "0.6"}
    assert lock.faults(project, LOCK, told) == ["requirements.lock has onnx not at all; pyproject.toml asks for onnx. Run: make lock"]


def test_another_version_a_missing_package_and_a_lock_that_is_behind_are_named():
    assert lock.faults(PROJECT, LOCK.replace("ruff==0.6", "ruff==0.4"), {"torch": "2.13.1", "ruff": "0.4"}) == [
        "requirements.lock has ruff 0.4; pyproject.toml asks for ruff>=0.5. Run: make lock",
        "torch: installed is 2.13.1, requirements.lock says 2.13.0. Run: pip install -r requirements.lock",
        "rich: installed is nothing, requirements.lock says 14.0. Run: pip install -r requirements.lock",
    ]
    assert lock.faults(PROJECT, "torch==2.13.0\n", {"torch": "2.13.0"})[0].startswith("requirements.lock has Rich not at all")

"""The pools of docs/workers.md: whole prefect.yaml files that differ from ours in the pool alone."""

import json
import re
from pathlib import Path

import prefect
import pytest
from ruamel.yaml import YAML

from tests.orchestra import Orchestra

HOME = Path(__file__).parent.parent
BLOCKS = re.findall(r"```yaml\n(definitions:\n.*?)```", (HOME / "docs" / "workers.md").read_text(), re.S)
OURS = (HOME / "prefect.yaml").read_text()


def with_pool(block: str) -> str:
    """Our prefect.yaml, with other definitions."""
    return re.sub(r"definitions:\n(  .*\n)+", lambda _: block, OURS)


def without_pool(text: str) -> list[dict]:
    tree = YAML(typ="safe").load(text)
    return [{key: value for key, value in it.items() if key != "work_pool"} for it in tree["deployments"]]


@pytest.mark.parametrize("block", BLOCKS)
def test_another_pool_changes_nothing_but_where_the_deployments_run(block):
    text = with_pool(block)
    assert text != OURS
    assert without_pool(text) == without_pool(OURS)
    pools = [it["work_pool"] for it in YAML(typ="safe").load(text)["deployments"]]
    ours = [it["work_pool"] for it in YAML(typ="safe").load(OURS)["deployments"]]
    assert [(it["name"], it["work_queue_name"]) for it in pools] == [(it["name"], it["work_queue_name"]) for it in ours]
    assert all({"image", "env", "command"} <= set(it["job_variables"]) for it in pools)


@pytest.mark.parametrize(("block", "kind"), zip(BLOCKS, ["kubernetes", "ecs"], strict=True))
def test_each_asks_for_what_a_pool_of_its_type_knows(block, kind):
    registry = json.loads((Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json").read_text())
    (known,) = [types[kind]["default_base_job_configuration"]["variables"]["properties"] for types in registry.values() if kind in types]
    for it in YAML(typ="safe").load(with_pool(block))["deployments"]:
        assert set(it["work_pool"]["job_variables"]) <= set(known)


@pytest.mark.slow
def test_each_deploys_on_a_pool_of_its_type(tmp_path):
    orchestra = Orchestra(tmp_path / "home")
    try:
        orchestra.serve()
        for block, kind in zip(BLOCKS, ["kubernetes", "ecs"], strict=True):
            folder = tmp_path / kind
            folder.mkdir()
            (folder / "prefect.yaml").write_text(with_pool(block))
            (folder / "params.yaml").touch()
            orchestra.prefect("work-pool", "create", "wordloom", "--type", kind)
            done = orchestra.wordloom(folder, "deploy")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "stage/gpu" in done.stdout
            assert f"type='{kind}'" in orchestra.prefect("work-pool", "inspect", "wordloom")
            orchestra.prefect("--no-prompt", "work-pool", "delete", "wordloom")
    finally:
        orchestra.close()

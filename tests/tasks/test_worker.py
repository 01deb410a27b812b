"""What a worker with a clone of its own may hand back beside its output."""

import pytest

from tasks.worker import _beside, _is_of


@pytest.mark.parametrize(
    ("label", "mine", "others"),
    [
        (
            "check/vectors-g-2",
            ["runs/checks/vectors/g-2.json", "runs/checks/vectors/g-2.html"],
            ["runs/checks/vectors/g.html", "runs/checks/corpus/g-2.json", "runs/records/vectors/vectors-g-2-0123456789ab.json", "../x.json"],
        ),
        (
            "embed/g",
            ["runs/records/vectors/g-0123456789ab.json"],
            ["runs/records/vectors/h-0123456789ab.json", "runs/records/vectors/g-2-0123456789ab.json", "runs/checks/vectors/g.json", "dvc.yaml",
             "runs/records/../../g-0123456789ab.json"],
        ),
    ],
)  # fmt: skip
def test_a_worker_may_send_its_stages_own_pages_and_record_and_nothing_else(tmp_path, label, mine, others):
    assert all(_is_of(path, label) for path in mine)
    assert not any(_is_of(path, label) for path in others)
    for path in mine:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('{"verb": "embed"}')
    assert sorted(path.relative_to(tmp_path).as_posix() for path in _beside(tmp_path, label)) == sorted(mine)

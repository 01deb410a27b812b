"""After each fault: no orphan, no wrong artifact, no lost finished work, and the next run leaves the calm run's bytes."""

import pytest

from tests.faults import inject
from tests.faults.support import holds, repro, wordloom_run

pytestmark = pytest.mark.slow
QUICK = {*inject.BY_DVC, inject.kill_run}


def each(faults):
    return [pytest.param(fault, id=fault.__name__, marks=[pytest.mark.quick_slow] if fault in QUICK else []) for fault in faults]


@pytest.mark.parametrize("fault", each(inject.BY_DVC))
def test_dvc_repro_leaves_the_calm_runs_bytes_after(root, calm, fault):
    fault(root, "")
    holds(root, calm, repro)


@pytest.mark.parametrize("fault", each(inject.BY_RUN))
def test_wordloom_run_leaves_the_calm_runs_bytes_after(root, calm, api, fault):
    fault(root, api)
    holds(root, calm, wordloom_run(PREFECT_API_URL=api))

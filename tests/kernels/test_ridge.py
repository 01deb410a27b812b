import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from pipelines.kernels.ridge import held_out


def test_it_is_scikit_learns_ridge_by_cross_validation():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(60, 5)) + 3).astype(np.float32)
    y = x @ rng.normal(size=5) + rng.normal(size=60) + 10
    fold = rng.permutation(60) % 4
    wanted = cross_val_predict(Ridge(alpha=2.0), x.astype(np.float64), y, cv=PredefinedSplit(fold))
    assert held_out(x, y, fold, 2.0) == pytest.approx(wanted)

"""The pure functions: one for each metric, and the same numbers."""

import numpy as np
import pytest

import tfkit
from tfkit_metrics import functions

NUMBERS = ("mae", "mse", "rmse", "r2", "pearson", "spearman")
ALL = [row.name for row in tfkit.plugins("metric") if row.module == "tfkit_metrics"]


@pytest.mark.parametrize("name", ALL)
def test_each_metric_has_one_that_agrees(name):
    rng = np.random.default_rng(0)
    params = {"fbeta": {"beta": 0.5}, "top-k-accuracy": {"k": 2}, "roc-auc": {"average": None}}.get(name, {})
    if name in NUMBERS:
        batch = (rng.normal(size=20), rng.normal(size=20))
    else:
        batch = (np.arange(20) % 3, rng.dirichlet(np.ones(3), 20))
    weights = None if name in ("pearson", "spearman") else rng.random(20)
    found = getattr(functions, name.replace("-", "_"))(*batch, weights, **params)
    metric = tfkit.create("metric", name, dtype="float64", **params)
    metric.update_state(*batch, weights)
    np.testing.assert_array_equal(found, metric.result())
    assert isinstance(found, np.ndarray if name in ("confusion-matrix", "roc-auc") else float)

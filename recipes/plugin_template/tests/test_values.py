"""The kit cannot know which values are right: these tests do."""

import numpy as np
import pytest

import tfkit


def test_triangular_is_a_line_up_and_a_line_down():
    """Against numpy's interpolation of the corners."""
    schedule = tfkit.create("schedule", "triangular", low=0.1, high=0.5, half=10)
    rates = [float(schedule(step)) for step in range(41)]
    assert rates == pytest.approx(np.interp(range(41), [0, 10, 20, 30, 40], [0.1, 0.5, 0.1, 0.5, 0.1]))


def test_group_lasso_is_the_weighted_sum_of_the_norms_of_the_units():
    """Against numpy's norms."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype("float32")
    penalty = tfkit.create("regularizer", "group-lasso", factor=0.5)(kernel)
    assert float(penalty) == pytest.approx(
        0.5 * np.sqrt(18) * np.linalg.norm(kernel.reshape(18, 4), axis=0).sum(), rel=1e-5
    )

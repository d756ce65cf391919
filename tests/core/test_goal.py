"""Objectives and constraints: which results are within bounds, which are on the front, which epoch counts."""

import math

import numpy as np
import pytest

import tfkit
from tfkit.goal import Constraint, Goal, constraints_of


def test_the_front_is_what_a_comparison_of_all_pairs_leaves():
    rng = np.random.default_rng(0)
    goal = Goal((("a", "min"), ("b", "max"), ("c", "min")), constraints_of({"c": 7, "b": (">=", 1)}))
    for _ in range(20):
        rows = rng.integers(0, 9, (40, 3)).astype(float)
        reports = [dict(zip("abc", row)) for row in rows]
        allowed = [n for n, (_, b, c) in enumerate(rows) if c <= 7 and b >= 1]
        losses = rows * [1, -1, 1]
        beaten = {
            n for n in allowed for m in allowed if (losses[m] <= losses[n]).all() and (losses[m] < losses[n]).any()
        }
        assert goal.front(reports) == [n for n in allowed if n not in beaten]


def test_what_is_not_finite_is_on_no_front_and_exceeds_its_bound():
    goal = Goal((("a", "min"),), constraints_of({"b": 1}))
    assert goal.front([{"a": math.nan, "b": 0.0}, {"a": 0.0, "b": math.nan}, {"a": 5.0, "b": 1.0}]) == [2]
    assert goal.violation({"b": math.nan}) == math.inf


def test_violations_are_shares_of_the_bounds():
    goal = Goal((("loss", "min"),), constraints_of({"bytes": 200, "accuracy": (">=", 0.8), "zero": 0}))
    assert goal.violation({"bytes": 300.0, "accuracy": 0.6, "zero": 2.0}) == pytest.approx(0.5 + 0.25 + 2.0)
    assert goal.violation({"bytes": 100.0, "accuracy": 0.9}) == 0


def test_the_first_objective_that_keras_logs_leads():
    goal = Goal((("bytes", "min"), ("val_accuracy", "max"), ("val_loss", "min")))
    assert goal.leading == ("val_accuracy", "max")
    assert (goal.figures, goal.logged) == (("bytes",), ("val_accuracy", "val_loss"))


def test_the_epoch_that_counts_keeps_to_the_bounds_then_has_the_best_score_then_the_most_room():
    goal = Goal((("loss", "min"),), constraints_of({"accuracy": (">=", 0.9)}))
    epochs = [(0.1, 0.8), (0.3, 0.95), (0.2, 0.92), (0.2, 0.94)]
    reports = [{"loss": loss, "accuracy": accuracy} for loss, accuracy in epochs]
    assert sorted(range(4), key=lambda epoch: goal.place(reports[epoch])) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([1], "a dict of bounds by name"),
        ({"bytes": "1 MB"}, "'bytes' must be a finite number"),
        ({"bytes": ("<", 1)}, r"or \('<=', number\)"),
        ({"bytes": math.nan}, "finite"),
        ({"bytes": True}, "got True"),
        ({3: 1}, "on 3 must"),
    ],
)
def test_bounds_of_another_form_are_refused(given, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        constraints_of(given)


def test_bounds_as_they_are_written():
    expected = (Constraint("a", 1.0), Constraint("b", 2.0), Constraint("c", -3.0, at_least=True))
    assert constraints_of({"a": 1, "b": ("<=", 2.0), "c": [">=", -3]}) == expected
    assert constraints_of(None) == constraints_of({}) == ()


def test_bounds_may_be_numbers_of_numpy():
    given = {"bytes": np.int64(7), "loss": np.float32(0.5), "accuracy": (">=", np.float64(0.25))}
    assert constraints_of(given) == constraints_of({"bytes": 7, "loss": 0.5, "accuracy": (">=", 0.25)})
    assert all(type(each.bound) is float for each in constraints_of(given))
    with pytest.raises(tfkit.ParameterError, match="'bytes' must be a finite number"):
        constraints_of({"bytes": np.bool_(True)})

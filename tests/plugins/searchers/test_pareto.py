"""Non-dominated sorting, against a comparison of all pairs."""

import numpy as np
import pytest

from tfkit_searchers.pareto import crowding, ordered, ranks


def beaten(losses, index, left):
    return any((losses[each] <= losses[index]).all() and (losses[each] < losses[index]).any() for each in left)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_ranks_are_those_of_fronts_taken_off_one_by_one(objectives):
    losses = np.random.default_rng(0).integers(0, 6, (60, objectives)).astype(float)
    expected, left, front = {}, set(range(60)), 0
    while left:
        best = {each for each in left if not beaten(losses, each, left)}
        expected |= dict.fromkeys(best, front)
        left, front = left - best, front + 1
    assert list(ranks(losses)) == [expected[each] for each in range(60)]


def test_lonely_ones_come_first_within_a_front():
    losses = np.array([[0.0, 10.0], [1.0, 8.0], [1.5, 7.0], [2.0, 6.0], [10.0, 0.0], [11.0, 11.0]])
    assert crowding(losses, ranks(losses)) == pytest.approx([np.inf, 0.45, 0.3, 1.55, np.inf, np.inf])
    assert list(ordered(losses)) == [0, 4, 3, 1, 2, 5]


def test_one_objective_is_sorted_and_equal_ones_do_no_harm():
    assert list(ordered(np.array([[3.0], [1.0], [2.0]]))) == [1, 2, 0]
    assert sorted(ordered(np.zeros((4, 2)))) == [0, 1, 2, 3]
    assert list(ordered(np.zeros((0, 2)))) == []

import math

import numpy as np
import pytest

from tfkit.formats.fidelity import fidelity

RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(5), size=400)


def test_equal_outputs_have_no_error():
    found = fidelity([PROBABILITIES], [PROBABILITIES])
    assert (found.rows, found.relative_error, found.agreement, found.far) == (400, 0.0, 1.0, False)


def test_the_error_is_that_about_the_mean():
    # A tenth of each row's distance from the mean, by its own definition a relative error of a tenth.
    mean = PROBABILITIES.mean(0)
    assert fidelity([PROBABILITIES], [mean + 1.1 * (PROBABILITIES - mean)]).relative_error == pytest.approx(0.1)
    # An offset that a norm about zero would hide.
    assert fidelity([PROBABILITIES + 1000], [PROBABILITIES + 1001]).relative_error > 1


@pytest.mark.parametrize(
    "outputs",
    [
        RNG.dirichlet(np.ones(5), size=400),
        np.broadcast_to(PROBABILITIES.mean(0), (400, 5)),
        PROBABILITIES[:, ::-1],
        np.full((400, 5), np.nan),
        PROBABILITIES[:, :4],
    ],
    ids=["unrelated", "constant", "swapped", "nan", "fewer"],
)
def test_what_computes_something_else_is_far(outputs):
    assert fidelity([PROBABILITIES], [outputs], [0.0]).far


def test_agreement_is_the_share_of_equal_decisions():
    outputs = PROBABILITIES.copy()
    outputs[:100] = -outputs[:100]
    assert fidelity([PROBABILITIES], [outputs]).agreement == pytest.approx(0.75)
    assert "75.0% of the decisions agree" in str(fidelity([PROBABILITIES], [outputs]))
    assert fidelity([PROBABILITIES[:, :1] * 7 - 3], [PROBABILITIES[:, :1]]).agreement is None


def test_a_difference_below_the_output_step_is_not_far():
    # A thousand classes, all nearly equal: every probability rounds to 0 in steps of 1/256.
    flat = RNG.dirichlet(np.full(1000, 1000.0), size=50)
    assert fidelity([flat], [np.zeros_like(flat)]).far
    assert not fidelity([flat], [np.zeros_like(flat)], [1 / 256]).far


def test_outputs_that_do_not_vary():
    constant = np.full((10, 3), 0.5)
    assert not fidelity([constant], [constant * 1.01]).far
    assert fidelity([constant], [constant * 3]).far
    assert fidelity([np.zeros((10, 3))], [np.zeros((10, 3))]).relative_error == 0
    assert fidelity([np.zeros((10, 3))], [np.ones((10, 3))]).far


def test_the_worst_of_several_outputs_counts():
    noise = RNG.normal(size=PROBABILITIES.shape)
    found = fidelity([PROBABILITIES, noise], [PROBABILITIES, -noise])
    assert found.far
    assert found.relative_error == pytest.approx(2, abs=0.01)
    assert math.isnan(fidelity([PROBABILITIES] * 2, [PROBABILITIES, noise * np.nan]).relative_error)

"""Points spread evenly, against scipy's own sequence."""

import keras_tuner
import numpy as np
from driven_oracles import key, mixed, oracle_in, run
from scipy.stats import qmc


def cube(axes=3):
    hp = keras_tuner.HyperParameters()
    for axis in range(axes):
        hp.Float(f"x{axis}", 0.0, 1.0)
    return hp


def test_points_are_scipys_scrambled_sequence(tmp_path):
    found = [list(values.values()) for *_, values in run(oracle_in(tmp_path, "sobol", cube(), seed=3, max_trials=16))]
    np.testing.assert_allclose(found, qmc.Sobol(3, rng=np.random.default_rng([3, 2**32])).random(16))


def test_points_are_spread_more_evenly_than_random_ones(tmp_path):
    found = {
        name: qmc.discrepancy(
            [list(values.values()) for *_, values in run(oracle_in(tmp_path / name, name, cube(), max_trials=64))]
        )
        for name in ("sobol", "random")
    }
    assert found["sobol"] < found["random"] / 4


def test_late_point_costs_no_more_than_the_first(tmp_path):
    oracle = oracle_in(tmp_path, "sobol", cube())
    run(oracle, most=1)
    sequence = qmc.Sobol(3, rng=np.random.default_rng([0, 2**32])).fast_forward(10**6)
    assert list(oracle.propose(10**6).values()) == list(sequence.random(1)[0])


def test_killed_and_resumed_goes_on_with_the_sequence(tmp_path):
    whole = run(oracle_in(tmp_path / "whole", "sobol", mixed(), max_trials=40))
    for most in (7, 8, 30):
        run(oracle_in(tmp_path / "broken", "sobol", mixed(), max_trials=most))
    assert run(oracle_in(tmp_path / "broken", "sobol", mixed(), max_trials=40)) == whole


def test_scopes_are_covered_evenly(tmp_path):
    """Of 64 points 32 are deep, 8 of each number of layers; random has that in one of thousands."""
    found = [values for *_, values in run(oracle_in(tmp_path, "sobol", mixed(), max_trials=64))]
    layers = [values.get("layers") for values in found]
    assert [layers.count(each) for each in (None, 2, 3, 4, 5)] == [32, 8, 8, 8, 8]
    assert len({key(values) for values in found}) == 64

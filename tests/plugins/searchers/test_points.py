"""Which points a searcher proposes: all of the space, none twice, drawn as the space says."""

import itertools
import math

import keras_tuner
import numpy as np
import pytest
from driven_oracles import NAMES, finish, key, mixed, oracle_in, run, run_dynamic, search, twelve
from scipy import stats

from tfkit_searchers.axes import Axis
from tfkit_searchers.levels import grid_levels, levels, sample
from tfkit_searchers.space import combinations


@pytest.mark.parametrize("name", NAMES)
def test_space_of_12_points_gives_12_distinct_trials_and_stops(tmp_path, name):
    trials = run(oracle_in(tmp_path, name, twelve()))
    expected = [
        {"bias": bias, "dropout": dropout, **kind}
        for bias, dropout, kind in itertools.product(
            (False, True), (0.0, 0.5), ({"kind": "flat"}, {"kind": "deep", "layers": 2}, {"kind": "deep", "layers": 3})
        )
    ]
    assert sorted(map(repr, map(key, expected))) == sorted(repr(key(values)) for *_, values in trials)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_space(tmp_path, name):
    hp = mixed()
    allowed = {each.name: each for each in hp.space}
    for _, _, _, values in run(
        oracle_in(tmp_path, name, hp, max_trials=40 if name in ("bayesian", "genetic") else 300)
    ):
        assert values.keys() == {*allowed} - ({"layers"} if values["kind"] == "flat" else set())
        assert 1e-4 <= values["rate"] <= 1e-1
        assert values["units"] in range(4, 257)
        assert values["dropout"] in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
        assert (type(values["bias"]), type(values["units"]), values["classes"]) == (bool, int, 10)


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
@pytest.mark.parametrize("probability", [0.0, 0.5, 1 - 2**-53, 1.0])
def test_sample_stays_within_bounds(sampling, probability):
    types = keras_tuner.engine.hyperparameters
    for parameter in (
        types.Int("i", 4, 256, sampling=sampling),
        types.Int("s", 4, 256, step=3, sampling=sampling),
        types.Float("f", 0.001, 10, sampling=sampling),
        types.Float("t", 0.001, 10, step=10, sampling=sampling),
    ):
        assert parameter.min_value <= sample(parameter, probability) <= parameter.max_value


def test_random_draws_uniformly_and_logarithmically(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Float("linear", -1.0, 3.0)
    hp.Float("log", 1e-4, 1e-1, sampling="log")
    found = [values for *_, values in run(oracle_in(tmp_path, "random", hp, max_trials=1000))]
    linear = [values["linear"] for values in found]
    log = [math.log10(values["log"]) for values in found]
    assert stats.kstest(linear, stats.uniform(-1, 4).cdf).pvalue > 0.01
    assert stats.kstest(log, stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert abs(np.corrcoef(linear, log)[0, 1]) < 0.1


def test_random_finds_the_last_points_of_a_lopsided_space(tmp_path):
    """One choice opens 500 points: uniform draws hit the other, single one over and over."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("units", 1, 500)
    assert len({key(values) for *_, values in run(oracle_in(tmp_path, "random", hp))}) == 501


def test_seeds_are_independent_and_zero_counts(tmp_path):
    found = {}
    for seed in (0, 1, 2, 7):
        for again in range(2):
            trials = run(oracle_in(tmp_path / f"{seed}-{again}", "random", mixed(), seed=seed, max_trials=20))
            found.setdefault(seed, []).append([values["rate"] for *_, values in trials])
    assert all(first == second for first, second in found.values())
    rates = [rate for first, _ in found.values() for rate in first]
    assert len(set(rates)) == len(rates)


def test_given_hyperparameters_are_copied(tmp_path):
    hp = mixed()
    oracle = oracle_in(tmp_path, hyperparameters=hp)
    trial = oracle.create_trial("tuner")
    trial.hyperparameters.Int("found", 1, 2)
    finish(oracle, trial, 1.0)
    assert len(oracle.get_space().space) == len(hp.space) + 1 == 8


def test_grid_covers_what_kerastuners_grid_covers(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["flat", "deep", "wide"], default="deep")
    with hp.conditional_scope("kind", ["deep", "wide"]):
        hp.Int("layers", 1, 3)
        with hp.conditional_scope("layers", [2, 3]):
            hp.Boolean("skip")
    hp.Int("units", 8, 32, step=8, default=16)
    hp.Float("rate", 1e-3, 1e-1, step=10, sampling="log")
    upstream = keras_tuner.oracles.GridSearchOracle("val_loss", hyperparameters=hp.copy())
    upstream.verbose = 0
    upstream._set_project_dir(str(tmp_path), "upstream")
    expected = [key(values) for *_, values in run(upstream)]
    ours = [key(values) for *_, values in run(oracle_in(tmp_path, "grid", hp))]
    assert ours == expected
    assert len(ours) == (1 + 2 * 5) * 4 * 3


def test_grid_levels():
    types = keras_tuner.engine.hyperparameters
    assert list(grid_levels(types.Float("x", 0, 1, step=0.1))) == [n / 10 for n in range(11)]
    assert list(grid_levels(types.Int("x", 6, 13, step=3, default=9))) == [9, 6, 12]
    assert list(grid_levels(types.Boolean("x", default=True))) == [True, False]
    assert list(grid_levels(types.Choice("x", [3, 1, 3, 2]))) == [3, 1, 2]
    assert list(grid_levels(types.Int("x", 1, 8, sampling="log"))) == list(range(1, 9))
    assert list(grid_levels(types.Float("x", 2, 2))) == [2.0]
    assert list(grid_levels(types.Float("x", 0, 1, default=5))) == pytest.approx(np.arange(0.05, 1, 0.1))
    log = list(grid_levels(types.Float("x", 1e-4, 1, sampling="log")))
    assert log == pytest.approx([1e-4, *10 ** (-4 + 4 * np.arange(0.05, 1, 0.1))])
    assert list(levels(types.Float("x", 0.001, 10, step=10, sampling="reverse_log"))) == [
        10,
        9.991,
        9.901,
        9.001,
        0.001,
    ]


def test_grid_computes_nothing_ahead(tmp_path):
    hp = keras_tuner.HyperParameters()
    for number in range(20):
        hp.Int(f"x{number}", 0, 10**9)
        hp.Float(f"y{number}", 0, 1, step=1e-9)
    found = [values["y19"] for *_, values in run(oracle_in(tmp_path, "grid", hp, max_trials=3))]
    assert found == [0.0, 1e-9, 2e-9]


def test_grid_begins_with_the_defaults(tmp_path):
    hp = mixed()
    assert oracle_in(tmp_path, "grid", hp).create_trial("tuner").hyperparameters.values == hp.values


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_on_the_way_is_searched_too(tmp_path, name):
    oracle = oracle_in(tmp_path, name, max_consecutive_failed_trials=100)
    found = [values for *_, values in run_dynamic(lambda: oracle)]
    seen = {(values["layers"], values["units0"], values.get("units1", 1)) for values in found}
    assert seen == set(itertools.product((1, 2), (1, 2, 3), (1, 2, 3)))
    assert len(found) == len(seen)


def test_new_entries_that_are_not_tuned_keep_their_default(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Boolean("bias")
    oracle = oracle_in(tmp_path, "grid", hp, tune_new_entries=False)
    for _ in range(2):
        trial = oracle.create_trial("tuner")
        assert trial.hyperparameters.Int("found", 3, 9) == 3
        finish(oracle, trial, 1.0)
    assert oracle.create_trial("tuner").status == "STOPPED"


@pytest.mark.parametrize("values", [[f"v{n}" for n in range(3000)], list(range(3000))], ids=["text", "numbers"])
@pytest.mark.parametrize("name", ["bayesian", "genetic", "optuna"])
def test_a_choice_of_thousands(name, values):
    if name == "optuna":
        pytest.importorskip("optuna")
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", values)
    oracle = search(name, lambda found: float(values.index(found["kind"])), hp, 14)
    assert len({trial.hyperparameters.values["kind"] for trial in oracle.trials.values()}) == 14


def test_the_coordinates_of_a_choice_of_thousands():
    values = [f"v{n}" for n in range(3000)]
    axis = Axis(keras_tuner.engine.hyperparameters.Choice("kind", values))
    assert [axis.value(axis.coordinate(value)) for value in values[::500]] == values[::500]
    assert list(axis.nearest(np.array([-1.0, 7.2, 2998.6, 9999.0]))) == [0, 7, 2999, 2999]
    drawn = axis.drawn(np.linspace(0, 1, 6001))
    assert set(drawn) == set(range(3000))


def test_a_step_is_found_by_arithmetic(monkeypatch):
    found = levels(keras_tuner.engine.hyperparameters.Float("x", 0.1, 1, step=1e-6))
    looked, get = [], type(found).__getitem__
    monkeypatch.setattr(type(found), "__getitem__", lambda self, index: looked.append(index) or get(self, index))
    assert found.index(0.654321) == 554321
    assert (found.index(0.1), found.index(1.0)) == (0, 900000)
    assert all(value not in found for value in (0.6543215, 0.099999, 1.000001, math.nan, math.inf, "0.5", None))
    with pytest.raises(ValueError, match="is none of the steps"):
        found.index(2.0)
    assert len(looked) < 20


def test_combinations_of_an_empty_space():
    assert list(combinations([], levels)) == [{}]

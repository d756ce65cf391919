"""Optuna's samplers behind an oracle: the same after a kill, in the space, never the same values twice."""

import math
import sys

import keras_tuner
import pytest
from driven_oracles import bowl, key, mixed, oracle_in, plane, run, run_with_kills, search, twelve

import tfkit

SAMPLERS = {"tpe": "optuna", "random": "optuna", "nsgaii": "optuna", "cmaes": "cmaes"}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    pytest.importorskip("optuna")
    pytest.importorskip(SAMPLERS[request.param])
    return request.param


def test_without_optuna_it_says_what_to_install(monkeypatch):
    for name in [each for each in sys.modules if each.startswith("tfkit_searchers.optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(tfkit.PluginNotFound, match=r"searcher 'optuna' needs optuna: pip install .*optuna"):
        tfkit.create("searcher", "optuna", objective="val_loss")


def test_sampler_that_needs_more_says_what(monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(tfkit.PluginNotFound, match="searcher 'optuna' needs cmaes: pip install"):
        tfkit.create("searcher", "optuna", objective="val_loss", sampler="cmaes")


def test_space_of_12_points_gives_12_distinct_trials_and_stops(tmp_path, sampler):
    trials = run(oracle_in(tmp_path, "optuna", twelve(), sampler=sampler))
    assert len({key(values) for *_, values in trials}) == len(trials) == 12


def test_values_are_those_of_the_space(tmp_path, sampler):
    hp = mixed()
    hp.Int("reverse", 4, 256, sampling="reverse_log")
    hp.Float("share", 0.1, 1.0, step=10, sampling="log")
    hp.Choice("batch", [16, 32, 64])
    for *_, values in run(oracle_in(tmp_path, "optuna", hp, sampler=sampler, max_trials=30)):
        assert ("layers" in values) == (values["kind"] == "deep")
        assert values["dropout"] in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
        assert values["units"] in range(4, 257)
        assert values["reverse"] in range(4, 257)
        assert (values["share"] in (0.1, 1.0), values["batch"] in (16, 32, 64), values["classes"]) == (True, True, 10)
        assert 1e-4 <= values["rate"] <= 1e-1


def test_killed_and_resumed_proposes_what_the_uninterrupted_search_does(tmp_path, sampler):
    def searched(folder, kills):
        options = {"sampler": sampler, "max_consecutive_failed_trials": 99}
        make = lambda: oracle_in(tmp_path / folder, "optuna", plane(), **options)  # noqa: E731
        return run_with_kills(make, lambda values: math.nan if values["x"] > 4 else bowl(values), 40, kills)

    assert searched("broken", {0, 5, 12, 20, 33, 39}) == searched("whole", ())


@pytest.mark.parametrize("learning", ["tpe", "cmaes"])
def test_learns_from_the_scores(learning):
    """Random's median of the lowest of 40 is about .8."""
    pytest.importorskip(SAMPLERS[learning])
    pytest.importorskip("optuna")
    oracle = search("optuna", bowl, plane(), 60, sampler=learning)
    assert min(trial.score for trial in oracle.trials.values()) < 0.3


def test_several_objectives(tmp_path):
    pytest.importorskip("optuna")
    objective = ["val_loss", keras_tuner.Objective("size", "max")]
    oracle = oracle_in(tmp_path, "optuna", plane(), max_trials=15, objective=objective)
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, {"val_loss": bowl(trial.hyperparameters.values), "size": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.trials) == 15
    pytest.importorskip("cmaes")
    with pytest.raises(tfkit.ParameterError, match="'cmaes' of searcher 'optuna' takes one objective"):
        tfkit.create("searcher", "optuna", objective=objective, sampler="cmaes")


def test_distributions_are_what_the_hyperparameters_declare():
    """Optuna's own values for each kind, and back."""
    optuna = pytest.importorskip("optuna")
    from tfkit_searchers.optuna_samplers.dimension import Dimension

    types, made = keras_tuner.engine.hyperparameters, optuna.distributions
    for parameter, value, inner, expected in (
        (types.Float("x", 1.0, 10.0, sampling="log"), 2.5, 2.5, made.FloatDistribution(1.0, 10.0, log=True)),
        (types.Float("x", 0.0, 1.0, step=0.25), 0.75, 3, made.IntDistribution(0, 4)),
        (types.Float("x", 1.0, 9.0, sampling="reverse_log"), 9.0, 1.0, made.FloatDistribution(0.0, 1.0)),
        (types.Int("x", 4, 64, sampling="log"), 5, 5, made.IntDistribution(4, 64, log=True)),
        (types.Int("x", 4, 64, step=2, sampling="log"), 16, 2, made.IntDistribution(0, 4)),
        (types.Choice("x", [16, 32, 64]), 64, 2, made.IntDistribution(0, 2)),
        (types.Choice("x", ["a", "b", "c"]), "c", "c", made.CategoricalDistribution(("a", "b", "c"))),
        (types.Float("x", 0.0, 1.0, step=1e-6), 0.25, 0.25, made.FloatDistribution(0.0, 1.0)),
        (types.Fixed("x", 7), 7, 7, made.CategoricalDistribution((7,))),
        (types.Float("x", 2.0, 2.0), 2.0, 0, made.IntDistribution(0, 0)),
    ):
        dimension = Dimension(parameter, "x")
        assert dimension.distribution == expected
        assert (dimension.inner(value), dimension.value(inner)) == (pytest.approx(inner), pytest.approx(value))


def test_a_score_of_ones_own_is_what_a_sampler_is_told():
    pytest.importorskip("optuna")
    from tfkit_searchers.optuna_samplers.oracle import OptunaSearch

    class Opposite(OptunaSearch):
        def score_trial(self, trial):
            super().score_trial(trial)
            trial.score = -trial.score

    oracle = Opposite("val_accuracy", hyperparameters=plane(), seed=0)
    oracle.verbose = 0
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.75})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle._entered(oracle.trials[trial.trial_id]).values == [0.75]

"""Trials that were not worth training, and what else searchers learn from where there are bounds."""

import keras_tuner
import numpy as np
import pytest
from driven_oracles import oracle_in, plane

import tfkit
from tfkit_searchers.bayesian.oracle import BayesianSearch
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.belief import Seen, believed
from tfkit_searchers.surrogate.process import Kernel


def ended(oracle, figures):
    """A new trial that was completed with this."""
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, figures)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return oracle.trials[trial.trial_id]


def test_what_is_to_be_small_and_is_bounded_too_is_excluded_without_a_score(tmp_path):
    given = {"objective": "parameters", "constraints": {"parameters": 1000, "val_accuracy": (">=", 0.9)}}
    oracle = oracle_in(tmp_path, hyperparameters=plane(), **given)
    large = ended(oracle, {"parameters": 1500})
    small = ended(oracle, {"parameters": 500, "val_accuracy": 0.95})
    for each in (oracle, oracle_in(tmp_path, hyperparameters=plane(), **given)):
        known = [each.trials[trial.trial_id] for trial in (large, small)]
        assert [(trial.status, trial.score, each.violation(trial)) for trial in known] == [
            ("COMPLETED", None, 0.5),
            ("COMPLETED", 500.0, 0.0),
        ]
        assert each.get_best_trials()[0].trial_id == small.trial_id


def test_where_nothing_is_trained_all_are_scored():
    """By hand: an oracle that is asked for a figure alone has trials with a score, beyond the bound too."""
    oracle = tfkit.create("searcher", "random", objective="bytes", hyperparameters=plane(), constraints={"bytes": 10})
    oracle.verbose = 0
    assert ended(oracle, {"bytes": 20}).score == 20


def test_an_objective_of_another_name_is_an_error_where_a_bound_is_exceeded_too():
    given = {"objective": keras_tuner.Objective("val_acc", "max"), "constraints": {"val_loss": 0.1}}
    oracle = tfkit.create("searcher", "random", hyperparameters=plane(), **given)
    oracle.verbose = 0
    trial = oracle.create_trial("tuner")
    with pytest.raises(ValueError, match=r"Objective value missing .*: val_acc; there are: val_accuracy, val_loss"):
        oracle.update_trial(trial.trial_id, {"val_accuracy": 0.8, "val_loss": 0.5})


@pytest.mark.parametrize("name", ["bayesian", "genetic"])
def test_what_was_not_trained_is_not_taken_for_better_than_what_was(name):
    """While none keeps to the bounds: of the untrained one it is known alone that it is a little too large."""
    given = {"constraints": {"parameters": 100, "val_mae": 0.1}, "objective": "val_loss"}
    oracle = tfkit.create("searcher", name, hyperparameters=plane(), seed=0, **given)
    oracle.verbose = 0
    for mae in (0.2, 0.6, 0.3):
        ended(oracle, {"parameters": 50, "val_mae": mae, "val_loss": 1.0})
    ended(oracle, {"parameters": 105})
    told = oracle.told()
    assert told.violations == pytest.approx([1.0, 5.0, 2.0, 5.0 + 0.05])
    assert told.losses[:, 0] == pytest.approx(told.violations)


def test_a_score_of_ones_own_is_learned_from():
    """KerasTuner documents `score_trial` as a method to override."""

    class Latest(BayesianSearch):
        def score_trial(self, trial):
            super().score_trial(trial)
            trial.score = trial.metrics.get_history("val_accuracy")[-1].mean()

    oracle = Latest("val_accuracy", max_trials=None, hyperparameters=plane(), seed=0)
    oracle.verbose = 0
    for first, last in ((0.9, 0.1), (0.2, 0.8), (0.3, 0.4)):
        trial = oracle.create_trial("tuner")
        for step, value in enumerate((first, last)):
            oracle.update_trial(trial.trial_id, {"val_accuracy": value}, step=step)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.told().losses[:, 0] == pytest.approx([-0.1, -0.8, -0.4])


def test_of_a_trial_that_is_running_no_violation_is_remembered():
    oracle = tfkit.create("searcher", "random", objective="val_loss", hyperparameters=plane(), constraints={"room": 1})
    oracle.verbose = 0
    trial = oracle.create_trial("tuner")
    assert oracle.violation(trial) == 0
    oracle.update_trial(trial.trial_id, {"val_loss": 1, "room": 3})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.violation(oracle.trials[trial.trial_id]) == 2


@pytest.mark.parametrize("cause", ["out of bounds", "of an earlier search"])
def test_of_very_many_points_the_best_that_counts_is_kept(cause):
    """Whatever is better does not count, and lies where it does."""
    encoding, rng = Encoding(plane(0.0, 1.0).space), np.random.default_rng(0)
    points, targets = rng.random((400, 2)), np.linspace(-1, 1, 400)
    points[300] = points[0]
    counts = np.arange(400) >= 300
    given = {"feasible": counts} if cause == "out of bounds" else {"own": counts}
    none = np.empty((0, 2))
    kernel = Kernel(np.array([0.5, 0.5]), 1.0, 1e-3)
    belief = believed(encoding, kernel, Seen(points, targets, none, none, **given))
    assert sum((belief.points == points[300]).all(1)) == 2

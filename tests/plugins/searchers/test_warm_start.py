"""What a searcher makes of an earlier search's trials."""

import numpy as np
import pytest
from driven_oracles import bowl, finish, mixed, oracle_in, plane, run_with_kills, search

import tfkit


def shifted(values):
    """The bowl, its bottom moved by .3."""
    return bowl({"x": values["x"] - 0.3, "y": values["y"]})


def results_of(oracle):
    return [(trial.hyperparameters.values, {"val_loss": trial.score}) for trial in oracle.trials.values()]


@pytest.mark.parametrize("name", ["bayesian", "genetic"])
def test_fewer_trials_are_needed(tmp_path, name):
    earlier = results_of(search("bayesian", bowl, plane(), 20))

    def needed(folder, results):
        oracle = oracle_in(tmp_path / folder, name, plane())
        if results:
            assert oracle.inform(results) == 20
        for number in range(1, 41):
            trial = oracle.create_trial("tuner")
            if finish(oracle, trial, shifted(trial.hyperparameters.values)).score < 0.2:
                return number
        return 99

    assert needed("warm", earlier) <= 5
    assert needed("cold", None) >= 8


def test_what_was_told_is_no_trial_and_outlives_a_kill(tmp_path):
    earlier = results_of(search("random", bowl, plane(), 15, seed=1))

    def current(folder):
        oracle = oracle_in(tmp_path / folder, "bayesian", plane())
        is_new = not oracle.known()
        assert oracle.inform(earlier if is_new else []) == (15 if is_new else None)
        return oracle

    whole = run_with_kills(lambda: current("whole"), shifted, 8)
    assert run_with_kills(lambda: current("broken"), shifted, 8, {1, 5, 7}) == whole
    assert [each for each, *_ in whole] == [f"{number:04d}" for number in range(8)]


def test_what_does_not_fit_is_left_out(tmp_path):
    oracle = oracle_in(tmp_path, "bayesian", plane(-1.0, 1.0))
    fits = {"x": 0.5, "y": 0.5, "other": 3}
    told = [
        (fits, {"val_loss": 1.0}),
        ({"x": 5.0, "y": 0.0}, {"val_loss": 1.0}),
        (fits, {"loss": 1.0}),
        (fits, {"val_loss": np.nan}),
        ({"x": 0.5}, {"val_loss": 2.0, "more": 1.0}),
    ]
    assert oracle.inform(told) == 2
    assert [dict(trial.hyperparameters.values) for trial in oracle.known()] == [
        {"x": 0.5, "y": 0.5},
        {"x": 0.5, "y": -1.0},
    ]
    assert not oracle.trials


@pytest.mark.parametrize("name", ["random", "grid", "sobol"])
def test_searchers_that_do_not_learn_try_the_best_five_again(tmp_path, name):
    hp = mixed()
    earlier = results_of(search("random", lambda values: values["rate"], hp, 12, seed=3))
    oracle = oracle_in(tmp_path, name, hp)
    assert oracle.inform(earlier) == 12
    tried = []
    for number in range(6):
        trial = oracle.create_trial("tuner")
        tried.append(trial.hyperparameters.values)
        finish(oracle, trial, 1.0)
        if number == 2:
            oracle = oracle_in(tmp_path, name, hp)
            oracle.inform(earlier)
    best = sorted((values for values, _ in earlier), key=lambda values: values["rate"])
    assert tried[:5] == best[:5]
    assert tried[5] != best[5]


def test_searchers_that_plan_all_trials_take_none():
    oracle = tfkit.create("searcher", "hyperband", objective="val_loss", hyperparameters=plane())
    with pytest.raises(tfkit.ParameterError, match="plans all of its trials: leave out warm_start"):
        oracle.inform([])


def test_a_search_that_began_without_takes_none(tmp_path):
    oracle = oracle_in(tmp_path, "bayesian", plane())
    finish(oracle, oracle.create_trial("tuner"), 1.0)
    with pytest.raises(tfkit.SearchError, match="has begun without what an earlier one knows: leave out warm_start"):
        oracle.inform([({"x": 0.5, "y": 0.5}, {"val_loss": 1.0})])
    assert oracle.known() == []

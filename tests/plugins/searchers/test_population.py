"""Population-based training: who goes on from whom, with what values."""

import math

import keras_tuner
import numpy as np
import pytest
from driven_oracles import finish, key, mixed, oracle_in, run_with_kills, twelve

import tfkit
from tfkit_searchers.population.explore import explored, perturbed


def line():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.1, 1.0)
    hp.Int("units", 8, 64)
    return hp


def told(trial):
    return {name.removeprefix("tuner/"): value for name, value in trial.hyperparameters.values.items() if "/" in name}


def own(trial):
    return {name: value for name, value in trial.hyperparameters.values.items() if "/" not in name}


def run_generation(oracle, members, score):
    """The trials of a generation, run in the reverse of the order in which they were given."""
    trials = [oracle.create_trial(f"tuner{number}") for number in range(members)]
    assert oracle.create_trial("late").status == "IDLE"
    for trial in reversed(trials):
        finish(oracle, trial, score(trial))
    return trials


def test_worst_quarter_goes_on_from_the_best_quarter(tmp_path):
    oracle = oracle_in(tmp_path, "population", line(), population=8, interval=3, generations=3)
    first = run_generation(oracle, 8, lambda trial: float(trial.trial_id))
    assert [told(trial) for trial in first] == [{"epochs": 3, "initial_epoch": 0}] * 8
    second = run_generation(oracle, 8, lambda trial: -float(trial.trial_id))
    for before, trial in zip(first[:6], second):
        assert told(trial) == {"epochs": 6, "initial_epoch": 3, "trial_id": before.trial_id}
        assert own(trial) == own(before)
    for trial in second[6:]:
        parent = oracle.trials[told(trial)["trial_id"]]
        assert parent in first[:2]
        assert own(trial) != own(parent)
    third = run_generation(oracle, 8, lambda trial: 1.0)
    assert {told(trial)["trial_id"] for trial in third[:2]} <= {trial.trial_id for trial in second[6:]}
    assert [told(trial)["trial_id"] for trial in third[2:]] == [trial.trial_id for trial in second[2:]]
    assert oracle.create_trial("tuner").status == "STOPPED"


def test_large_scores_are_copied_where_they_are_good(tmp_path):
    objective = keras_tuner.Objective("score", "max")
    oracle = oracle_in(tmp_path, "population", line(), population=4, objective=objective)
    run_generation(oracle, 4, lambda trial: float(trial.trial_id))
    assert told(oracle.create_trial("tuner"))["trial_id"] == "0003"


def test_members_that_failed_are_replaced(tmp_path):
    oracle = oracle_in(tmp_path, "population", line(), population=4, max_consecutive_failed_trials=9)
    first = run_generation(oracle, 4, lambda trial: 1.0 if trial.trial_id == "0002" else math.nan)
    assert [trial.status for trial in first] == ["FAILED", "FAILED", "COMPLETED", "FAILED"]
    second = run_generation(oracle, 4, lambda trial: 1.0)
    assert {told(trial)["trial_id"] for trial in second} == {"0002"}
    assert len({key(own(trial)) for trial in second}) == 4


def test_search_ends_where_every_member_failed(tmp_path):
    oracle = oracle_in(tmp_path, "population", line(), population=2, max_consecutive_failed_trials=9)
    run_generation(oracle, 2, lambda trial: math.nan)
    assert oracle.create_trial("tuner").status == "STOPPED"


def test_numbers_are_perturbed_steps_go_to_the_next_and_choices_stay():
    types = keras_tuner.engine.hyperparameters
    generator = np.random.default_rng(0)

    def found(parameter, value):
        return sorted({perturbed(parameter, value, generator) for _ in range(30)})

    assert found(types.Float("x", 0.0, 1.0), 0.4) == pytest.approx([0.32, 0.5])
    assert found(types.Float("x", 0.0, 1.0), 0.9) == pytest.approx([0.72, 1.0])
    assert found(types.Float("x", 0, 1, step=0.1), 0.3) == [0.2, 0.4]
    assert found(types.Float("x", 1e-4, 1, step=10, sampling="log"), 1e-4) == [1e-4, 1e-3]
    assert found(types.Int("x", 1, 100), 40) == [32, 50]
    assert found(types.Int("x", 1, 100), 1) == [1, 2]
    assert found(types.Choice("x", [16, 32, 64]), 32) == [16, 64]
    assert found(types.Choice("x", ["a", "b", "c"]), "b") == ["b"]


def test_explored_values_are_those_of_the_space():
    generator = np.random.default_rng(0)
    start = {"rate": 1e-2, "units": 32, "dropout": 0.1, "bias": True, "classes": 10, "kind": "flat"}
    kinds = []
    for _ in range(200):
        values = explored(mixed().space, start, ("units",), 0.25, generator)
        assert ("layers" in values) == (values["kind"] == "deep")
        assert (values["units"], values["classes"]) == (32, 10)
        assert 1e-4 <= values["rate"] <= 1e-1
        kinds.append(values["kind"])
    assert kinds.count("deep") / 200 == pytest.approx(1 / 8, abs=0.06)  # drawn anew in a quarter, then in half of those


def test_fixed_values_go_with_the_weights(tmp_path):
    oracle = oracle_in(tmp_path, "population", line(), population=4, fixed=["units"])
    run_generation(oracle, 4, lambda trial: -float(trial.trial_id))
    for trial in run_generation(oracle, 4, lambda trial: 1.0):
        assert own(trial)["units"] == own(oracle.trials[told(trial)["trial_id"]])["units"]
    oracle = oracle_in(tmp_path / "other", "population", line(), population=4, fixed=["width"])
    run_generation(oracle, 4, lambda trial: -float(trial.trial_id))
    with pytest.raises(tfkit.ParameterError, match=r"'fixed' .* names 'width', which is no hyperparameter: .*units, x"):
        oracle.create_trial("tuner")


def test_weights_are_needed_until_the_next_generation_has_begun_with_them(tmp_path):
    oracle = oracle_in(tmp_path, "population", line(), population=4, generations=3)
    ended = 0
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        parent = told(trial).get("trial_id")
        assert parent is None or parent in oracle.needed()
        finish(oracle, trial, trial.hyperparameters.get("x"))
        ended += 1
        assert oracle.needed() >= {f"{each:04d}" for each in range(ended - 1 - (ended - 1) % 4, min(ended, 8))}
        assert len(oracle.needed()) <= 8
    assert oracle.needed() == set()
    assert oracle.continues


def test_killed_and_resumed_goes_on_as_the_uninterrupted_search(tmp_path):
    def searched(folder, kills):
        make = lambda: oracle_in(tmp_path / folder, "population", mixed(), population=6, generations=5)  # noqa: E731
        return run_with_kills(make, lambda values: values["rate"], 30, kills)

    assert searched("broken", {0, 3, 5, 6, 7, 17, 18, 29}) == searched("whole", ())


def test_space_of_12_points_gives_12_distinct_members_and_ends(tmp_path):
    oracle = oracle_in(tmp_path, "population", twelve(), population=20, generations=4)
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        finish(oracle, trial, float(len(str(own(trial)))))
    trials = list(oracle.trials.values())
    assert len({key(own(trial)) for trial in trials[:12]}) == 12
    assert [told(trial)["initial_epoch"] for trial in trials] == [each for each in range(4) for _ in range(12)]
    assert len({key(trial.hyperparameters.values) for trial in trials}) == 48


def test_other_interval_is_refused(tmp_path):
    oracle_in(tmp_path, "population", line(), interval=2).create_trial("tuner")
    oracle = oracle_in(tmp_path, "population", line(), interval=3)
    finish(oracle, oracle.create_trial("tuner"), 1.0)
    with pytest.raises(tfkit.SearchError, match="0000 is of a generation of 2 epochs; got interval=3"):
        oracle.create_trial("tuner")


def test_reaches_what_no_constant_values_reach(tmp_path):
    """The example of Jaderberg et al. (2017), figure 2: 1.2 - a² - b² is climbed along 1.2 - h a² - k b².

    From (.9, .9) with any h + k = 1, twenty epochs of gradients leave one of a and b far from 0. Members that
    exchange weights and go on with others' values come to both.
    """
    hp = keras_tuner.HyperParameters()
    hp.Float("h", 0.0, 1.0)
    weights = {}

    def train(trial):
        values = trial.hyperparameters.values
        a, b = weights.get(values.get("tuner/trial_id"), (0.9, 0.9))
        for _ in range(values["tuner/epochs"] - values["tuner/initial_epoch"]):
            a, b = a - 0.1 * values["h"] ** 4 * a, b - 0.1 * (1 - values["h"]) ** 4 * b
        weights[trial.trial_id] = (a, b)
        return 1.2 - a * a - b * b

    def reached(generations, interval):
        objective = keras_tuner.Objective("score", "max")
        folder = tmp_path / f"{generations}"
        given = {"population": 8, "generations": generations, "interval": interval, "objective": objective}
        oracle = oracle_in(folder, "population", hp, **given)
        while (trial := oracle.create_trial("tuner")).status == "RUNNING":
            finish(oracle, trial, train(trial))
        return oracle.get_best_trials()[0].score

    assert reached(20, 5) > reached(1, 100) + 0.1

"""Hyperband's plan, against KerasTuner's; what goes on to the next round, and whose weights are needed."""

import keras_tuner
import pytest
from driven_oracles import finish, key, oracle_in, run_with_kills, twelve

import tfkit
from tfkit_searchers.hyperband.plan import Plan


def line():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    return hp


def told(trial):
    return {name.removeprefix("tuner/"): value for name, value in trial.hyperparameters.values.items() if "/" in name}


def own(trial):
    return key({name: value for name, value in trial.hyperparameters.values.items() if "/" not in name})


def run_all(oracle, score=lambda values: values["x"]):
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        finish(oracle, trial, score(trial.hyperparameters.values))
    return list(oracle.trials.values())


def rounds(trials, bracket):
    found = {}
    for trial in trials:
        if told(trial)["bracket"] == bracket:
            found.setdefault(told(trial)["round"], []).append(trial)
    return found


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("max_epochs", [1, 2, 9, 10, 27, 81, 100, 243, 300])
def test_plan_is_kerastuners(max_epochs, factor):
    upstream = keras_tuner.oracles.HyperbandOracle("val_loss", max_epochs=max_epochs, factor=factor)
    plan = Plan(max_epochs, factor)
    assert len(plan.brackets) == upstream._get_num_brackets()
    for bracket in plan.brackets:
        for round_ in range(upstream._get_num_rounds(bracket)):
            assert plan.epochs(bracket, round_) == upstream._get_epochs(bracket, round_)
            if (max_epochs, factor) != (243, 3):  # the logarithm of 243 by 3 is 4.999… to floating point
                assert plan.size(bracket, round_) == upstream._get_size(bracket, round_)


def test_best_of_each_round_go_on_and_others_do_not(tmp_path):
    trials = run_all(oracle_in(tmp_path, "hyperband", line(), max_epochs=9, hyperband_iterations=2))
    assert len(trials) == 2 * (9 + 3 + 1 + 5 + 2 + 3)
    begun = [trial for trial in trials if told(trial)["round"] == 0]
    assert len({own(trial) for trial in begun}) == len(begun) == 2 * 17
    first = rounds(trials[:23], 2)
    for round_, (epochs, before, size) in {0: (1, 0, 9), 1: (3, 1, 3), 2: (9, 3, 1)}.items():
        members = first[round_]
        assert [(told(each)["epochs"], told(each)["initial_epoch"]) for each in members] == [(epochs, before)] * size
        if round_:
            best = sorted(first[round_ - 1], key=lambda trial: trial.score)[:size]
            assert [told(each)["trial_id"] for each in members] == [each.trial_id for each in best]
            assert [own(each) for each in members] == [own(each) for each in best]
    assert all("trial_id" not in told(trial) for trial in begun)


def test_large_scores_go_on_where_they_are_good(tmp_path):
    objective = keras_tuner.Objective("score", "max")
    trials = run_all(oracle_in(tmp_path, "hyperband", line(), max_epochs=3, objective=objective))
    first = rounds(trials, 1)
    assert told(first[1][0])["trial_id"] == max(first[0], key=lambda trial: trial.score).trial_id


def test_round_waits_for_all_of_the_one_before_while_another_bracket_begins(tmp_path):
    oracle = oracle_in(tmp_path, "hyperband", line(), max_epochs=3)
    running = [oracle.create_trial(f"tuner{number}") for number in range(5)]
    assert [told(trial)["bracket"] for trial in running] == [1, 1, 1, 0, 0]
    assert oracle.create_trial("late").status == "IDLE"
    for trial in running[1:]:
        finish(oracle, trial, trial.hyperparameters.get("x"))
    assert oracle.create_trial("late").status == "IDLE"
    finish(oracle, running[0], 9.0)
    assert told(oracle.create_trial("late"))["round"] == 1


def test_failed_trials_do_not_go_on(tmp_path):
    oracle = oracle_in(tmp_path, "hyperband", line(), max_epochs=3)
    for status in ("FAILED", "COMPLETED", "FAILED"):
        finish(oracle, oracle.create_trial("tuner"), 1.0, status)
    assert told(oracle.create_trial("tuner"))["trial_id"] == "0001"


def test_weights_are_needed_until_nothing_begins_with_them_any_more(tmp_path):
    """Each trial that is trained further was needed from its end until then; at the end none is."""
    oracle = oracle_in(tmp_path, "hyperband", line(), max_epochs=9)
    needed = []
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        parent = told(trial).get("trial_id")
        if parent is not None:
            assert all(parent in each for each in needed[int(parent) :])
            assert parent in oracle.needed()
        finish(oracle, trial, trial.hyperparameters.get("x"))
        assert parent not in oracle.needed()
        needed.append(oracle.needed())
    assert [len(each) for each in needed[:13]] == [1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 3, 1, 0]
    assert oracle.needed() == set()
    assert oracle.continues


def test_killed_and_resumed_goes_on_as_the_uninterrupted_search(tmp_path):
    def searched(folder, kills):
        make = lambda: oracle_in(tmp_path / folder, "hyperband", line(), max_epochs=9)  # noqa: E731
        return run_with_kills(make, lambda values: values["x"], 23, kills)

    assert searched("broken", {0, 4, 9, 10, 12, 15, 20, 22}) == searched("whole", ())


def test_space_of_12_points_gives_12_configurations_and_stops(tmp_path):
    oracle = oracle_in(tmp_path, "hyperband", twelve())
    trials = run_all(oracle, lambda values: len(str(values)))
    begun = [own(trial) for trial in trials if told(trial)["round"] == 0]
    assert len(begun) == len(set(begun)) == 12
    # 98 go to 33, 11, 4 and 2; here each round has as large a part of the one before, rounded up.
    assert [len(members) for members in rounds(trials, 4).values()] == [12, 5, 2, 1, 1]
    assert oracle.create_trial("tuner").status == "STOPPED"


def test_max_trials_ends_it(tmp_path):
    assert len(run_all(oracle_in(tmp_path, "hyperband", line(), max_epochs=9, max_trials=11))) == 11


def test_search_that_was_begun_with_another_plan_is_refused(tmp_path):
    run_all(oracle_in(tmp_path, "hyperband", line(), max_epochs=9))
    with pytest.raises(tfkit.SearchError, match=r"0000 is of a bracket 2 that is not planned: .*max_epochs, factor"):
        oracle_in(tmp_path, "hyperband", line(), max_epochs=3).create_trial("tuner")


@pytest.mark.parametrize("given", [{"max_epochs": 0}, {"factor": 1}, {"hyperband_iterations": 0}])
def test_parameters_are_bounded(given):
    with pytest.raises(tfkit.ParameterError, match=f"'{next(iter(given))}' of searcher 'hyperband'"):
        tfkit.create("searcher", "hyperband", objective="val_loss", **given)

"""KerasTuner's silent errors in searching: each test fails when KerasTuner mends one, so that the repair can go."""

import math

import keras_tuner
import pytest
from keras_tuner.oracles import BayesianOptimizationOracle, RandomSearchOracle

from tfkit_searchers.bayesian.oracle import BayesianSearch
from tfkit_searchers.levels import sample
from tfkit_searchers.objective import direction_of
from tfkit_searchers.random_search import RandomSearch


def one_float():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    return hp


def oracle_in(make, folder, hyperparameters, **options):
    oracle = make("loss", **{"max_trials": 50, "hyperparameters": hyperparameters, "seed": 1, **options})
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), make.__name__)
    return oracle


def finish(oracle, trial, score):
    oracle.update_trial(trial.trial_id, {"loss": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return trial.status


def test_trap_22_infinity_is_taken_for_a_score(tmp_path):
    statuses = []
    for make in (RandomSearchOracle, RandomSearch):
        oracle = oracle_in(make, tmp_path, one_float())
        statuses.append(finish(oracle, oracle.create_trial("tuner"), math.inf))
    assert statuses == ["COMPLETED", "FAILED"]


def test_trap_22_infinity_is_the_best_score_for_the_bayesian_oracle(tmp_path):
    """Its Gaussian process sees 0 in its place: less than every real loss here."""
    hp = one_float()
    oracle = oracle_in(BayesianOptimizationOracle, tmp_path, hp, num_initial_points=3)
    for score in (5.0, math.inf, 6.0):
        finish(oracle, oracle.create_trial("tuner"), score)
    seen = []
    fit = oracle.gpr.fit
    oracle.gpr.fit = lambda x, y: (seen.extend(y), fit(x, y))
    oracle.create_trial("tuner")
    assert min(seen) == 0.0


class Killed(BaseException):
    pass


def test_trap_23_killed_trial_comes_back_with_another_trials_score(tmp_path):
    """Killed between the two files of a new trial, KerasTuner never runs it; it counts with the score before it."""
    killed = oracle_in(BayesianOptimizationOracle, tmp_path, one_float())
    finish(killed, killed.create_trial("tuner"), 7.0)
    killed.save()  # as its tuner does after each trial

    def kill():
        raise Killed

    killed.save = kill
    with pytest.raises(Killed):
        killed.create_trial("tuner")
    resumed = oracle_in(BayesianOptimizationOracle, tmp_path, one_float())
    resumed.reload()
    assert resumed.create_trial("tuner").trial_id == "02"
    resumed.ongoing_trials.clear()
    resumed.trials = dict(sorted(resumed.trials.items()))  # they come in the order of the files in their folder
    assert resumed.trials["01"].status == "RUNNING"
    assert list(resumed._vectorize_trials()[1][:2]) == [7.0, 7.0]


def test_trap_23_killed_trial_is_given_again(tmp_path):
    killed = oracle_in(RandomSearch, tmp_path, one_float())
    finish(killed, killed.create_trial("tuner"), 7.0)
    lost = killed.create_trial("tuner")
    resumed = oracle_in(RandomSearch, tmp_path, one_float())
    resumed.reload()
    again = resumed.create_trial("tuner")
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)
    finish(resumed, again, 3.0)
    assert [trial.score for trial in resumed.trials.values()] == [7.0, 3.0]


def drawn(make, folder, seed):
    oracle = oracle_in(make, folder / str(seed), one_float(), seed=seed)
    return [oracle.create_trial(f"tuner{number}").hyperparameters.values["x"] for number in range(10)]


def test_trap_24_seeds_give_one_study_shifted(tmp_path):
    assert drawn(RandomSearchOracle, tmp_path, 8)[:7] == drawn(RandomSearchOracle, tmp_path, 5)[3:]
    assert not set(drawn(RandomSearch, tmp_path, 8)) & set(drawn(RandomSearch, tmp_path, 5))


def test_trap_24_seed_zero_is_ignored(tmp_path):
    assert oracle_in(RandomSearchOracle, tmp_path, one_float(), seed=0).seed != 0
    first, second = (drawn(RandomSearch, tmp_path / each, 0) for each in "ab")
    assert first == second


class Tuner(keras_tuner.Tuner):
    """Reports what it is told to, and may be interrupted before the trial ends."""

    result, interrupt = 0.0, False

    def run_trial(self, trial, *args, **kwargs):
        return self.result

    def on_trial_end(self, trial):
        if self.interrupt:
            raise KeyboardInterrupt
        super().on_trial_end(trial)


@pytest.mark.filterwarnings("ignore:The use case of calling:DeprecationWarning")
def test_trap_25_result_after_an_interruption_is_ignored(tmp_path):
    scores = []
    for make in (RandomSearchOracle, RandomSearch):
        for result, interrupt in ((9.0, False), (1.0, True), (2.0, False)):
            oracle = make(max_trials=2, hyperparameters=one_float(), seed=1)
            tuner = Tuner(oracle, directory=tmp_path, project_name=make.__name__)
            tuner.result, tuner.interrupt = result, interrupt
            if result == 9.0:
                oracle.max_trials = 1
            try:
                tuner.search(verbose=0)
            except KeyboardInterrupt:
                assert interrupt
        scores.append([trial.score for _, trial in sorted(oracle.trials.items())])  # KerasTuner lists files unsorted
    assert scores == [[9.0, 1.0], [9.0, 2.0]]


def two_points():
    hp = keras_tuner.HyperParameters()
    hp.Boolean("bias")
    return hp


def test_trap_26_bayesian_oracle_repeats_points(tmp_path):
    found = []
    for make in (BayesianOptimizationOracle, BayesianSearch):
        oracle = oracle_in(make, tmp_path, two_points(), num_initial_points=2)
        values = []
        while len(values) < 3 and (trial := oracle.create_trial("tuner")).status == "RUNNING":
            values.append(trial.hyperparameters.values["bias"])
            finish(oracle, trial, float(values[-1]))
        found.append((len(values), len(set(values))))
    assert found == [(3, 2), (2, 2)]


def test_trap_26_bayesian_oracle_resumed_differs(tmp_path):
    found = {}
    for make in (BayesianOptimizationOracle, BayesianSearch):
        for stop in (None, 3):
            oracle = oracle_in(make, tmp_path / str(stop), one_float(), num_initial_points=3)
            points = found.setdefault((make, stop), [])
            for number in range(4):
                if number == stop:
                    oracle.save()  # as its tuner does after each trial
                    oracle = oracle_in(make, tmp_path / str(stop), one_float(), num_initial_points=3)
                    oracle.reload()
                trial = oracle.create_trial("tuner")
                points.append(trial.hyperparameters.values["x"])
                finish(oracle, trial, (points[-1] - 0.3) ** 2)
    whole, resumed = (found[BayesianOptimizationOracle, stop] for stop in (None, 3))
    assert whole[:3] == resumed[:3]
    assert whole[3] != resumed[3]
    assert found[BayesianSearch, None] == found[BayesianSearch, 3]


def test_trap_27_logarithmic_int_leaves_its_range(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 4, 256, sampling="log")
    assert hp.space[0].prob_to_value(1.0) == 257
    assert sample(hp.space[0], 1.0) == 256

    oracle = oracle_in(BayesianOptimizationOracle, tmp_path, hp, num_initial_points=3)
    found = []
    for _ in range(6):
        trial = oracle.create_trial("tuner")
        found.append(trial.hyperparameters.values["units"])
        finish(oracle, trial, -found[-1])
    assert max(found) == 257


def test_metrics_that_are_better_when_large_are_minimized():
    """KerasTuner knows no direction for some metrics and the wrong one for others; not in the list of traps."""
    infer = keras_tuner.engine.metrics_tracking.infer_metric_direction
    assert [infer(name) for name in ("val_f1_score", "val_r2_score")] == ["min", "min"]
    assert [direction_of(name) for name in ("val_f1_score", "val_r2_score")] == ["max", "max"]
    with pytest.raises(TypeError, match="MeanIoU"):
        infer("val_mean_io_u")
    assert direction_of("val_mean_io_u") == "max"


def test_grid_loses_the_end_of_a_range_of_floats():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0, 1, step=0.1)
    assert max(hp.space[0].values) == 0.9
    assert sample(hp.space[0], 1.0) == 1.0


TWO = [keras_tuner.Objective("accuracy", "max"), keras_tuner.Objective("bytes", "min")]


class Told(keras_tuner.Tuner):
    """Its trials return a dict."""

    def run_trial(self, trial, *args, **options):
        return {"accuracy": trial.hyperparameters.get("x"), "bytes": 1000.0}


def test_several_objectives_are_added_up_whatever_their_units():
    """A byte less outweighs half of the accuracy; here the first leads."""
    good, small = {"accuracy": 0.99, "bytes": 1000.0}, {"accuracy": 0.49, "bytes": 999.0}
    is_better = []
    for make in (RandomSearchOracle, RandomSearch):
        objective = make(TWO, max_trials=2, hyperparameters=one_float(), seed=1).objective
        is_better.append(objective.better_than(objective.get_value(good), objective.get_value(small)))
    assert is_better == [False, True]


def test_several_objectives_in_a_dict_end_the_search(tmp_path):
    def tuner(make):
        oracle = make(TWO, max_trials=3, hyperparameters=one_float(), seed=1)
        oracle.verbose = 0
        return Told(oracle=oracle, directory=tmp_path, project_name=make.__name__)

    with pytest.raises(keras_tuner.errors.FatalValueError, match="multi_objective"):
        tuner(RandomSearchOracle).search()
    searched = tuner(RandomSearch)
    searched.search()
    best = max(trial.hyperparameters.get("x") for trial in searched.oracle.trials.values())
    assert searched.oracle.get_best_trials()[0].score == best

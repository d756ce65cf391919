"""How a trial goes: handed out, scored, failed, tried again, by one tuner or many."""

import math
import threading
from pathlib import Path

import keras_tuner
import pytest
from driven_oracles import NAMES, finish, key, mixed, oracle_in, run, twelve

import tfkit
from tfkit_searchers.grid import GridSearch
from tfkit_searchers.objective import direction_of
from tfkit_searchers.random_search import RandomSearch


@pytest.mark.parametrize("name", NAMES)
def test_idle_while_trials_are_pending_then_stopped(tmp_path, name):
    oracle = oracle_in(tmp_path, name, twelve())
    pending = [oracle.create_trial(f"tuner{number}") for number in range(12)]
    assert {trial.status for trial in pending} == {"RUNNING"}
    assert oracle.create_trial("late").status == "IDLE"
    for trial in pending:
        finish(oracle, trial, 1.0)
    assert oracle.create_trial("late").status == "STOPPED"
    assert oracle.tuner_ids == {f"tuner{number}" for number in range(12)}


def test_same_tuner_gets_the_same_trial_until_it_ends(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed())
    assert oracle.create_trial("tuner") is oracle.create_trial("tuner")


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["min", "max"])
def test_no_score_that_is_not_finite_counts(tmp_path, score, direction):
    oracle = oracle_in(tmp_path, hyperparameters=mixed(), objective=keras_tuner.Objective("x", direction))
    trial = finish(oracle, oracle.create_trial("tuner"), score)
    assert (trial.status, trial.score) == ("FAILED", None)
    assert "finite" in trial.message
    good = finish(oracle, oracle.create_trial("tuner"), 1.0)
    for each in (oracle, oracle_in(tmp_path, hyperparameters=mixed(), objective=oracle.objective)):
        assert each.get_best_trials()[0].trial_id == good.trial_id
        assert [trial.status for trial in each.trials.values()] == ["FAILED", "COMPLETED"]


def test_epoch_that_is_not_finite_does_not_hide_the_best_one(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed())
    trial = oracle.create_trial("tuner")
    for step, score in enumerate([0.5, 0.3, math.nan, -math.inf]):
        oracle.update_trial(trial.trial_id, {"val_loss": score}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert (trial.status, trial.score, trial.best_step) == ("COMPLETED", 0.3, 1)
    restored = oracle_in(tmp_path, hyperparameters=mixed()).trials["0000"]
    assert repr(restored.metrics.get_history("val_loss")) == repr(trial.metrics.get_history("val_loss"))


def test_good_retry_after_nan_counts(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed(), max_retries_per_trial=2)
    trial = oracle.create_trial("tuner")
    assert finish(oracle, trial, math.nan).status == "INVALID"
    again = oracle.create_trial("tuner")
    assert (again.trial_id, again.message) == (trial.trial_id, None)
    assert finish(oracle, again, 0.25).status == "COMPLETED"
    assert oracle_in(tmp_path, hyperparameters=mixed()).get_best_trials()[0].score == 0.25


def test_retries_are_counted_across_a_restart(tmp_path):
    statuses = []
    for _ in range(3):
        oracle = oracle_in(tmp_path, hyperparameters=mixed(), max_retries_per_trial=2)
        trial = oracle.create_trial("tuner")
        statuses.append((trial.trial_id, finish(oracle, trial, 1.0, "INVALID", "Boom").status))
    assert statuses == [("0000", "INVALID"), ("0000", "INVALID"), ("0000", "FAILED")]


def test_failed_trials_in_a_row_end_the_search(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed(), max_consecutive_failed_trials=2)
    for status in ("FAILED", "COMPLETED", "FAILED"):
        finish(oracle, oracle.create_trial("tuner"), 1.0, status, "Traceback\nValueError: boom")
    with pytest.raises(tfkit.SearchError, match=r"last 2 trials have failed.*0003: ValueError: boom"):
        finish(oracle, oracle.create_trial("tuner"), 1.0, "FAILED", "Traceback\nValueError: boom")
    resumed = oracle_in(tmp_path, hyperparameters=mixed(), max_consecutive_failed_trials=2)
    assert [trial.status for trial in resumed.trials.values()] == ["FAILED", "COMPLETED", "FAILED", "FAILED"]
    finish(resumed, resumed.create_trial("tuner"), 1.0)  # the cause is mended
    finish(resumed, resumed.create_trial("tuner"), 1.0, "FAILED")


def test_without_a_directory_in_memory():
    oracle = RandomSearch("val_loss", max_trials=3, hyperparameters=mixed(), seed=0)
    oracle.verbose = 0
    assert len(run(oracle)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_oracle_still_tells_of_its_trials_and_goes_on(tmp_path, name):
    whole = oracle_in(tmp_path / "whole", name, mixed(), max_trials=6)
    run(whole)
    oracle = oracle_in(tmp_path, name, mixed(), max_trials=6)
    run(oracle, 4)
    best = oracle.get_best_trials()[0].trial_id
    oracle.close()
    oracle.close()
    assert (list(oracle.trials), oracle.remaining_trials()) == (["0000", "0001", "0002", "0003"], 2)
    assert oracle.get_best_trials()[0].trial_id == best
    values = [each[-1] for each in run(oracle)]
    assert values == [each.hyperparameters.values for each in whole.trials.values()]


def test_a_trial_that_ran_when_the_oracle_was_closed_is_given_again(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed())
    values = oracle.create_trial("tuner").hyperparameters.values
    oracle.close()
    again = oracle.create_trial("other")
    assert (again.trial_id, again.hyperparameters.values) == ("0000", values)


def test_trials_say_what_they_cannot_do(tmp_path):
    oracle = oracle_in(tmp_path, hyperparameters=mixed())
    trial = oracle.create_trial("tuner")
    with pytest.raises(tfkit.SearchError, match="cannot end as RUNNING: set its status to COMPLETED"):
        oracle.end_trial(trial)
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.update_trial(trial.trial_id, {"other": 1.0})
    finish(oracle, trial, 1.0)
    with pytest.raises(tfkit.SearchError, match="'0000' is not running, it is COMPLETED"):
        oracle.update_trial(trial.trial_id, {"val_loss": 1.0})
    with pytest.raises(tfkit.SearchError, match="'9' is not running, it is unknown"):
        oracle.update_trial("9", {"val_loss": 1.0})


def test_of_several_objectives_the_first_is_the_score(tmp_path):
    objective = ["val_loss", keras_tuner.Objective("val_accuracy", "max")]
    oracle = oracle_in(tmp_path, hyperparameters=mixed(), objective=objective)
    for loss, accuracy in ((0.5, 0.5), (0.25, 0.75), (0.25, 0.5)):
        trial = oracle.create_trial("tuner")
        oracle.update_trial(trial.trial_id, {"val_loss": loss, "val_accuracy": accuracy})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert [trial.score for trial in oracle.trials.values()] == [0.5, 0.25, 0.25]
    assert oracle.get_best_trials()[0].trial_id == "0001"
    assert [trial.trial_id for trial in oracle.pareto_front()] == ["0001"]


@pytest.mark.parametrize("make", [GridSearch, RandomSearch])
def test_exception_leaves_no_lock_held(tmp_path, make):
    class Failing(make):
        def propose(self, number):
            raise ZeroDivisionError

    oracle = Failing("val_loss")
    with pytest.raises(ZeroDivisionError):
        oracle.create_trial("tuner")
    free = []
    thread = threading.Thread(target=lambda: free.append(oracle._lock.acquire(timeout=5)))
    thread.start()
    thread.join()
    assert free == [True]


def test_threads_share_one_oracle(tmp_path):
    oracle = oracle_in(tmp_path, "random", mixed(), max_trials=60)

    def work(name):
        while (trial := oracle.create_trial(name)).status == "RUNNING":
            finish(oracle, trial, float(trial.trial_id))

    threads = [threading.Thread(target=work, args=(f"tuner{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    restored = oracle_in(tmp_path, "random", mixed(), max_trials=60)
    assert [trial.score for trial in restored.trials.values()] == list(range(60))
    assert {key(trial.hyperparameters.values) for trial in oracle.trials.values()} == {
        key(trial.hyperparameters.values) for trial in restored.trials.values()
    }


class Tuner(keras_tuner.Tuner):
    """Tunes a parabola: no model."""

    def run_trial(self, trial, *args, **kwargs):
        return (trial.hyperparameters.Float("x", -1, 1) - 0.3) ** 2

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        if len(self.oracle.end_order) == self.stop_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", NAMES)
def test_runs_in_kerastuners_tuner(tmp_path, name):
    def tuner(folder, stop_after=None, overwrite=False):
        oracle = tfkit.create("searcher", name, max_trials=9, seed=3)
        made = Tuner(oracle, directory=tmp_path, project_name=folder, overwrite=overwrite)
        made.stop_after = stop_after
        return made

    whole = tuner("whole")
    whole.search(verbose=0)
    for stop_after in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            tuner("broken", stop_after).search(verbose=0)
    broken = tuner("broken")
    broken.search(verbose=0)
    values = [[(each.hyperparameters.values, each.score) for each in t.oracle.trials.values()] for t in (whole, broken)]
    assert values[0] == values[1]
    assert len(values[0]) == 9
    best = broken.get_best_hyperparameters()[0]["x"]
    assert (best - 0.3) ** 2 == broken.oracle.get_best_trials()[0].score == min(score for _, score in values[0])
    assert tuner("broken", overwrite=True).oracle.trials == {}
    assert not Path(tmp_path, "broken", "search.db").exists()


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_accuracy", "max"),
        ("val_loss", "min"),
        ("val_head_loss", "min"),
        ("val_f1", "max"),
        ("val_f1_score", "max"),
        ("val_mean_io_u", "max"),
        ("val_auc_2", "max"),
        ("val_balanced-accuracy", "max"),
        ("val_rmse", "min"),
        ("val_mean_squared_error", "min"),
        ("val_kl_divergence", "min"),
        ("surprise", None),
    ],
)
def test_direction_of_a_metric(metric, direction):
    assert direction_of(metric) == direction


def test_unknown_direction_is_told(tmp_path):
    with pytest.raises(tfkit.ParameterError, match=r"keras_tuner.Objective\('val_surprise', 'max'\)"):
        tfkit.create("searcher", "random", objective="val_surprise")

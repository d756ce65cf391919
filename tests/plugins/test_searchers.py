"""The searchers, driven by hand: no model is built here."""

import contextlib
import itertools
import math
import sqlite3
import threading
from pathlib import Path

import keras_tuner
import numpy as np
import pytest
from scipy import stats

import tfkit
from tfkit_searchers.grid import GridSearch
from tfkit_searchers.levels import grid_levels, levels, sample
from tfkit_searchers.objective import direction_of
from tfkit_searchers.random_search import RandomSearch
from tfkit_searchers.space import combinations

NAMES = ("grid", "random")


def mixed():
    """Every kind of hyperparameter, one below a conditional scope."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 4, 256, sampling="log")
    hp.Float("dropout", 0, 0.5, step=0.1)
    hp.Boolean("bias")
    hp.Fixed("classes", 10)
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 2, 5)
    return hp


def twelve():
    """A space of 2 · (1 + 2) · 2 = 12 points."""
    hp = keras_tuner.HyperParameters()
    hp.Boolean("bias")
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 2, 3)
    hp.Float("dropout", 0, 0.5, step=0.5)
    return hp


def oracle_in(folder, name="random", hyperparameters=None, reload=True, **options):
    options = {"objective": "val_loss", "max_trials": None, "seed": 0, **options}
    oracle = tfkit.create("searcher", name, hyperparameters=hyperparameters, **options)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    if reload:
        oracle.reload()
    return oracle


def finish(oracle, trial, score, status="COMPLETED", message=None, step=0):
    oracle.update_trial(trial.trial_id, {oracle.objective.name: score}, step=step)
    trial.status, trial.message = status, message
    oracle.end_trial(trial)
    return oracle.trials[trial.trial_id]


def run(oracle, most=10_000):
    """Runs to the end; the score is the number of the trial."""
    for _ in range(most):
        trial = oracle.create_trial("tuner")
        if trial.status != "RUNNING":
            break
        finish(oracle, trial, float(trial.trial_id))
    return [(each.trial_id, each.status, each.score, each.hyperparameters.values) for each in oracle.trials.values()]


def key(values):
    return tuple(sorted(values.items()))


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


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_space(tmp_path, name):
    hp = mixed()
    allowed = {each.name: each for each in hp.space}
    for _, _, _, values in run(oracle_in(tmp_path, name, hp, max_trials=300)):
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


def test_seed_none_is_drawn_and_stored(tmp_path):
    whole = oracle_in(tmp_path / "whole", "random", mixed(), seed=None, max_trials=6)
    run(whole)
    assert 0 <= whole.seed < 2**32
    other = oracle_in(tmp_path / "other", "random", mixed(), seed=None, max_trials=6)
    run(other, most=3)
    resumed = oracle_in(tmp_path / "other", "random", mixed(), seed=None, max_trials=6)
    assert resumed.seed == other.seed != whole.seed
    same = oracle_in(tmp_path / "same", "random", mixed(), seed=other.seed, max_trials=6)
    assert run(resumed) == run(same)


def asked(hp):
    """A build function that asks for one more hyperparameter where it sees two layers."""
    return sum(hp.Int(f"units{layer}", 1, 3) for layer in range(hp.Int("layers", 1, 2)))


def run_dynamic(current):
    """Runs `asked` to the end, each step on the oracle that `current()` gives."""
    while (trial := current().create_trial("tuner")).status == "RUNNING":
        oracle = current()
        trial = oracle.create_trial("tuner")
        units = asked(trial.hyperparameters)
        oracle.update_trial(trial.trial_id, {"val_loss": units, "val_accuracy": 0.5})
        oracle = current()
        trial = oracle.create_trial("tuner")
        asked(trial.hyperparameters)
        oracle.update_trial(trial.trial_id, {"val_loss": units, "val_accuracy": 0.5}, step=1)
        trial.status = "FAILED" if units == 4 else "COMPLETED"
        oracle.end_trial(trial)
    trials = current().trials.values()
    return [(each.trial_id, each.status, each.score, each.hyperparameters.values) for each in trials]


@pytest.mark.parametrize("name", NAMES)
def test_resumed_after_every_single_step_equals_uninterrupted(tmp_path, name):
    options = {"max_trials": 9, "max_consecutive_failed_trials": 100, "reload": False}
    whole = oracle_in(tmp_path / "whole", name, **options)
    expected = run_dynamic(lambda: whole)
    held = []  # the oracles before are not closed, as after a kill

    def reopened():
        held.append(oracle_in(tmp_path / "broken", name, **options))
        held[-1].reload()
        return held[-1]

    assert run_dynamic(reopened) == expected
    assert [each[1] for each in expected].count("COMPLETED") > 4


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_trial_comes_first_and_its_old_report_is_forgotten(tmp_path, name):
    first = oracle_in(tmp_path, name, mixed())
    lost = first.create_trial("one")
    finish(first, first.create_trial("two"), 0.7)
    first.update_trial(lost.trial_id, {"val_loss": 0.1}, step=0)
    first.update_trial(lost.trial_id, {"val_loss": 0.2}, step=1)

    second = oracle_in(tmp_path, name, mixed())
    again = second.create_trial("three")
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)
    assert finish(second, again, 0.5).score == 0.5
    third = oracle_in(tmp_path, name, mixed())
    assert [trial.score for trial in third.trials.values()] == [0.5, 0.7]
    assert third.trials[lost.trial_id].metrics.get_history("val_loss") == again.metrics.get_history("val_loss")
    assert third.get_best_trials()[0].trial_id == lost.trial_id


def test_interrupted_comes_before_retries(tmp_path):
    first = oracle_in(tmp_path, hyperparameters=mixed(), max_retries_per_trial=1)
    failed, running = first.create_trial("one"), first.create_trial("two")
    finish(first, failed, math.nan)
    second = oracle_in(tmp_path, hyperparameters=mixed(), max_retries_per_trial=1)
    assert [second.create_trial(each).trial_id for each in "abc"] == [running.trial_id, failed.trial_id, "0002"]


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


def test_max_trials_may_grow(tmp_path):
    first = run(oracle_in(tmp_path / "two", "random", mixed(), max_trials=4))
    assert len(first) == 4
    grown = run(oracle_in(tmp_path / "two", "random", mixed(), max_trials=120))
    assert grown == run(oracle_in(tmp_path / "one", "random", mixed(), max_trials=120))
    assert grown[:4] == first
    assert len(grown) == 120


@pytest.mark.parametrize("name", NAMES)
def test_reload_of_an_empty_directory_does_nothing(tmp_path, name):
    oracle = oracle_in(tmp_path, name, mixed())
    assert (list(tmp_path.iterdir()), oracle.trials) == ([], {})


def test_search_that_was_not_reloaded_goes_on_all_the_same(tmp_path):
    running = oracle_in(tmp_path, hyperparameters=mixed()).create_trial("tuner")
    other = oracle_in(tmp_path, hyperparameters=mixed(), reload=False)
    assert other.create_trial("tuner").hyperparameters.values == running.hyperparameters.values


def test_without_a_directory_in_memory():
    oracle = RandomSearch("val_loss", max_trials=3, hyperparameters=mixed(), seed=0)
    oracle.verbose = 0
    assert len(run(oracle)) == 3


def test_given_hyperparameters_are_copied(tmp_path):
    hp = mixed()
    oracle = oracle_in(tmp_path, hyperparameters=hp)
    trial = oracle.create_trial("tuner")
    trial.hyperparameters.Int("found", 1, 2)
    finish(oracle, trial, 1.0)
    assert len(oracle.get_space().space) == len(hp.space) + 1 == 8


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


def test_several_objectives_are_summed_as_kerastuner_does(tmp_path):
    objective = ["val_loss", keras_tuner.Objective("val_accuracy", "max")]
    oracle = oracle_in(tmp_path, hyperparameters=mixed(), objective=objective)
    for loss, accuracy in ((0.5, 0.5), (0.25, 0.75), (0.25, 0.5)):
        trial = oracle.create_trial("tuner")
        oracle.update_trial(trial.trial_id, {"val_loss": loss, "val_accuracy": accuracy})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert [trial.score for trial in oracle.trials.values()] == [0.0, -0.5, -0.25]
    assert oracle.get_best_trials()[0].trial_id == "0001"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"objective": "val_accuracy"}, "has the objective 'min val_loss'; got 'max val_accuracy'"),
        ({"seed": 1}, "begun with seed=0; got seed=1"),
        (
            {"hyperparameters": twelve()},
            "space: 'classes' is gone; 'rate' is gone; 'units' is gone; 'dropout' was",
        ),
    ],
)
def test_database_of_another_search_is_refused(tmp_path, change, told):
    run(oracle_in(tmp_path, "random", mixed(), max_trials=1))
    oracle = oracle_in(tmp_path, "random", **{"hyperparameters": mixed(), **change}, reload=False)
    for method in (oracle.reload, lambda: oracle.create_trial("tuner")):
        with pytest.raises(tfkit.SearchError, match=told):
            method()


def test_objective_may_change_until_a_trial_is_completed(tmp_path):
    oracle_in(tmp_path, "random", mixed()).create_trial("tuner")
    oracle = oracle_in(tmp_path, "random", mixed(), objective="val_accuracy")
    finish(oracle, oracle.create_trial("tuner"), 1.0)
    with pytest.raises(tfkit.SearchError, match="'max val_accuracy'; got 'min val_loss'"):
        oracle_in(tmp_path, "random", mixed())


def test_files_that_are_no_search_are_refused(tmp_path):
    path = Path(tmp_path, "search", "search.db")
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(tfkit.SearchError, match=r"search\.db cannot be used.*not a database"):
        oracle_in(tmp_path, "random", mixed())
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE other (x)")
    with pytest.raises(tfkit.SearchError, match="is another program's database"):
        oracle_in(tmp_path, "random", mixed())


def test_newer_format_is_refused(tmp_path):
    run(oracle_in(tmp_path, "random", mixed(), max_trials=1))
    with contextlib.closing(sqlite3.connect(Path(tmp_path, "search", "search.db"))) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(tfkit.SearchError, match=r"newer tfkit \(its format is 2, this one reads 1\): upgrade"):
        oracle_in(tmp_path, "random", mixed())


def test_folder_that_cannot_be_made(tmp_path):
    Path(tmp_path, "search").write_text("")
    with pytest.raises(tfkit.SearchError, match=r"search cannot be made \(File exists\)"):
        oracle_in(tmp_path, "random", mixed(), reload=False).create_trial("tuner")


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


@pytest.mark.parametrize("name", NAMES)
def test_work_on_disk_is_the_same_for_every_trial(tmp_path, name):
    oracle = oracle_in(tmp_path, name, mixed())
    run(oracle, most=1)
    statements = []
    oracle._database._connection.set_trace_callback(statements.append)
    counts = []
    for _ in range(200):
        run(oracle, most=1)
        counts.append((len(statements), sum(map(len, statements)) // 100))
        statements.clear()
    assert len(set(counts)) == 1
    assert counts[0][0] < 15


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


def test_combinations_of_an_empty_space():
    assert list(combinations([], levels)) == [{}]

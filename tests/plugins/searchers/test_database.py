"""The database of a search: resumed as if never interrupted, and refused where it is another's."""

import contextlib
import math
import sqlite3
from pathlib import Path

import pytest
from driven_oracles import NAMES, finish, mixed, oracle_in, run, run_dynamic, twelve

import tfkit


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


@pytest.mark.parametrize("name", NAMES)
def test_work_on_disk_is_the_same_for_every_trial(tmp_path, name):
    oracle = oracle_in(tmp_path, name, mixed())
    run(oracle, most=1)
    statements = []
    oracle._database._connection.set_trace_callback(statements.append)
    counts = []
    for _ in range(25 if name in ("bayesian", "genetic") else 200):
        run(oracle, most=1)
        counts.append((len(statements), sum(map(len, statements)) // 100))
        statements.clear()
    assert len(set(counts)) == 1
    assert counts[0][0] < 15

"""The folder of a search, read without its plugin: it says what the plugin's oracle says."""

import sqlite3

import keras_tuner
import pytest
from filled_search import ERROR, fill, loss, new_oracle, run

import tfkit
from tfkit.pipeline import search_folder
from tfkit.pipeline.search_axes import axes_of
from tfkit.pipeline.search_folder import last_line, open_search, read_search_facts, write_search_facts
from tfkit.pipeline.search_result import trial_result
from tfkit_searchers import database, stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "one"
    fill(folder).close()
    return folder


def test_it_reads_the_file_and_the_format_that_the_plugin_writes():
    assert (search_folder.FILE, search_folder.FORMAT) == (stored.FILE, database.FORMAT)


def test_trials_are_those_of_the_oracle(folder):
    oracle = new_oracle(folder)
    oracle.reload()
    found = open_search(folder)
    assert list(found.trials) == [trial_result(trial) for trial in oracle.trials.values()]
    assert found.counts == {"completed": 20, "failed": 3, "running": 1}
    best = oracle.get_best_trials()[0]
    assert (found.best.id, found.best.score) == (best.trial_id, best.score)
    assert found.best.score == pytest.approx(min(loss(trial.values) for trial in found.completed) + 1 / 3)
    assert (found.objective, found.minimize, found.seed) == ("val_loss", True, 1)
    assert last_line(found.trials[5]) == ERROR.splitlines()[-1]


def test_axes_are_those_of_the_space(folder):
    axes = {axis.name: axis for axis in open_search(folder).axes}
    assert list(axes) == ["kind", "layers", "rate", "bias"]
    assert (axes["rate"].low, axes["rate"].high, axes["rate"].log) == (1e-4, 1e-1, True)
    assert axes["bias"].choices == (False, True)
    assert axes["layers"].place(2) == 0.5


def test_axes_join_scopes_and_leave_out_what_does_not_vary():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("units", 1, 4)
    with hp.conditional_scope("kind", ["b"]):
        hp.Int("units", 8, 64)
    hp.Fixed("constant", 3)
    hp.Int("tuner/epochs", 1, 9)
    kind, units = axes_of(hp.get_config(), [{"kind": "gone"}])
    assert (units.name, units.low, units.high) == ("units", 1, 64)
    assert kind.choices == ("a", "b", "gone")


def test_a_search_is_read_while_it_runs_and_is_not_written(tmp_path):
    oracle = new_oracle(tmp_path)
    run(oracle, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before["search.db-wal"]
    assert [trial.status for trial in open_search(tmp_path).trials] == ["COMPLETED"] * 3
    oracle.create_trial("tuner1")
    assert open_search(tmp_path).counts == {"completed": 3, "running": 1}
    oracle.close()
    assert [path.name for path in tmp_path.iterdir()] == ["search.db"]
    assert len(open_search(tmp_path).trials) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["search.db"]


def test_a_runs_folder_is_opened_by_its_search(folder, tmp_path):
    (tmp_path / "search").symlink_to(folder)
    assert open_search(tmp_path).trials == open_search(folder).trials


def test_a_search_for_the_largest_and_one_for_two_things(tmp_path):
    run(new_oracle(tmp_path / "max", keras_tuner.Objective("size", "max")), 5)
    found = open_search(tmp_path / "max")
    assert (found.best.id, found.minimize) == ("0004", False)
    objectives = [keras_tuner.Objective("val_loss", "min"), keras_tuner.Objective("size", "max")]
    oracle = new_oracle(tmp_path / "two", objectives)
    run(oracle, 5)
    found = open_search(tmp_path / "two")
    assert found.objectives == (("val_loss", "min"), ("size", "max"))
    assert (found.objective, found.minimize) == ("val_loss", True)
    assert found.best.id == oracle.get_best_trials()[0].trial_id


def test_a_comma_in_the_name_of_an_objective(tmp_path):
    objectives = [keras_tuner.Objective("a, b", "max"), keras_tuner.Objective("val_loss", "min")]
    oracle = new_oracle(tmp_path, objectives)
    oracle.create_trial("tuner0")
    assert open_search(tmp_path).objectives == (("a, b", "max"), ("val_loss", "min"))


def test_facts_come_back_and_damage_is_none(tmp_path):
    write_search_facts(tmp_path, searcher="grid", trials=3, path=tmp_path)
    facts = {"searcher": "grid", "parameters": {}, "trials": 3, "epochs": None, "path": str(tmp_path)}
    assert read_search_facts(tmp_path) == facts
    (tmp_path / "search.json").write_text("{")
    assert read_search_facts(tmp_path) == {}
    assert read_search_facts(tmp_path / "nowhere") == {}


def sql(statement):
    def write(folder):
        with sqlite3.connect(folder / "search.db") as connection:
            connection.execute(statement)

    return write


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda folder: None, tfkit.RunError, "there is no search in .*: it holds no search.db$"),
        (lambda folder: (folder / "oracle.json").touch(), tfkit.RunError, "KerasTuner's own searchers keep another"),
        (
            lambda folder: (folder / "search.db").write_text("nonsense" * 99),
            tfkit.SearchError,
            "file is not a database",
        ),
        (sql("CREATE TABLE other (x)"), tfkit.SearchError, "is another program's database"),
        (sql("PRAGMA user_version = 99"), tfkit.SearchError, r"by a newer tfkit \(its format is 99, .*: upgrade"),
        (lambda folder: new_oracle(folder, trials=1).reload(), tfkit.RunError, "holds no search.db"),
    ],
)
def test_what_is_no_search_is_refused(tmp_path, make, error, told):
    make(tmp_path)
    with pytest.raises(error, match=told):
        open_search(tmp_path)


def test_a_search_without_a_completed_trial_has_no_best(tmp_path):
    oracle = new_oracle(tmp_path)
    trial = oracle.create_trial("tuner0")
    with pytest.raises(tfkit.SearchError, match=r"none of the 1 trials in .* was completed: none has ended"):
        _ = open_search(tmp_path).best
    trial.status, trial.message = "FAILED", ERROR
    oracle.end_trial(trial)
    with pytest.raises(tfkit.SearchError, match="was completed: ValueError: bad <luck>"):
        _ = open_search(tmp_path).best

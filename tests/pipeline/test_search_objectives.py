"""Several objectives, constraints and a warm start in tfkit.search: what is measured, run, kept, shown, refused."""

import json
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from search_models import cheap, cheap_search, make_data

import tfkit
from tfkit.cli import tfkit as command_line
from tfkit.errors import ConversionError
from tfkit.formats import conversion
from tfkit.pipeline import stages
from tfkit.pipeline.run import check_plugins
from tfkit.pipeline.search_folder import open_search
from tfkit.pipeline.search_report import write_search_report


def sized(hp):
    """4 · units + units + units + 1 weights."""
    units = hp.Int("units", 1, 8)
    layers = [keras.layers.Dense(units, activation="tanh"), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = keras.optimizers.SGD(hp.Float("rate", 1e-3, 1.0, sampling="log"))
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
    return model


def parameters(trial):
    return 6.0 * trial.values["units"] + 1


def beaten(trial, trials, *names):
    mine = [trial.metrics[name] for name in names]
    rows = [[each.metrics[name] for name in names] for each in trials]
    return any(row != mine and all(a <= b for a, b in zip(row, mine)) for row in rows)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A search for two things with a bound on the second."""
    directory = tmp_path_factory.mktemp("searches") / "two"
    given = {"objective": ["val_loss", "parameters"], "constraints": {"parameters": 31, "bytes": 1e6}}
    return cheap_search(sized, searcher="random", trials=8, seed=7, directory=directory, **given)


def test_the_front_is_that_of_all_pairs_and_its_models_can_be_loaded(two):
    trained = [trial for trial in two.trials if trial.score is not None]
    assert [trial.metrics["parameters"] for trial in trained] == [parameters(trial) for trial in trained]
    assert two.front == [trial for trial in trained if not beaten(trial, trained, "val_loss", "parameters")]
    assert len(two.front) > 1
    x, y = make_data().validation
    for trial in two.front:
        keras.utils.clear_session()  # layers are called as in a trial: their names are in the file
        model = two.load(trial)
        assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(trial.metrics["val_loss"], rel=1e-5)
        assert tfkit.measure(model, x[:1], repeats=1).bytes == trial.metrics["bytes"]
    assert (two.objective, two.minimize) == ("val_loss", True)
    assert two.best_trial == min(trained, key=lambda trial: trial.score)


def test_models_that_are_too_large_are_not_trained(two):
    large = [trial for trial in two.trials if trial.values["units"] > 5]
    assert 0 < len(large) < len(two.trials)
    for trial in two.trials:
        is_large = trial in large
        assert (trial.status, trial.score is None, trial.feasible) == ("COMPLETED", is_large, not is_large)
        assert trial.violation == pytest.approx(max(0.0, parameters(trial) / 31 - 1))
        assert list(trial.metrics) == ["parameters"] if is_large else "val_loss" in trial.metrics


def test_the_folder_tells_the_same(two):
    found = open_search(two.directory)
    assert (found.trials, found.goal) == (two.trials, two.goal)
    assert (list(found.front), found.best) == (two.front, two.best_trial)


def test_show_and_report_tell_of_both(two):
    shown = CliRunner().invoke(command_line, ["search", "show", str(two.directory)]).output
    assert re.match(r"trial +val_loss +parameters +bytes +status +", shown)
    large = sum(not trial.feasible for trial in two.trials)
    assert (shown.count(" infeasible "), shown.count(" front ")) == (large, len(two.front))
    assert f"front: {', '.join(trial.id for trial in two.front)}" in shown
    told = json.loads(CliRunner().invoke(command_line, ["search", "show", str(two.directory), "--json"]).output)
    assert told["front"] == [trial.id for trial in two.front]
    assert told["objectives"] == {"val_loss": "min", "parameters": "min"}
    assert told["constraints"] == ["parameters <= 31", "bytes <= 1e+06"]
    assert {row["trial"]: row["feasible"] for row in told["rows"]} == {each.id: each.feasible for each in two.trials}
    page = write_search_report(open_search(two.directory)).read_text()
    assert "the least parameters with parameters &lt;= 31, bytes &lt;= 1e+06" in page
    assert "Crosses exceed a constraint" in page


def test_going_on_after_an_end_gives_the_trials_of_one_go(two, tmp_path):
    given = {"objective": ["val_loss", "parameters"], "constraints": {"parameters": 31, "bytes": 1e6}}
    for trials in (3, 8):
        result = cheap_search(sized, searcher="random", trials=trials, seed=7, directory=tmp_path, **given)
    assert result.trials == two.trials


def test_the_smallest_model_that_is_good_enough():
    """A metric that Keras logs as a bound: the epoch that is kept keeps to it."""
    given = {"objective": "parameters", "constraints": {"val_mae": 0.49}, "searcher": "genetic"}
    result = cheap_search(sized, trials=6, epochs=2, **given)
    allowed = [trial for trial in result.trials if min(trial.history["val_mae"]) <= 0.49]
    assert 0 < len(allowed) < 6
    assert result.best_trial.metrics["parameters"] == min(trial.metrics["parameters"] for trial in allowed)
    x, y = make_data().validation
    assert result.best_model.evaluate(x, y, verbose=0)[1] == pytest.approx(result.best_trial.metrics["val_mae"])
    assert result.best_trial.metrics["val_mae"] <= 0.49


def test_where_no_trial_keeps_to_the_bounds_it_is_said(capsys, tmp_path):
    result = cheap_search(sized, trials=3, directory=tmp_path, constraints={"val_loss": -1})
    assert "search: none of 3 trials keeps to val_loss <= -1" in capsys.readouterr().err
    assert result.best_trial.score == min(trial.score for trial in result.trials)
    assert (result.best_trial.feasible, result.front) == (False, [])
    assert result.best_model is not None
    shown = CliRunner().invoke(command_line, ["search", "show", str(tmp_path)]).output
    assert f"no trial keeps to val_loss <= -1: trial {result.best_trial.id} is the nearest" in shown
    none = cheap_search(sized, trials=4, constraints={"parameters": 1})
    assert [trial.status for trial in none.trials] == ["COMPLETED"] * 4
    with pytest.raises(tfkit.SearchError, match="none of 4 trials was completed: none keeps to parameters <= 1"):
        _ = none.best_model


@pytest.mark.slow
def test_litert_files_are_measured():
    given = {"objective": ["val_mae", "litert_bytes"], "constraints": {"litert_latency_ms": 1e4, "flops": 100}}
    result = cheap_search(sized, searcher="sobol", trials=2, enqueue=[{"units": 2}, {"units": 8}], **given)
    for trial in result.trials:
        assert trial.metrics["flops"] == 2 * 5 * trial.values["units"]
    small, large = (trial.metrics["litert_bytes"] for trial in result.trials)
    assert small < large
    assert result.trials[0].metrics["litert_latency_ms"] > 0
    path = result.directory / "again.tflite"
    keras.utils.clear_session()
    conversion.convert(result.load(result.front[0]), path)
    assert path.stat().st_size == result.front[0].metrics["litert_bytes"]


def test_a_model_that_cannot_be_converted_has_failed_for_good(monkeypatch):
    def refuse(*args, **options):
        raise ConversionError("converting model 'm' failed: no such operation")

    monkeypatch.setattr(conversion, "convert", refuse)
    searcher = ("random", {"max_retries_per_trial": 2})
    result = cheap_search(sized, searcher=searcher, trials=2, objective=["val_loss", "litert_bytes"])
    assert [trial.status for trial in result.trials] == ["FAILED"] * 2
    assert (
        result.trials[0]
        .error.strip()
        .endswith("cannot be measured: ConversionError: converting model 'm' failed: no such operation")
    )


@pytest.mark.nightly
def test_folds_are_measured_once_and_bounds_hold_for_their_mean():
    given = {"objective": ["val_loss", "bytes"], "cross_validation": 2, "constraints": {"parameters": 31}}
    result = cheap_search(sized, searcher="random", trials=6, **given)
    assert {trial.feasible for trial in result.trials} == {True, False}
    for trial in result.trials:
        assert trial.metrics["parameters"] == parameters(trial)
        assert ("bytes" in trial.metrics) == trial.feasible
        assert "bytes_std" not in trial.metrics


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"objective": ["bytes", "flops"]}, "bytes, flops says nothing of how good a model is: search for a metric"),
        ({"objective": ["val_loss", "val_nothing"]}, "whether the objective 'val_nothing' is to be large or small"),
        ({"objective": ["val_loss", ("val_nothing", "min")]}, "no metric of the model is called 'val_nothing'"),
        (
            {"constraints": {"val_nothing": 1}},
            "is called 'val_nothing'.*; of the model itself: parameters, flops, bytes",
        ),
        ({"constraints": {"bytes": "small"}}, "the constraint on 'bytes' must be a finite number"),
        ({"constraints": ["bytes"]}, "a dict of bounds by name"),
        ({"constraints": {"bytes": 1}, "searcher": "hyperband"}, "takes no constraints"),
        ({"objective": ["val_loss", "bytes"], "stop_early": "asha"}, "watches one objective of val_loss, bytes"),
        ({"warm_start": 3}, "the directory or the result of an earlier search; got 3"),
    ],
)
def test_what_does_not_go_is_refused(given, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        cheap_search(sized, **given)


@pytest.mark.nightly
def test_a_warm_start_by_directory_and_by_result_are_the_same(tmp_path, capsys):
    earlier = cheap_search(sized, trials=3, searcher="random", seed=5, directory=tmp_path / "earlier")
    capsys.readouterr()
    given = {"trials": 1, "searcher": ("bayesian", {"num_initial_points": 3})}
    found = [cheap_search(sized, warm_start=each, **given).trials for each in (earlier, tmp_path / "earlier")]
    assert found[0] == found[1]
    assert len(found[0]) == 1
    assert "search: goes by 3 of 3 trials of an earlier search" in capsys.readouterr().err
    assert found[0] != cheap_search(sized, **given).trials
    with pytest.raises(tfkit.ParameterError, match="is a search for min val_loss, and this one is for min val_mae"):
        cheap_search(sized, objective="val_mae", warm_start=earlier)
    with pytest.raises(tfkit.RunError, match="there is no folder"):
        cheap_search(sized, warm_start=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("section", "error", "told"),
    [
        ({"workers": 0}, tfkit.ParameterError, "'workers' of search must be an int > 0"),
        ({"constraints": {"bytes": None}}, tfkit.ParameterError, "the constraint on 'bytes'"),
        ({"constraints": {"bytes": 1}, "searcher": "population"}, tfkit.ParameterError, "takes no constraints"),
        ({"searcher": "hyperband", "cross_validation": 3}, tfkit.ParameterError, "does not go with cross_validation"),
        ({"searcher": "population", "stop_early": "asha"}, tfkit.ParameterError, "does not go with stop_early"),
        ({"searcher": "hyperband", "warm_start": "a"}, tfkit.ParameterError, "does not go with warm_start"),
        ({"objective": ["val_loss", "bytes"], "stop_early": "asha"}, tfkit.ParameterError, "watches one objective"),
        ({"objective": "val_nothing"}, tfkit.ParameterError, "is to be large or small is not known"),
    ],
)
def test_a_recipes_section_is_checked_before_anything_runs(section, error, told):
    recipe = tfkit.Recipe("toy", data=make_data, model=cheap, search={"objective": "val_loss", **section})
    with pytest.raises(error, match=told):
        check_plugins(recipe)


def test_a_warm_search_goes_on_without_the_earlier_one(tmp_path, capsys):
    earlier, other, folder = (tmp_path / name for name in ("earlier", "other", "search"))
    cheap_search(trials=3, searcher="random", seed=5, directory=earlier)
    whole = cheap_search(trials=2, directory=tmp_path / "whole", warm_start=earlier)
    cheap_search(trials=1, directory=folder, warm_start=earlier)
    shutil.rmtree(earlier)
    recipe = tfkit.Recipe("toy", data=make_data, model=cheap, search={"objective": "val_loss", "warm_start": earlier})
    check_plugins(recipe)
    capsys.readouterr()
    assert cheap_search(trials=2, directory=folder, warm_start=earlier).trials == whole.trials
    assert "goes by" not in capsys.readouterr().err
    assert cheap_search(trials=2, directory=folder, warm_start=other).trials == whole.trials
    told = f"search: goes by the earlier search in {earlier}, with which it began; that in {other} is not read"
    assert told in capsys.readouterr().err
    with pytest.raises(tfkit.ParameterError, match="warm_start is the directory of this search"):
        cheap_search(trials=2, directory=folder, warm_start=folder)
    cheap_search(trials=1, directory=tmp_path / "cold")
    with pytest.raises(tfkit.SearchError, match="has begun without what an earlier one knows"):
        cheap_search(trials=2, directory=tmp_path / "cold", warm_start=folder)


def test_what_cannot_be_measured_fails_before_it_is_trained(monkeypatch):
    def refuse(model):
        raise ValueError("no graph")

    monkeypatch.setattr("tfkit.pipeline.figures.flops", refuse)
    events = []
    result = cheap_search(trials=1, objective=["val_loss", "flops"], progress=events.append)
    assert result.trials[0].error.strip().endswith("the model cannot be measured: ValueError: no graph")
    assert [each["event"] for each in events] == ["begin", "end"]


def test_a_stage_tells_which_trials_are_feasible(two, monkeypatch):
    saved = {}
    section = tfkit.Recipe("toy", data=make_data, model=sized, search={}).search
    context = SimpleNamespace(
        recipe=SimpleNamespace(search=section, model=sized, seed=0),
        data=SimpleNamespace(without_test=make_data),
        path=lambda name: two.directory,
        save=lambda name, content: saved.update({name: content}),
    )
    monkeypatch.setattr(stages, "search", lambda *args, **options: two)
    stages.run_search(context)
    assert [each["feasible"] for each in saved["trials.json"]["trials"]] == [trial.feasible for trial in two.trials]


def test_figures_are_those_of_rows_that_are_dicts():
    """Rows that are a dict of inputs are measured too."""

    def build(hp):
        inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((1,), name="b")}
        joined = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
        model = keras.Model(inputs, keras.layers.Dense(hp.Int("units", 1, 2))(joined))
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    x = {"a": np.ones((8, 2), "float32"), "b": np.ones((8, 1), "float32")}
    data = tfkit.Data((x, np.ones((8, 1))), (x, np.ones((8, 1))))
    result = cheap_search(build, data, trials=1, objective=["val_loss", "bytes", "latency_ms"])
    assert result.trials[0].status == "COMPLETED", result.trials[0].error
    assert result.trials[0].metrics["latency_ms"] > 0


def test_a_folder_tells_why_none_has_a_score(tmp_path):
    cheap_search(sized, trials=2, directory=tmp_path, constraints={"parameters": 1})
    with pytest.raises(tfkit.SearchError, match=r"none of the 2 trials .* none keeps to parameters <= 1"):
        _ = open_search(tmp_path).best

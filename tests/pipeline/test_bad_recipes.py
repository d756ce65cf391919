"""A recipe that is wrong is told in one line, and what is on disk never looks finished."""

import json

import keras
import numpy as np
import pytest

import tfkit

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = np.arange(40) % 2


def build(hp, compiled=True, classes=2):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(classes, "softmax")])
    if compiled:
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recipe(data=None, model=build, **sections):
    return tfkit.Recipe("bad", data or (lambda: tfkit.Data((X, Y))), model, train={"epochs": 1}, **sections)


def with_nan():
    x = X.copy()
    x[7, 1] = np.nan
    return tfkit.Data((x, Y))


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (recipe(data=with_nan), tfkit.DataError, "train part's x has 1 values that are nan, the first in row 7"),
        (recipe(data=lambda: tfkit.Data((X[:0], Y[:0]))), tfkit.DataError, "has no rows"),
        (recipe(data=lambda: tfkit.Data((X, Y[:-1]))), tfkit.DataError, "x has 40, y has 39"),
        (recipe(data=lambda: tfkit.Data((X, Y + 1))), tfkit.DataError, "the label 2 in row 1 is out of range"),
        (recipe(data=lambda: (X, Y)), tfkit.RecipeError, "must return a tfkit.Data"),
        (recipe(model=lambda hp: build(hp, compiled=False)), tfkit.ModelError, "not compiled"),
        (recipe(model=lambda hp: None), tfkit.ModelError, "must return a Keras model; got NoneType"),
        (
            recipe(data=lambda: tfkit.Data((X[:, :2], Y))),
            tfkit.ModelError,
            r"cannot predict on rows of shape \(40, 2\)",
        ),
    ],
)
def test_what_is_wrong_is_named_and_the_run_has_failed(tmp_path, made, error, words):
    with pytest.raises(error, match=words) as raised:
        tfkit.run(made, tmp_path)
    assert "\n" not in str(raised.value)
    (file,) = tmp_path.glob("bad/*/run.json")
    state = json.loads(file.read_text())
    assert state["status"] == "failed"
    assert state["stages"] == []


@pytest.mark.parametrize(
    ("sections", "error", "words"),
    [
        ({"metrics": ["acuracy"]}, tfkit.PluginNotFound, "did you mean 'accuracy'"),
        ({"metrics": [("f1", {"averag": "macro"})]}, tfkit.ParameterError, "did you mean 'average'"),
        ({"compress": {"steps": [("prune", {"sparsity": 1.0})]}}, tfkit.ParameterError, "must be a float >= 0 and < 1"),
        ({"export": {"format": "onxx"}}, tfkit.PluginNotFound, "there is no exporter 'onxx'"),
    ],
)
def test_a_wrong_plugin_makes_no_run(tmp_path, sections, error, words):
    with pytest.raises(error, match=words):
        tfkit.run(recipe(**sections), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_stage_that_failed_is_done_again_when_the_recipe_is_right(tmp_path):
    right = {"now": False}

    def data():
        return tfkit.Data((X, Y if right["now"] else Y + 5))

    with pytest.raises(tfkit.DataError):
        tfkit.run(recipe(data=data), tmp_path)
    right["now"] = True
    result = tfkit.run(recipe(data=data), tmp_path)
    assert [stage["name"] for stage in result.stages] == ["baseline", "train", "evaluate", "report"]
    assert len(list(tmp_path.glob("bad/*"))) == 1
    assert json.loads((result.directory / "run.json").read_text())["status"] == "finished"
    assert "error" not in json.loads((result.directory / "run.json").read_text())


def test_the_baseline_is_the_most_frequent_class(tmp_path):
    result = tfkit.run(recipe(data=lambda: tfkit.Data((X, np.r_[Y[:-10], np.ones(10, int)]))), tmp_path)
    assert result.stages[0]["metrics"]["constant"]["accuracy"] == pytest.approx(25 / 40)


def test_an_earlier_search_that_is_not_there_is_told_before_anything_is_trained(tmp_path):
    asked = {"trials": 1, "objective": "accuracy", "warm_start": tmp_path / "gone"}
    with pytest.raises(tfkit.RunError, match="gone"):
        tfkit.run(recipe(metrics=["accuracy"], search=asked), tmp_path / "runs")
    (state,) = (tmp_path / "runs" / "bad").glob("*/run.json")
    assert json.loads(state.read_text())["stages"] == []

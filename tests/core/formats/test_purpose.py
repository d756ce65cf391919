"""What a model is for, found out or told."""

import keras
import pytest
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel


def dense(units, activation=None, loss=None, **options):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation)])
    if loss is not None:
        model.compile(loss=loss)
    return NamedModel(model, **options).purpose


LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("made", "task", "scores"),
    [
        (lambda: dense(3, "softmax"), "classification", "probabilities"),
        (lambda: dense(1, "sigmoid"), "classification", "probabilities"),
        (lambda: dense(1, None, LOGITS), "classification", "logits"),
        (lambda: dense(3, None, "categorical_crossentropy"), "classification", "logits"),
        (lambda: dense(1), "regression", None),
        (lambda: dense(1, None, "mse"), "regression", None),
        (lambda: dense(3), None, None),
        (lambda: dense(3, "sigmoid"), None, None),
        (lambda: dense(3, None, LOGITS), None, None),
        (lambda: dense(3, labels=["a", "b", "c"]), "classification", "logits"),
        (lambda: dense(1, task="classification"), "classification", "logits"),
        (lambda: dense(1, "sigmoid", task="regression"), "regression", None),
    ],
)
def test_the_task_is_found_out(made, task, scores):
    purpose = made()
    assert (purpose.task, purpose.scores) == (task, scores)


def test_the_last_layer_is_found_inside_of_models():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])
    x = keras.Input((4,))
    outer = keras.Sequential([keras.Input((4,)), layers.Rescaling(2.0), keras.Model(x, inner(x))])
    assert NamedModel(outer).purpose.scores == "probabilities"


def test_labels_choose_among_outputs():
    x = keras.Input((4,))
    model = keras.Model(x, {"embedding": layers.Dense(8)(x), "scores": layers.Dense(2)(x)})
    purpose = NamedModel(model, labels=["no", "yes"]).purpose
    assert (purpose.output.name, purpose.labels) == ("scores", ("no", "yes"))
    assert NamedModel(model).purpose.task is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"labels": ["a", "b"]}, r"labels= names 2 classes, but no output is their scores: outputs \(None, 3\)"),
        ({"labels": "abc"}, "must be the names of two classes or more"),
        ({"labels": ["a", "a", "b"]}, "must be names that differ"),
        ({"labels": ["a", "b", "c"], "task": "regression"}, "labels= names 3 classes"),
        ({"task": "ranking"}, "task= must be 'classification', 'regression' or None; got 'ranking'"),
    ],
)
def test_what_does_not_fit_is_refused(options, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        dense(3, **options)

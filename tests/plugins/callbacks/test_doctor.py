"""The doctor names the fault that a training was made to have, first, and finds nothing in a healthy one."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit import memory
from tfkit_callbacks.doctor.faults import diagnose
from tfkit_callbacks.doctor.observed import Observed


def rows(count=600, features=8, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, features)).astype("float32")
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype("int64")


def network(units=32, activation="relu", rate=0.01, outputs=2, **dense):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, activation, name="hidden", **dense), keras.layers.Dense(outputs, "softmax")]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def findings(model, *data, **fit):
    """What is found, but for waits: on a machine that runs other tests a step may wait for the processor."""
    return [each for each in all_findings(model, *data, **fit) if each.fault != "input-bound"]


def all_findings(model, *data, **fit):
    doctor = tfkit.create("callback", "doctor")
    model.fit(*data, verbose=0, callbacks=[doctor], **fit)
    return doctor.findings


def overfitting():
    x, _ = rows(80)
    y = np.random.default_rng(1).integers(0, 2, 80)
    return findings(network(64, rate=0.03), x[:50], y[:50], epochs=25, validation_data=(x[50:], y[50:]))


def underfitting():
    x, y = rows()
    return findings(network(rate=1e-6), x, y, epochs=5, validation_data=(x, y))


def underfitting_linear():
    x, _ = rows()
    y = (x[:, 0] * x[:, 1] > 0).astype("int64")
    return findings(network(2, "linear"), x, y, epochs=10, validation_data=(x, y))


def divergence():
    x, y = rows()
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(2.0), "mse")
    return findings(model, x, y.astype("float32"), epochs=5)


def divergence_of_classes():
    x, y = rows()
    return findings(network(rate=30.0), x, y, epochs=4, validation_data=(x, y))


def divergence_slow():
    x, y = rows()
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.55), "mse")
    return findings(model, 2 * x, y.astype("float32"), epochs=4, batch_size=600)


def dead_units():
    x, y = rows()
    dead = keras.initializers.Constant(-20.0)
    return findings(network(bias_initializer=dead), x, y, epochs=5, validation_data=(x, y))


def imbalance():
    x, y = rows(2000)
    kept = np.flatnonzero((y == 0) | (np.arange(2000) % 20 == 0))
    return findings(network(4, rate=3e-3), x[kept], y[kept], epochs=4)


def input_bound():
    x, y = rows()

    def batches():
        for start in range(0, 600, 50):
            time.sleep(0.05)
            yield x[start : start + 50], y[start : start + 50]

    return all_findings(network(), batches(), epochs=1, steps_per_epoch=12, shuffle=False)


def input_bound_by_a_map():
    slow = tf.data.Dataset.from_tensor_slices(rows(200)).batch(20)
    slow = slow.map(lambda x, y: (tf.py_function(lambda each: time.sleep(0.05) or each, [x], tf.float32), y))
    slow = slow.map(lambda x, y: (tf.ensure_shape(x, (None, 8)), y))
    return all_findings(network(), slow, epochs=3, shuffle=False)


CASES = (
    (overfitting, "overfitting"),
    (underfitting, "underfitting"),
    (underfitting_linear, "underfitting"),
    (divergence, "divergence"),
    (divergence_slow, "divergence"),
    (divergence_of_classes, "divergence"),
    (dead_units, "dead-units"),
    (imbalance, "imbalance"),
    (input_bound, "input-bound"),
    (input_bound_by_a_map, "input-bound"),
)

FURTHER = (underfitting_linear, divergence_slow, input_bound_by_a_map)


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        pytest.param(made, fault, id=made.__name__, marks=[pytest.mark.nightly] if made in FURTHER else [])
        for made, fault in CASES
    ],
)
def test_a_planted_fault_is_named_first(made, fault):
    found = made()
    assert found, "nothing was found"
    assert found[0].fault == fault, found
    assert found[0].evidence
    assert found[0].advice


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_healthy_training_has_none_and_is_left_as_it_was(eager):
    x, y = rows(3000)
    model, alone = network(), network()
    for each in (model, alone):
        each.run_eagerly = eager
    epochs = 2 if eager else 15
    found = findings(model, x[:2500], y[:2500], epochs=epochs, batch_size=100, shuffle=False,
                     validation_data=(x[2500:], y[2500:]))  # fmt: skip
    alone.fit(x[:2500], y[:2500], epochs=epochs, batch_size=100, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), alone.get_weights()):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert "call" not in vars(model.get_layer("hidden"))
    assert eager or found == []


def test_a_healthy_regression_has_none():
    x, _ = rows(1000)
    y = x @ np.arange(8.0)[:, None]
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.03), "mse")
    assert findings(model, x[:800], y[:800], epochs=10, validation_data=(x[800:], y[800:])) == []


def test_counts_are_those_of_the_last_epoch():
    x, y = rows(90)
    model = network()
    doctor = tfkit.create("callback", "doctor")
    seen = {}

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            watch = doctor._watch
            seen["classes"], seen["hits"] = watch.classes.numpy()
            seen["alive"] = watch.alive["hidden"].numpy()
            seen["accuracy"] = logs["accuracy"]

    model.optimizer.learning_rate = 0.0
    model.fit(x, y, epochs=2, verbose=0, callbacks=[doctor, Look()])
    np.testing.assert_array_equal(seen["classes"], np.bincount(y, minlength=2))
    assert seen["hits"].sum() / 90 == pytest.approx(seen["accuracy"])
    hidden = keras.Model(model.inputs, model.get_layer("hidden").output).predict(x, verbose=0)
    np.testing.assert_array_equal(seen["alive"], (hidden > 0).sum(axis=0))


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy"])
def test_other_forms_of_labels_are_counted_too(loss):
    x, y = rows(300)
    y[20:] = 0
    outputs, given = (1, y[:, None]) if loss.startswith("binary") else (2, np.eye(2)[y])
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(outputs, "sigmoid" if outputs == 1 else "softmax")])
    model.compile(keras.optimizers.Adam(0.02), loss)
    (found, *_) = findings(model, x, given, epochs=20)
    assert found.fault == "imbalance"
    assert f"class 1 has {y.mean():.1%} of the rows" in found.evidence


def test_memory_that_is_taken_is_told(monkeypatch):
    monkeypatch.setattr(memory, "held", lambda pid: 950 * 2**20)
    monkeypatch.setattr(memory, "left", lambda: 50 * 2**20)
    found = next(each for each in findings(network(), *rows(), epochs=1) if each.fault == "memory-bound")
    assert "950 of 1000 MiB" in found.evidence


def test_a_fit_that_fails_leaves_nothing_on_the_model():
    model = network()

    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(*rows(), verbose=0, callbacks=[tfkit.create("callback", "doctor"), Fail()])
    assert "call" not in vars(model.get_layer("hidden"))
    assert "train_step" not in vars(model)


@pytest.mark.parametrize(
    ("curves", "faults"),
    [
        ({"loss": [1.0, 0.5, 0.2, 0.1, 0.05], "val_loss": [1.0, 0.8, 0.9, 1.2, 1.5]}, ["overfitting"]),
        ({"loss": [1.0, 0.5, 0.3, 0.25, 0.24], "val_loss": [1.0, 0.6, 0.4, 0.35, 0.36]}, []),
        ({"loss": [1.0, float("nan")], "val_loss": [1.0, float("nan")]}, ["divergence"]),
        ({"loss": [1.0, 0.2, 5.0]}, ["divergence"]),
        ({"loss": [0.5, 0.3, 0.2, 0.12, 0.1, 0.09], "val_loss": [0.5, 0.3, 0.2, 0.12, 0.1, 0.112]}, []),
        ({"loss": [1.0, 1e-3, 1e-4], "val_loss": [1.0, 2e-3, 2.5e-4]}, []),
        ({"loss": [-0.5, -0.9, -0.96], "val_loss": [-0.5, -0.9, -0.95]}, []),
        ({}, []),
    ],
)
def test_curves_alone_tell_some(curves, faults):
    assert [each.fault for each in diagnose(Observed(curves))] == faults
    assert [each.fault for each in tfkit.create("callback", "doctor").diagnose(curves)] == faults


def test_evaluate_and_predict_afterwards_count_nothing():
    x, y = rows(64)
    model = network()
    doctor = tfkit.create("callback", "doctor")
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(doctor._watch)

    model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[doctor, Look()])
    before = seen[0].alive["hidden"].numpy()
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    np.testing.assert_array_equal(seen[0].alive["hidden"].numpy(), before)


@pytest.mark.nightly
def test_weights_of_rows_penalties_and_several_labels_are_not_taken_for_a_high_loss():
    x, y = rows(400)
    weighted = findings(network(rate=0.02), x, y, epochs=15, class_weight={0: 9.0, 1: 11.0})
    assert weighted == []
    heavy = network(rate=0.02, kernel_regularizer=keras.regularizers.L2(0.02))
    assert findings(heavy, x, y, epochs=15) == []
    several = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(3, "sigmoid")])
    several.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    assert findings(several, x, (x[:, :3] > 0).astype("float32"), epochs=15) == []


def test_a_layer_with_states_and_labels_that_are_ignored_do_no_harm():
    inputs = keras.Input((3, 8))
    outputs, _ = keras.layers.SimpleRNN(6, activation="relu", return_state=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(outputs))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    y = np.array([0, 1, -1, 1] * 5)
    model.fit(np.ones((20, 3, 8)), y, verbose=0, callbacks=[tfkit.create("callback", "doctor")])


@pytest.mark.parametrize(
    ("waited", "steps", "faults"),
    [(0.9, 300, []), (0.4, 10, []), (0.9, 30, ["input-bound"])],
    ids=["what a step takes to be called", "less than half", "most of it"],
)
def test_waits_are_told_by_their_share_and_their_length(waited, steps, faults):
    found = diagnose(Observed({}, seconds=1.0, waited=waited, steps=steps))
    assert [each.fault for each in found] == faults

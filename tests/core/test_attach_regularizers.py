"""What a callback attaches to variables for one fit acts as if built in, on the variables that were asked for."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from attach_models import X, Y, cosine, fit, l2, on_it, regression

import tfkit
from tfkit.attach.regularizer import RegularizerCallback
from tfkit.attach.variables import add_regularizer, named_variables, remove_regularizer


@pytest.mark.parametrize(
    ("name", "params"),
    [
        pytest.param("l1", {"l1": 0.03}, marks=pytest.mark.nightly),
        ("elastic-net", {"l1": 0.02, "l2": 0.05}),
    ],
)
def test_an_attached_regularizer_equals_a_built_in_one(name, params):
    built_in = fit(regression(tfkit.create("regularizer", name, **params)), validation_data=(X, Y))
    model = regression()
    # A test function that was traced before must not hide the penalty from val_loss.
    plain = model.evaluate(X, Y, verbose=0)
    attached = fit(model, [tfkit.callback("regularizer", name, **params)], validation_data=(X, Y))
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(attached.history[key], built_in.history[key], rtol=1e-6)
    for one, other in zip(model.get_weights(), built_in.model.get_weights()):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    model.set_weights(regression().get_weights())
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain)


def test_two_callbacks_add_up():
    both = fit(regression(), [l2(), tfkit.callback("regularizer", "l1", l1=0.03)])
    built_in = fit(regression(keras.regularizers.L1L2(l1=0.03, l2=0.1)))
    np.testing.assert_allclose(both.history["loss"], built_in.history["loss"], rtol=1e-6)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("own", [None, keras.regularizers.L2(0.5)])
def test_two_on_one_variable_come_off_in_either_order(own, order):
    variable = keras.Variable([1.0, -2.0])
    variable.regularizer = own
    parts = [keras.regularizers.L1L2(l1=0.1), keras.regularizers.L1L2(l2=0.2)]
    penalties, mine = [0.3, 1.0], 2.5 if own else 0.0
    for part in parts:
        add_regularizer(variable, part)
    assert float(variable.regularizer(variable)) == pytest.approx(sum(penalties) + mine)
    remove_regularizer(variable, parts[order[0]])
    assert float(variable.regularizer(variable)) == pytest.approx(penalties[order[1]] + mine)
    remove_regularizer(variable, parts[order[1]])
    assert variable.regularizer is own


def test_a_constraint_is_applied_after_the_variables_own():
    model = regression()
    kernel = model.get_layer("hidden").kernel
    own = keras.constraints.NonNeg()
    kernel.constraint = own
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(kernel.numpy()))
    fit(model, [RegularizerCallback(keras.constraints.MaxNorm(0.2)), watch])
    assert kernel.constraint is own
    assert min(value.min() for value in seen) >= 0
    norms = np.concatenate([np.linalg.norm(value, axis=0) for value in seen])
    assert norms.max() == pytest.approx(0.2, rel=1e-3)


def recurrent():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Embedding(7, 3, name="words"),
            keras.layers.Bidirectional(keras.layers.LSTM(2, name="memory")),
            keras.layers.BatchNormalization(name="norm"),
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="inner")], name="head"),
        ]
    )
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("where", "exclude", "wanted"),
    [
        ("kernel", (), ["kernel", "recurrent_kernel", "kernel", "recurrent_kernel", "kernel"]),
        ("kernel", ("LSTM",), ["kernel"]),
        ("kernel", ("Bidirectional",), ["kernel"]),
        ("kernel", ("head",), ["kernel", "recurrent_kernel", "kernel", "recurrent_kernel"]),
        ("recurrent_kernel", (), ["recurrent_kernel", "recurrent_kernel"]),
        ("embeddings", (), ["embeddings"]),
        ("bias", ("inner",), ["bias", "bias"]),
        ("all", ("LSTM", "Dense", "Embedding"), ["gamma", "beta"]),
    ],
)
def test_where_and_exclude_choose_the_variables(where, exclude, wanted):
    model = recurrent()
    chosen = []

    class Noting(RegularizerCallback):
        def install(self, model):
            super().install(model)
            chosen.extend(v.name for v in model.trainable_variables if v.regularizer is not None)
            raise StopIteration

    callback = Noting(keras.regularizers.L2(0.1), where=where, exclude=exclude)
    callback.set_model(model)
    with pytest.raises(StopIteration):
        callback.on_train_begin()
    assert chosen == wanted


def test_named_variables_come_once_and_frozen_ones_not_at_all():
    shared = keras.layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(shared(shared(inputs))))
    model.get_layer("out").trainable = False
    assert [(layer.name, name) for layer, name, _ in named_variables(model)] == [
        ("shared", "kernel"),
        ("shared", "bias"),
    ]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"where": "kernels"}, "is a 'kernels': pass where= one of"),
        ({"exclude": ("Dense",)}, "outside of exclude=('Dense',): none"),
    ],
)
def test_a_choice_that_is_empty_is_refused(params, text):
    model = regression()
    before = on_it(model)
    with pytest.raises(tfkit.ModelError) as error:
        fit(model, [cosine(), l2(**params)])
    assert text in str(error.value)
    assert on_it(model) == before


def test_a_model_that_is_not_built_is_refused():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(tfkit.ModelError, match="is not built"):
        model.fit(X, Y, verbose=0, callbacks=[l2()])


MIRRORED = """
import contextlib, json, sys
import keras, numpy as np, tensorflow as tf, tfkit
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x = rng.normal(size=(24, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)

def run(strategy, built_in):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        penalty, rate = (keras.regularizers.L2(0.1), 0.05) if built_in else (None, 0.05)
        if built_in:
            rate = tfkit.create("schedule", "exponential", initial=0.1, gamma=0.9)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_regularizer=penalty)])
        model.compile(keras.optimizers.SGD(rate), "mse")
    parts = [] if built_in else [tfkit.callback("schedule", "exponential", initial=0.1, gamma=0.9),
                                 tfkit.callback("regularizer", "l2", l2=0.1)]
    losses = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, epochs=2, callbacks=parts).history["loss"]
    clean = all(v.regularizer is None for v in model.variables) and model.train_function is None
    rate = float(tf.convert_to_tensor(model.optimizer.learning_rate))
    return losses, model.get_weights()[0].ravel().tolist(), clean, rate

print(json.dumps([run(None, True), run(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), False)]))
"""


@pytest.mark.slow
@pytest.mark.nightly
def test_under_a_mirrored_strategy():
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    one, mirrored = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(mirrored[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(mirrored[1], one[1], rtol=1e-5)
    assert mirrored[2:] == [True, pytest.approx(0.05)]


def test_a_name_in_exclude_that_no_layer_has_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")])
    model.compile("sgd", "mse")
    callback = tfkit.callback("regularizer", "l1", l1=0.1, exclude=("hed",))
    with pytest.raises(tfkit.ModelError, match="no layer has that name or type; did you mean 'head'"):
        model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0, callbacks=[callback])

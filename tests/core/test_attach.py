"""What a callback installs for one fit: it acts as if built in, and nothing of it stays, however the fit ends."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.attach.regularizer import RegularizerCallback
from tfkit.attach.variables import add_regularizer, named_variables, remove_regularizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def regression(kernel_regularizer=None, *, optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(3, activation="relu", name="hidden", kernel_regularizer=kernel_regularizer),
        keras.layers.Dense(1, name="out", kernel_regularizer=kernel_regularizer),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), "mse", **compiled)
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, callbacks=(), epochs=2, **more):
    return model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, epochs=epochs, callbacks=list(callbacks), **more)


def l2(**params):
    return tfkit.callback("regularizer", "l2", **{"l2": 0.1, **params})


def cosine():
    return tfkit.callback("schedule", "cosine", initial=0.1, steps=100)


# What Keras itself sets in a fit.
KERAS_OWN = {"history", "stop_training", "stop_evaluating", "_eval_epoch_iterator", "_initial_epoch"}


def on_it(model):
    """Everything a callback could leave on a model: attributes, and what hangs on variables and the optimizer."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return {
        "rate": id(optimizer._learning_rate),
        "optimizer": sorted(vars(optimizer)),
        "model": sorted(vars(model).keys() - KERAS_OWN),
        "variables": [(id(v), v.regularizer, v.constraint) for v in model.variables],
        "config": json.dumps(optimizer.get_config(), default=str),
        "compiled": json.dumps(model.get_compile_config(), default=str),
        "train_function": getattr(model.train_function, "guard", None),
        "test_function": getattr(model.test_function, "guard", None),
    }


def require_as_new(model, before):
    """Nothing is left on the model, and from here it trains and scores as one that was never touched."""
    assert on_it(model) == before
    fresh = regression()
    model.set_weights(fresh.get_weights())
    for variable, value in zip(model.optimizer.variables, fresh.optimizer.variables):
        variable.assign(value)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(fresh.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(fit(model).history["loss"], fit(fresh).history["loss"], rtol=1e-6)


class Raising(keras.callbacks.Callback):
    """Raises in one of its methods, the second time it is called."""

    def __init__(self, method, error):
        super().__init__()
        self.calls = 0
        self.error = error
        setattr(self, method, self.step)

    def step(self, *args, **kwargs):
        self.calls += 1
        if self.calls == 2:
            raise self.error


def test_after_a_fit_nothing_is_left():
    model = regression()
    model.evaluate(X, Y, verbose=0)
    before = on_it(model)
    fit(model, [cosine(), l2()], validation_data=(X, Y))
    require_as_new(model, before)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), SystemExit()])
@pytest.mark.parametrize("method", ["on_train_batch_end", "on_epoch_begin", "on_epoch_end", "on_test_batch_begin"])
def test_after_an_error_in_another_callback_nothing_is_left(method, error):
    model = regression()
    before = on_it(model)
    # One callback before and one after: it does not matter who is told first.
    callbacks = [cosine(), Raising(method, error), l2()]
    with pytest.raises(type(error)):
        fit(model, callbacks, validation_data=(X, Y))
    assert on_it(model) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_in_a_training_step_nothing_is_left(error):
    model = regression(run_eagerly=True)
    before = on_it(model)
    step, calls = model.train_step, []

    def failing(data):
        calls.append(data)
        if len(calls) == 2:
            raise error
        return step(data)

    model.train_step = failing
    with pytest.raises(error):
        fit(model, [cosine(), l2()])
    assert len(calls) == 2
    del model.train_step
    require_as_new(model, before)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_after_an_error_in_a_graph_nothing_is_left(part):
    bad = tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (tf.debugging.check_numerics(x / 0.0, "bad"), y))
    good = tf.data.Dataset.from_tensor_slices((X, Y))
    model = regression()
    before = on_it(model)
    train, validation = (bad, good) if part == "train" else (good, bad)
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.fit(
            train.batch(8), validation_data=validation.batch(8), callbacks=[cosine(), l2()], verbose=0, shuffle=False
        )
    require_as_new(model, before)


def test_what_an_error_in_on_train_begin_leaves_goes_with_the_next_fit():
    class Early(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise ValueError("early")

    model = regression()
    before = on_it(model)
    with pytest.raises(ValueError, match="early"):
        fit(model, [cosine(), l2(), Early()])
    assert on_it(model) != before
    loss = fit(model).history["loss"]
    assert on_it(model) == before
    np.testing.assert_allclose(loss, fit(regression()).history["loss"], rtol=1e-6)


def test_a_fit_that_raised_at_once_does_not_hinder_the_same_callback():
    model = regression()
    schedule = cosine()
    with pytest.raises(tfkit.ModelError, match="two schedules are installed"):
        fit(model, [schedule, l2(), cosine()])
    assert model.optimizer.learning_rate == 0.05
    fit(model, [schedule])
    fit(model, [schedule])
    assert model.optimizer.learning_rate == 0.05


def test_a_list_of_callbacks_of_the_users_own_is_left_as_it_was():
    model = regression()
    callbacks = keras.callbacks.CallbackList([cosine(), l2()], add_history=True, model=model)
    before = sorted(vars(callbacks))
    model.fit(X, Y, verbose=0, callbacks=callbacks)
    assert sorted(vars(callbacks)) == before
    assert model.optimizer.learning_rate == 0.05


@pytest.mark.parametrize("optimizer", ["wrapped", "accumulating"])
def test_the_rate_of_other_optimizers_comes_back(optimizer):
    made = {
        "wrapped": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05)),
        "accumulating": lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
    }[optimizer]()
    model = regression(optimizer=made)
    before = on_it(model)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(float(model.optimizer.learning_rate))
    )
    fit(model, [cosine(), watch])
    assert max(seen) == pytest.approx(0.1, rel=1e-3)
    assert on_it(model) == before


@pytest.mark.parametrize(("name", "params"), [("l1", {"l1": 0.03}), ("elastic-net", {"l1": 0.02, "l2": 0.05})])
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


def test_a_model_saved_in_mid_fit_loads_and_goes_on(tmp_path):
    def rate():
        return tfkit.callback("schedule", "cosine", initial=0.1, steps=12)

    whole = regression()
    fit(whole, [rate()], epochs=4)

    model = regression()
    path = tmp_path / "half.keras"
    fit(model, [rate(), l2(l2=0.0), keras.callbacks.ModelCheckpoint(path)], epochs=2)
    loaded = keras.saving.load_model(path)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.05)
    assert int(loaded.optimizer.iterations) == 6
    fit(loaded, [rate()], epochs=2)
    for one, other in zip(loaded.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


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

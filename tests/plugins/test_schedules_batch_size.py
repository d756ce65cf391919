"""A batch size that changes within one fit, against a fit for each epoch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [3.0]]).astype("float32")
GROWING = {"initial": 4, "factor": 2.0, "maximum": 20}  # 13, 7, 4 and 3 steps
SHRINKING = {"initial": 50, "factor": 0.3}  # 1, 4, 13 and 50 steps


def linear(**compiled):
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse", **compiled)
    return model


@functools.cache
def separate_fits(initial, factor, maximum=99):
    """Losses, steps and weights of a fit for each of 4 epochs."""
    model, losses = linear(), []
    for epoch in range(4):
        size = min(round(initial * factor**epoch), maximum)
        losses += model.fit(X, Y, batch_size=size, shuffle=False, verbose=0).history["loss"]
    return losses, int(model.optimizer.iterations), model.get_weights()


@pytest.mark.parametrize(
    ("params", "compiled"),
    [
        (GROWING, {"steps_per_execution": 4}),
        (SHRINKING, {"steps_per_execution": 3}),
        pytest.param(GROWING, {}, marks=pytest.mark.nightly),
        pytest.param(SHRINKING, {"run_eagerly": True}, marks=pytest.mark.nightly),
    ],
    ids=["growing-spe-4", "shrinking-spe-3", "growing", "shrinking-eager"],
)
def test_losses_and_steps_equal_separate_fits(params, compiled):
    losses, steps, weights = separate_fits(**params)
    model = linear(**compiled)
    arguments = tfkit.create("schedule", "batch-size", **params).fit_arguments((X, Y), 4, shuffle=False)
    history = model.fit(**arguments, verbose=0).history
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    assert int(model.optimizer.iterations) == steps
    np.testing.assert_allclose(model.get_weights()[0], weights[0], rtol=1e-6)


def test_two_traces_for_all_sizes():
    traces = []

    class Counted(keras.Sequential):
        def train_step(self, data):
            traces.append(data[0].shape)
            return super().train_step(data)

    model = Counted([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(**tfkit.create("schedule", "batch-size", **GROWING).fit_arguments((X, Y), 4), verbose=0)
    assert 1 <= len(traces) <= 2


@pytest.fixture(scope="module")
def shuffled():
    """Losses of 4 shuffled epochs in one go."""
    arguments = tfkit.create("schedule", "batch-size", **GROWING).fit_arguments((X, Y), 4, seed=3)
    return linear().fit(**arguments, verbose=0).history["loss"]


def test_every_epoch_sees_each_row_once_in_an_order_of_its_own():
    rows = np.arange(50.0)[:, None]
    arguments = tfkit.create("schedule", "batch-size", **GROWING).fit_arguments((rows, rows), 3, seed=3)
    seen = []

    class Watched(keras.Sequential):
        def train_step(self, data):
            seen.append(data[0].numpy().ravel())
            return super().train_step(data)

    model = Watched([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    model.fit(**arguments, verbose=0)
    assert [len(batch) for batch in seen] == [4] * 12 + [2] + [8] * 6 + [2] + [16] * 3 + [2]
    epochs = np.concatenate(seen).reshape(3, 50)
    assert (np.sort(epochs) == rows.T).all()
    assert not (epochs[0] == epochs[1]).all()
    assert not (epochs[0] == rows.T).all()


def test_a_fit_that_begins_later_goes_on_as_the_whole_one(shuffled):
    schedule = tfkit.create("schedule", "batch-size", **GROWING)
    model = linear()
    first = model.fit(**schedule.fit_arguments((X, Y), 2, seed=3), verbose=0).history["loss"]
    then = model.fit(**schedule.fit_arguments((X, Y), 4, seed=3), initial_epoch=2, verbose=0).history["loss"]
    np.testing.assert_allclose(first + then, shuffled, rtol=1e-6)


def test_a_crash_and_a_backup_end_as_the_whole_one(shuffled, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 22:  # in the third epoch
                raise KeyboardInterrupt

    arguments = tfkit.create("schedule", "batch-size", **GROWING).fit_arguments((X, Y), 4, seed=3)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        linear().fit(**arguments, verbose=0, callbacks=[backup, Crash()])
    arguments = tfkit.create("schedule", "batch-size", **GROWING).fit_arguments((X, Y), 4, seed=3)
    resumed = linear().fit(**arguments, verbose=0, callbacks=[backup])
    assert resumed.epoch == [2, 3]
    np.testing.assert_allclose(resumed.history["loss"], shuffled[2:], rtol=1e-6)


def test_the_callback_tells_the_size_and_the_bar_the_steps(capsys):
    callback = tfkit.callback("schedule", "batch-size", **GROWING)
    data = tfkit.Data((X, Y))
    history = linear().fit(**callback.fit_arguments(data, epochs=4), callbacks=[callback], verbose=2).history
    assert history["batch_size"] == [4, 8, 16, 20]
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines() if "loss" in line] == [
        *("13/13", "7/7", "4/4", "3/3")
    ]


def test_weights_dicts_and_datasets():
    weight = RNG.random(50).astype("float32")
    inputs = keras.Input((3,), name="a")
    model = keras.Model({"a": inputs}, keras.layers.Dense(1)(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse", weighted_metrics=["mse"])
    schedule = tfkit.create("schedule", "batch-size", initial=8, factor=2.0)
    history = model.fit(**schedule.fit_arguments(({"a": X}, Y, weight), 2), verbose=0).history
    wanted = np.average(((model.predict({"a": X}, verbose=0) - Y) ** 2).ravel(), weights=weight)
    np.testing.assert_allclose(history["mse"], [wanted] * 2, rtol=1e-5)

    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(7)
    model = linear()
    losses, steps, _ = separate_fits(**GROWING)
    history = model.fit(**tfkit.create("schedule", "batch-size", **GROWING).fit_arguments(dataset, 4), verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-6)
    assert int(model.optimizer.iterations) == steps


@pytest.mark.parametrize(
    ("params", "epochs", "told"),
    [
        ({"initial": 2, "factor": 0.1}, 3, "batches of 0 rows in epoch 2 of 3, and the train part has 50: a factor"),
        ({"initial": 30, "factor": 2.0}, 2, "batches of 60 rows in epoch 2 of 2, and the train part has 50: pass max"),
        ({"initial": 51, "factor": 1.0}, 1, "batches of 51 rows in epoch 1 of 1"),
        ({"initial": 2, "factor": 1e300}, 3, "of 9223372036854775807 rows in epoch 2"),
        ({"initial": 2, "factor": 1.0}, 0, "the epochs of schedule 'batch-size' must be an int >= 1; got 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(params, epochs, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        tfkit.create("schedule", "batch-size", **params).fit_arguments((X, Y), epochs)


def test_what_is_no_such_fit_is_refused():
    with pytest.raises(tfkit.ParameterError, match=r"'initial' .* must be an int >= 1; got 0"):
        tfkit.create("schedule", "batch-size", initial=0, factor=2.0)
    callback = tfkit.callback("schedule", "batch-size", **GROWING)
    with pytest.raises(tfkit.ParameterError, match=r"call model.fit\(\*\*callback.fit_arguments"):
        linear().fit(X, Y, callbacks=[callback], verbose=0)
    with pytest.raises(tfkit.ParameterError, match="made for 1 epochs; fit is in epoch 2"):
        linear().fit(**{**callback.fit_arguments((X, Y), 1), "epochs": 2}, verbose=0)
    with pytest.raises(tfkit.ModelError, match=r"this steps_per_epoch is for model\.fit alone"):
        linear().evaluate(X, Y, steps=callback.fit_arguments((X, Y), 1)["steps_per_epoch"], verbose=0)

"""reduce-lr-on-plateau against Keras's own where that works, and with schedules where it does not."""

import itertools

import keras
import numpy as np
import pytest
from small_fits import X, Y, small_model

import tfkit


class Scripted(keras.callbacks.Callback):
    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]


def rates(values, *callbacks, learning_rate=0.5, **compiled):
    """The rate that each of two batches of each epoch used, read from the weights, and the model.

    Batch i holds row i of the unit matrix and the loss is the prediction: weight i falls by the rate there.
    """
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(learning_rate), loss=lambda true, predicted: predicted, **compiled)
    ends = [np.zeros(2)]
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(model.get_weights()[0][:, 0]))
    rows = np.eye(2, dtype="float32")
    model.fit(
        *(rows, rows), batch_size=1, epochs=len(values), shuffle=False, verbose=0,
        callbacks=[Scripted(values), *callbacks, watch],
    )  # fmt: skip
    return -np.diff(ends, axis=0).ravel(), model


def plateau(**params):
    return tfkit.create("callback", "reduce-lr-on-plateau", monitor="score", mode="min", **params)


VALUES = [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    "params",
    [
        {"patience": 2, "factor": 0.5},
        pytest.param({"patience": 1, "factor": 0.5, "cooldown": 2}, marks=pytest.mark.nightly),
        {"patience": 0, "factor": 0.1, "min_lr": 0.01},
        pytest.param({"patience": 2, "factor": 0.3, "min_delta": 1.5}, marks=pytest.mark.nightly),
    ],
    ids=["patience", "cooldown", "min_lr", "min_delta"],
)
def test_a_plain_rate_is_reduced_as_by_keras(params):
    theirs = keras.callbacks.ReduceLROnPlateau(monitor="score", mode="min", **params)
    wanted, _ = rates(VALUES, theirs, run_eagerly=True)
    found, model = rates(VALUES, plateau(**params), run_eagerly=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert float(model.optimizer.learning_rate) == 0.5


STEPS = np.arange(24)
COSINE = 0.5 * (1 + np.cos(np.pi * STEPS / 40)) / 2
# Better in the second and the sixth epoch, patience 2: reduced after epochs 4, 8, 10 and 12.
SCALE = np.repeat([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125], 2)


def cosine():
    return tfkit.callback("schedule", "cosine", initial=0.5, steps=40)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 2}], ids=["spe-1", "spe-2"])
def test_with_a_schedule_callback_in_either_order(first, compiled):
    both = [plateau(patience=2, factor=0.5), cosine()]
    found, model = rates(VALUES, both[first], both[1 - first], **compiled)
    np.testing.assert_allclose(found, COSINE * SCALE, rtol=1e-3, atol=1e-5)
    assert float(model.optimizer.learning_rate) == 0.5
    assert both[0].scale == 0.5**4


def test_a_schedule_of_the_optimizer():
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 40)
    found, model = rates(VALUES, plateau(patience=2, factor=0.5), learning_rate=schedule)
    np.testing.assert_allclose(found, COSINE * SCALE, rtol=1e-3, atol=1e-5)
    assert model.optimizer._learning_rate is schedule


def test_min_lr_bounds_what_is_reduced_and_not_the_schedule():
    found, _ = rates(VALUES, plateau(patience=2, factor=0.01, min_lr=0.3), cosine(), run_eagerly=True)
    wanted = np.where(SCALE == 1, COSINE, np.minimum(COSINE, 0.3))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_a_model_saved_meanwhile_has_the_rate_it_was_compiled_with(tmp_path):
    path = tmp_path / "model.keras"
    model = small_model(run_eagerly=True)
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.save(path))
    reduce = tfkit.create("callback", "reduce-lr-on-plateau", monitor="loss", patience=0, min_delta=99.0)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[reduce, cosine(), save])
    assert float(tfkit.load_model(path).optimizer.learning_rate) == pytest.approx(0.1)


SETTERS = (keras.callbacks.ReduceLROnPlateau(monitor="loss"), keras.callbacks.LearningRateScheduler(lambda epoch: 0.1))


@pytest.mark.parametrize(
    ("ours", "theirs"), [*itertools.product([cosine, plateau], SETTERS)], ids=lambda each: type(each).__name__
)
def test_keras_callbacks_that_set_the_rate_are_refused_with_the_way_out(ours, theirs):
    told = f"{type(theirs).__name__} cannot set the learning rate beside .*: (use|keep) "
    for callbacks in ([ours(), theirs], [theirs, ours()]):
        model = small_model(run_eagerly=True)
        with pytest.raises(tfkit.ModelError, match=told):
            model.fit(X, Y, verbose=0, callbacks=callbacks)
        assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_what_the_logs_lack_is_refused():
    with pytest.raises(tfkit.ParameterError, match="'reduce-lr-on-plateau' cannot watch 'val_loss': the logs have"):
        small_model(run_eagerly=True).fit(X, Y, verbose=0, callbacks=[tfkit.create("callback", "reduce-lr-on-plateau")])


def test_nan_is_never_an_improvement():
    nan = float("nan")
    found, _ = rates([nan, nan, nan, 3, 3], plateau(patience=2, factor=0.5), run_eagerly=True)
    np.testing.assert_allclose(found, np.repeat([0.5, 0.5, 0.25, 0.25, 0.25], 2), rtol=1e-5)


def test_verbose_tells_the_new_rate(capsys):
    rates([3, 3], plateau(patience=1, factor=0.5, verbose=1), run_eagerly=True)
    assert "Epoch 2: reduce-lr-on-plateau reduces the learning rate to 0.25.\n" in capsys.readouterr().out

"""Keras's silent errors in schedules: each test fails when Keras mends one, so that the repair can go."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

MENDED = "Keras has mended this: strike it off docs/upstream.md, and tfkit's repair where it serves nothing else"

ROWS = np.eye(8, dtype="float32")


def fit(x, *callbacks, epochs=1, learning_rate=0.5, **compiled):
    """The model and what each weight fell by: with row i in batch i that is the rate which that batch used."""
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(learning_rate), loss=lambda true, predicted: predicted, **compiled)
    model.fit(x, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))
    return model, -model.get_weights()[0][:, 0]


def of_unknown_length():
    return tf.data.Dataset.from_tensor_slices((ROWS, ROWS)).batch(1).filter(lambda x, y: True)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_trap_9_a_dataset_of_unknown_length_adds_a_step_each_epoch():
    """At its end the graph has counted a step before it finds that there is no batch."""
    model, _ = fit(of_unknown_length(), epochs=3)
    assert int(model.optimizer.iterations) > 24, MENDED

    falling = {"initial": 0.5, "gamma": 0.9}
    model, fell = fit(of_unknown_length(), tfkit.callback("schedule", "exponential", **falling), epochs=3)
    assert int(model.optimizer.iterations) == 24
    wanted = 0.5 * 0.9 ** np.arange(24.0).reshape(3, 8)
    np.testing.assert_allclose(fell, wanted.sum(axis=0), rtol=1e-5)


class EachBatch(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.5 * 0.9**batch


def test_trap_12_a_rate_set_before_each_batch_is_set_before_each_execution():
    data = tf.data.Dataset.from_tensor_slices((ROWS, ROWS)).batch(1)
    wanted = 0.5 * 0.9 ** np.arange(8)
    _, fell = fit(data, EachBatch())
    np.testing.assert_allclose(fell, wanted, rtol=1e-5)
    _, fell = fit(data, EachBatch(), steps_per_execution=4)
    assert np.abs(fell - wanted).max() > 0.1, MENDED
    schedule = tfkit.callback("schedule", "exponential", initial=0.5, gamma=0.9)
    _, fell = fit(data, schedule, steps_per_execution=4)
    np.testing.assert_allclose(fell, wanted, rtol=1e-5)


def test_keras_cosine_restarts_miss_a_restart_by_a_rounding():
    """10 and 13 steps: the third period begins at step 23, where Keras is at the end of the second."""
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.5, 10, t_mul=1.3)
    assert float(theirs(23)) < 0.01, MENDED
    ours = tfkit.create("schedule", "cosine-restarts", initial=0.5, steps=10, factor=1.3)
    assert float(ours(23)) == 0.5
    assert float(tf.function(ours)(tf.constant(23))) == 0.5


def test_keras_adam_squares_the_gradients_of_a_repeated_row_one_by_one():
    """Adam's first step is the rate, whatever the gradient; here it is the rate times the root of 2."""

    def first_step(*callbacks):
        model = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(3, 1)])
        model.compile(keras.optimizers.Adam(0.1), loss=lambda true, predicted: predicted, run_eagerly=True)
        before = model.get_weights()[0]
        model.fit(np.array([[1, 1]]), np.zeros((1, 2, 1)), verbose=0, callbacks=list(callbacks))
        return float((before - model.get_weights()[0])[1, 0])

    assert first_step() == pytest.approx(0.1 * 2**0.5, rel=1e-4), MENDED
    assert first_step(tfkit.create("callback", "micro-batches", steps=1)) == pytest.approx(0.1, rel=1e-4)


def test_a_changing_number_of_steps_needs_what_is_known_of_keras_epoch_loop():
    """`tfkit.attach.epochs` reads the epoch from these: when this fails, it has to be written anew."""
    names = keras.Model.fit.__wrapped__.__code__.co_varnames
    assert {"epoch", "epoch_iterator", "initial_epoch"} <= set(names)

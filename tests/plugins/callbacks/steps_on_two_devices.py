"""What test_two_devices.py runs in a process of its own, which has two logical CPU devices."""

import functools
import sys
import warnings

import keras
import numpy as np
import tensorflow as tf
from small_fits import X, Y, assert_same, fitted, made, small_model

import tfkit

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

WAYS = {
    "micro-batches": lambda: [made("micro-batches", steps=3)],
    "sam": lambda: [made("sam", rho=0.1)],
    "ema": lambda: [made("average-weights", kind="ema", decay=0.5)],
    "swa": lambda: [made("average-weights", kind="swa", start_epoch=0)],
    "plateau": lambda: [
        made("reduce-lr-on-plateau", monitor="loss", patience=0, min_delta=99.0),
        tfkit.callback("schedule", "cosine", initial=0.1, steps=10),
    ],
}


@functools.cache  # two strategies of the same devices mix up what they exchange
def two():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def batch_size(**built):
    model = small_model(**built)
    schedule = tfkit.create("schedule", "batch-size", initial=10, factor=2.0, maximum=50)
    history = model.fit(**schedule.fit_arguments((X, Y), 4, seed=1), verbose=0).history
    return np.concatenate([each.ravel() for each in model.get_weights()]), history


def ends_at_nan():
    """The state at the end of the first epoch comes back, which is that of one device after it."""
    rows, labels = np.concatenate([X[:20], X[:20]]), np.concatenate([Y[:20], Y[:20]])
    rows[25] = np.nan
    epochs = tf.data.Dataset.from_tensor_slices((rows, labels)).batch(10)
    with two().scope():
        model = small_model()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RuntimeWarning)
        model.fit(
            epochs.repeat(), epochs=2, steps_per_epoch=2, callbacks=[made("terminate-on-nan")], shuffle=False, verbose=0
        )
    assert any("those at the end of the epoch before" in str(each.message) for each in told), told
    plain = small_model()
    plain.fit(epochs.take(2), shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def ends_where_a_gradient_alone_is_not_finite():
    """At the end of the first epoch, whose loss is finite: what it began with comes back."""
    with two().scope():
        inputs = keras.Input((2,))
        hidden = keras.layers.Dense(3, activation="relu", kernel_initializer="zeros")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.ops.sqrt(hidden)))
        model.compile("sgd", "mse")
    before = model.get_weights()
    ones = np.ones((4, 2), "float32")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RuntimeWarning)
        model.fit(ones, ones[:, :1], batch_size=4, epochs=2, callbacks=[made("terminate-on-nan")], verbose=0)
    assert any("not finite" in str(each.message) for each in told), told
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def main(names):
    for name in names:
        callbacks = WAYS[name]
        # Batches of 10 rows are the same on both: Keras weighs a replica's mean by nothing.
        assert_same(fitted(*callbacks(), batch_size=10, strategy=two()), fitted(*callbacks(), batch_size=10), atol=1e-5)
        print(name)
    assert_same(batch_size(strategy=two()), batch_size(), atol=1e-5)
    print("batch-size")
    ends_at_nan()
    ends_where_a_gradient_alone_is_not_finite()
    print("terminate-on-nan")


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main(sys.argv[1:])

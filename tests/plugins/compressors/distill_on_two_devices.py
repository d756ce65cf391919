"""What test_distill_training.py runs in a process of its own, which has two logical CPU devices."""

import keras
import numpy as np
import tensorflow as tf

import tfkit

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
# One for all: a second one begins to count its collective operations anew, and meets those of the first.
MIRRORED = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 16)).astype("float32")
Y = RNG.integers(0, 5, 96)


def net(units, seed):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(units, "relu", name="hidden", kernel_regularizer=keras.regularizers.L2(0.1))
    model = keras.Sequential([keras.Input((16,)), hidden, keras.layers.Dense(5, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    return model


def distilled(strategy, **params):
    teacher = net(9, 1)
    with strategy.scope():
        model = net(6, 0)
    callback = tfkit.callback("compressor", "distill", teacher=teacher, **params)
    history = model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[callback]).history
    return model.get_weights(), history


def check(**params):
    (weights, history), (expected, figures) = (
        distilled(MIRRORED, **params),
        distilled(tf.distribute.get_strategy(), **params),
    )
    for one, other in zip(weights, expected):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for name, values in figures.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


if __name__ == "__main__":
    check(alpha=0.3, features=[("hidden", "hidden")])
    print("same")

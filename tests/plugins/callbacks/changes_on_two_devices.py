"""What test_changes_on_two_devices.py runs in a process of its own, which has two logical CPU devices."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from small_fits import made

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

RNG = np.random.default_rng(0)
X = RNG.random((24, 4, 4, 1)).astype("float32")
IDS = RNG.integers(3, size=24)
ONE_HOT = np.eye(3, dtype="float32")[IDS]


def two():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def fitted(loss, y, *callbacks, strategy=None, dropout=0.0):
    start = keras.initializers.GlorotUniform(seed=1)
    with strategy.scope() if strategy else contextlib.nullcontext():
        inputs = keras.Input((4, 4, 1))
        first = keras.layers.Dense(5, "relu", kernel_initializer=start)(keras.layers.Flatten()(inputs))
        summed = keras.layers.Add()([first, keras.layers.Dense(5, kernel_initializer=start)(first)])
        dropped = keras.layers.Dropout(dropout, seed=3)(summed)
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax", kernel_initializer=start)(dropped))
        model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    model.fit(X, y, batch_size=12, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    return np.concatenate([each.ravel() for each in model.get_weights() if each.dtype == "float32"])


def smoothing_is_that_of_one_device():
    loss = "sparse_categorical_crossentropy"
    one = fitted(loss, IDS, made("label-smoothing"))
    np.testing.assert_allclose(fitted(loss, IDS, made("label-smoothing"), strategy=two()), one, atol=1e-5)


def ids_are_mixed_as_rows():
    for name in ("mixup", "cutmix"):
        ids = fitted("sparse_categorical_crossentropy", IDS, made(name, alpha=1.0), strategy=two())
        rows = fitted("categorical_crossentropy", ONE_HOT, made(name, alpha=1.0), strategy=two())
        np.testing.assert_allclose(ids, rows, atol=1e-5)
        parts = [made("micro-batches", steps=2), made(name, alpha=1.0)]
        found = fitted("sparse_categorical_crossentropy", IDS, *parts, strategy=two())
        np.testing.assert_allclose(found, ids, atol=1e-5)


def dropout_is_that_of_a_model_built_with_it():
    loss = "sparse_categorical_crossentropy"
    found = fitted(loss, IDS, made("dropout", rate=0.4, seed=3), strategy=two())
    np.testing.assert_allclose(found, fitted(loss, IDS, strategy=two(), dropout=0.4), atol=1e-5)


def the_others_run():
    loss = "sparse_categorical_crossentropy"
    for name, params in (
        ("stochastic-depth", {"rate": 0.3}),
        ("r-drop", {}),
        ("image-augmentation", {"flip": "both", "rotation": 0.1, "crop": 1}),
    ):
        found = fitted(loss, IDS, made(name, **params), strategy=two(), dropout=0.2)
        assert np.isfinite(found).all()
        assert np.abs(found - fitted(loss, IDS, strategy=two(), dropout=0.2)).max() > 1e-4


if __name__ == "__main__":
    smoothing_is_that_of_one_device()
    ids_are_mixed_as_rows()
    dropout_is_that_of_a_model_built_with_it()
    the_others_run()
    print("done")

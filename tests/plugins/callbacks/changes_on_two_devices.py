"""What test_changes_on_two_devices.py runs in a process of its own, which has two logical CPU devices."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf
from small_fits import made

from tfkit_callbacks.batch_change import BatchChange

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

RNG = np.random.default_rng(0)
X = RNG.random((24, 4, 4, 1)).astype("float32")
IDS = RNG.integers(3, size=24)
ONE_HOT = np.eye(3, dtype="float32")[IDS]


@functools.cache  # TensorFlow numbers the collectives of each strategy alike, for one shape in a process
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


class Drawn(BatchChange):
    """Keeps the seed of each batch, and what each replica gets."""

    def __init__(self):
        super().__init__(seed=5)
        self.shared, self.own = [], []

    def _batch_seed(self):
        seed = super()._batch_seed()
        tf.py_function(lambda value: self.shared.append(tuple(value.numpy())), [seed], [])
        return seed

    def change(self, x, y, sample_weight, seed):
        tf.py_function(lambda value: self.own.append(tuple(value.numpy())), [seed], [])
        return x, y, sample_weight


def replicas_draw_by_one_number_each_its_own():
    one, both = Drawn(), Drawn()
    fitted("sparse_categorical_crossentropy", IDS, one)
    fitted("sparse_categorical_crossentropy", IDS, both, strategy=two())
    assert len(set(one.shared)) == len(one.shared) == 4
    assert sorted(both.shared) == sorted(2 * one.shared)
    assert len(set(both.own)) == 8
    assert set(one.own) < set(both.own)


class Seen(keras.layers.Layer):
    """Keeps what it is given in training."""

    seen = []

    def call(self, x, training=False):
        if training:
            tf.py_function(lambda value: self.seen.append(value.numpy()), [x], [])
        return x


def replicas_see_the_same_rows_changed_each_in_its_way():
    """Both replicas get the same six images in each of two batches."""
    for name, params in (("image-augmentation", {"flip": "both", "crop": 2}), ("mixup", {"alpha": 1.0})):
        layer = Seen()
        layer.seen = []
        with two().scope():
            inputs = keras.Input((4, 4, 1))
            outputs = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(layer(inputs)))
            model = keras.Model(inputs, outputs)
            model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        callback = made(name, **params)
        model.fit(np.tile(X[:6], (4, 1, 1, 1)), np.tile(IDS[:6], 4), 12, shuffle=False, verbose=0, callbacks=[callback])
        assert [each.shape for each in layer.seen] == [(6, 4, 4, 1)] * 4
        assert len({each.tobytes() for each in layer.seen}) == 4


if __name__ == "__main__":
    smoothing_is_that_of_one_device()
    ids_are_mixed_as_rows()
    dropout_is_that_of_a_model_built_with_it()
    replicas_draw_by_one_number_each_its_own()
    replicas_see_the_same_rows_changed_each_in_its_way()
    the_others_run()
    print("done")

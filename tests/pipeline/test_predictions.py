"""Predictions equal those of Keras's `predict`, by whichever of its methods they are made."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tfkit.pipeline.predictions import predict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(21, 3)).astype("float32")


def one_input(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse", **compiled)
    return model


def two_inputs():
    keras.utils.set_random_seed(0)
    one, other = keras.Input((3,), name="one"), keras.Input((1,), name="other", dtype="int32")
    both = keras.layers.Concatenate()([one, keras.layers.Flatten()(keras.layers.Embedding(5, 2)(other))])
    return keras.Model({"one": one, "other": other}, [keras.layers.Dense(2)(both), keras.layers.Dense(1)(both)])


@pytest.mark.parametrize("compiled", [{}, {"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_arrays_in_batches_that_do_not_come_out_even(compiled, dtype):
    model, x = one_input(**compiled), X.astype(dtype)
    found = predict(model, x, batch_size=8)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-5, atol=1e-7)


def test_a_dict_of_inputs_and_a_list_of_outputs():
    model, x = two_inputs(), {"one": X, "other": RNG.integers(5, size=(21, 1))}
    for found, wanted in zip(predict(model, x, batch_size=8), model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


MIRRORED = """
import keras, numpy as np, tensorflow as tf
from tfkit.pipeline.predictions import predict
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")])
x = np.random.default_rng(0).normal(size=(21, 3)).astype("float32")
found, (kernel, bias) = predict(model, x, batch_size=8), model.get_weights()
np.testing.assert_allclose(found, np.tanh(x @ kernel + bias), rtol=1e-5, atol=1e-6)
print(len(found))
"""


def test_each_of_two_replicas_predicts_rows_of_its_own():
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["21"], done.stderr


def test_words_are_predicted_too():
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup])
    assert predict(model, np.array([["b"], ["c"]])).tolist() == [[2], [0]]


def test_a_model_that_predicts_by_a_method_of_its_own_is_asked_for_it():
    class Doubled(keras.Sequential):
        def predict(self, *args, **kwargs):
            return 2 * super().predict(*args, **kwargs)

    model = Doubled([keras.Input((3,)), keras.layers.Dense(1)])
    np.testing.assert_allclose(predict(model, X), 2 * model(X), rtol=1e-5, atol=1e-7)

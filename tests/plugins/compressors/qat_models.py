"""What the tests of qat share: digits, a small classifier, and TensorFlow's own fake quantization."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfkit

RNG = np.random.default_rng(0)
# A little noise, since pixels of k/16 lie on the very middle between two steps of 8 bits.
X = (load_digits().images / 16 + RNG.normal(0, 0.02, (1797, 8, 8))).astype("float32")[..., None]
Y = load_digits().target
DATA = tfkit.Data((X[:1200], Y[:1200]), (X[1200:], Y[1200:]))
SOFT = "sparse_categorical_crossentropy"


def dense(units=16, **compiled):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    hidden = layers.Dense(units, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="out")(hidden), name="mlp")
    model.compile(keras.optimizers.Adam(3e-3), SOFT, metrics=["accuracy"], **compiled)
    return model


def fake_quantized(kernel, bits, axis):
    """TensorFlow's own fake quantization, of channels on one axis."""
    moved = np.moveaxis(kernel, axis, -1)
    high = np.abs(moved).reshape(-1, moved.shape[-1]).max(0)
    done = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        moved, -high, high, num_bits=bits, narrow_range=True
    )
    return np.moveaxis(done.numpy(), -1, axis)

"""What the tests of distill share: a small classifier, its data, and the same training written out."""

import keras
import numpy as np
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = RNG.integers(0, 4, 48)
WEIGHT = RNG.uniform(0, 2, 48).astype("float32")
HOT = np.eye(4, dtype="float32")[Y]
LABELS = RNG.integers(0, 2, (48, 4)).astype("float32")
VALUES = RNG.normal(size=(48, 4)).astype("float32")
T, ALPHA = 3.0, 0.3


def net(units=5, seed=0, end=None, *, loss=None, name=None, out=4, dtype=None, **compiled):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(units, "relu", name="hidden", dtype=dtype)]
    layers.append(keras.layers.Dense(out, end, name="out", dtype=dtype))
    model = keras.Sequential([keras.Input((6,)), *layers], name=name or f"net{units}")
    if loss is not None:
        optimizer = compiled.pop("optimizer", None) or keras.optimizers.SGD(0.1)
        model.compile(optimizer, loss, **{"jit_compile": False, **compiled})
    return model


def sparse(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def distill(teacher, **params):
    return tfkit.callback("compressor", "distill", teacher=teacher, **{"temperature": T, "alpha": ALPHA, **params})


def fit(model, *callbacks, y=Y, epochs=2, **more):
    return model.fit(X, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def by_hand(model, teacher, hard, soft, *, y=Y, weight=None, epochs=2, batch=16):
    """The same training, written out: plain SGD at 0.1, the mean over rows."""
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            rows = slice(start, start + batch)
            w = 1.0 if weight is None else weight[rows]
            with tf.GradientTape() as tape:
                given = model(X[rows], training=True)
                losses = ALPHA * hard(y[rows], given) + (1 - ALPHA) * soft(teacher(X[rows], training=False), given)
                loss = tf.reduce_mean(w * losses) + sum(model.losses)
            for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables)):
                variable.assign_sub(0.1 * gradient)
    return model.get_weights()


def hard_classes(labels, outputs):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)


def soft_classes(taught, outputs):
    p = tf.nn.softmax(taught / T)
    return T**2 * tf.reduce_sum(p * (tf.nn.log_softmax(taught / T) - tf.nn.log_softmax(outputs / T)), axis=-1)


def same(left, right, atol=2e-6):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)

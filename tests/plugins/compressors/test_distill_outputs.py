"""Distillation of models with masks, ignored classes, several outputs or a class of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from distill_models import RNG, VALUES, X, Y, by_hand, distill, fit, hard_classes, net, same, soft_classes, sparse


def test_masked_sequences_leave_the_padding_out():
    tokens = RNG.integers(1, 9, (48, 5))
    tokens[:, 3:] = 0
    y = RNG.integers(0, 4, (48, 5))

    def tagger(units, seed, **compiled):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, 3, mask_zero=True)])
        model.add(keras.layers.GRU(units, return_sequences=True))
        model.add(keras.layers.Dense(4, "softmax", name="out"))
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
        return model

    teacher = tagger(6, 1)
    padded, short = tagger(3, 0), tagger(3, 0)
    padded.fit(tokens, y, epochs=1, shuffle=False, verbose=0, callbacks=[distill(teacher)])
    short.fit(tokens[:, :3], y[:, :3], epochs=1, shuffle=False, verbose=0, callbacks=[distill(teacher)])
    same(padded.get_weights(), short.get_weights())


def test_an_ignored_class_is_not_taught():
    y = Y.copy()
    y[::2] = 255
    teacher = net(9, seed=1, loss=sparse())
    model, half = (net(loss=sparse(ignore_class=255)) for _ in range(2))
    model.fit(X, y, batch_size=48, verbose=0, shuffle=False, callbacks=[distill(teacher, alpha=0.0)])
    half.fit(X[1::2], y[1::2], batch_size=48, verbose=0, shuffle=False, callbacks=[distill(teacher, alpha=0.0)])
    same(model.get_weights(), half.get_weights())


def two_outputs(units, seed, *, as_dict=False, **compiled):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(units, "relu", name="hidden")(inputs)
    kind, value = keras.layers.Dense(4, name="kind")(hidden), keras.layers.Dense(2, name="value")(hidden)
    model = keras.Model(inputs, {"kind": kind, "value": value} if as_dict else [kind, value])
    loss = {"kind": sparse(), "value": "mse"} if as_dict else [sparse(), "mse"]
    weights = {"kind": 1.0, "value": 0.5} if as_dict else [1.0, 0.5]
    model.compile(keras.optimizers.SGD(0.1), loss, loss_weights=weights, jit_compile=False)
    return model


@pytest.mark.parametrize("as_dict", [False, True])
def test_several_outputs_each_by_its_own_loss(as_dict):
    teacher = two_outputs(9, 1, as_dict=as_dict)

    def leaves(outputs):
        return [outputs["kind"], outputs["value"]] if as_dict else outputs

    def hard(y, given):
        kind, value = leaves(given)
        return hard_classes(y, kind) + 0.5 * tf.reduce_mean(tf.square(VALUES[0, :2] - value), axis=-1)

    def soft(taught, given):
        (kind, value), (kinds, values) = leaves(given), leaves(taught)
        return soft_classes(kinds, kind) + 0.5 * tf.reduce_mean(tf.square(values - value), axis=-1)

    expected = by_hand(two_outputs(5, 0, as_dict=as_dict), teacher, hard, soft)
    model, targets = two_outputs(5, 0, as_dict=as_dict), np.tile(VALUES[0, :2], (48, 1))
    fit(model, distill(teacher), y={"kind": Y, "value": targets} if as_dict else [Y, targets])
    same(model.get_weights(), expected)


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A subclassed model, with a step of its own where asked."""

    def __init__(self, units=5, calls=True):
        super().__init__(name="own")
        self.hidden, self.out = keras.layers.Dense(units, "relu"), keras.layers.Dense(4)
        self.calls = calls

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        if self.calls:
            return super().train_step(data)
        return {"loss": tf.reduce_mean(self(data[0]))}


def test_subclassed_student_and_teacher():
    keras.utils.set_random_seed(0)
    teacher, model, copy = Own(9), Own(), Own()
    for each in (teacher, model, copy):
        each.compile(keras.optimizers.SGD(0.1), sparse(), jit_compile=False)
        each(X)
    copy.set_weights(model.get_weights())
    fit(model, distill(teacher))
    same(model.get_weights(), by_hand(copy, lambda x, training: teacher(x), hard_classes, soft_classes))

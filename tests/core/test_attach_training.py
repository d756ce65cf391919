"""Training as all compressors do it: one fit on the train part, within a deadline."""

import time

import keras
import numpy as np
import tensorflow as tf

import tfkit
from tfkit.attach.deadline import deadline
from tfkit.attach.training import train

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)).astype("float32"), RNG.normal(size=(12, 1)).astype("float32")


def compiled():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    return model


def test_it_sees_the_batches_as_the_data_gives_them():
    model, expected, epochs = compiled(), compiled(), []
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices((X, Y)).batch(4))
    train(model, data, 3, [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))])
    for _ in range(3):
        for x, y in data.train:
            expected.train_on_batch(x, y)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert epochs == [0, 1, 2]


def test_it_ends_at_a_deadline():
    model = compiled()
    with deadline(time.monotonic() - 1) as limit:
        train(model, tfkit.Data((X, Y), batch_size=4), 3)
    assert int(model.optimizer.iterations) == 1
    assert limit.reached

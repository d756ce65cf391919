"""A recipe whose rows come in one order, to be run by one process or by two, of which the second is killed once."""

import os
import signal
from pathlib import Path

import numpy as np

import tfkit
from tfkit.cluster import worker_name

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")
Y = X[:, :3].argmax(axis=1)


def data():
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((X[:50], Y[:50])).batch(7)
    return tfkit.Data(rows, (X[50:60], Y[50:60]), (X[60:], Y[60:]), batch_size=7)


def model(hp):
    import keras

    layers = [keras.Input((4,), name="features"), keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization()]
    network = keras.Sequential([*layers, keras.layers.Dense(3, "softmax", name="scores")])
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


recipe = tfkit.Recipe("workers", data, model, train={"epochs": 20})


def die_once():
    """Has this process kill itself at the end of the sixth epoch, whose backup it has written."""
    from keras.callbacks import History

    note = History.on_epoch_end

    def note_or_die(history, epoch, logs=None):
        if epoch == 5:
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        note(history, epoch, logs)

    History.on_epoch_end = note_or_die


if __name__ == "__main__":
    if worker_name() == "worker-1" and not Path("killed").exists():
        die_once()
    tfkit.main(recipe)

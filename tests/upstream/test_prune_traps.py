"""What goes wrong without a word in pruning: each test fails when upstream mends it, so that the repair can go."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit_compressors import tfmot
from tfkit_compressors.pruning.prune import Prune

RNG = np.random.default_rng(0)


def dense(inputs, units, **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((inputs,)), keras.layers.Dense(units, use_bias=False, name="out")], name="net"
    )
    model.compile("adam", "mse", **compiled)
    return model


def fit(model, callback, batches=32):
    kernel = model.layers[-1].kernel
    x = RNG.normal(size=(4 * batches, kernel.shape[0])).astype("float32")
    model.fit(x, np.ones((len(x), kernel.shape[1])), batch_size=4, verbose=0, callbacks=[callback])
    return share(kernel)


def share(kernel):
    return float((kernel.numpy() == 0).mean())


class BatchCallbackPruning(keras.callbacks.Callback):
    """Pruning as it is often written: half of the weights every eighth batch, their mask after the others."""

    def __init__(self):
        super().__init__()
        self.mask = 1.0
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        kernel = self.model.layers[-1].kernel
        self.seen.append(share(kernel))
        if batch > 0 and batch % 8 == 7:
            self.mask = abs(kernel.numpy()) > np.median(abs(kernel.numpy()))

    def on_train_batch_end(self, batch, logs=None):
        kernel = self.model.layers[-1].kernel
        kernel.assign(kernel.numpy() * self.mask)


def test_trap_15_pruning_from_batch_callbacks_misses_its_steps():
    found = {}
    for steps in (1, 8):
        found[steps] = fit(dense(16, 10, steps_per_execution=steps), BatchCallbackPruning())
    assert found == {1: 0.5, 8: 0.0}
    ours = tfkit.callback("compressor", "prune", sparsity=0.5, schedule="constant", frequency=8)
    assert fit(dense(16, 10, steps_per_execution=8), ours) == 0.5


def child(code):
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False, env=clean)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


ABOUT = """
import os, keras, tensorflow as tf
print(os.environ.get("TF_USE_LEGACY_KERAS"), tf.keras.Model is keras.Model)
"""


@pytest.mark.slow
def test_trap_17_importing_tfmot_turns_tf_keras_into_keras_2():
    assert child("import tensorflow_model_optimization" + ABOUT) == ["1", "False"]
    # This process has TFMOT too, by way of tfkit.
    tfkit.create("compressor", "prune", sparsity=0.5)
    assert os.environ.get("TF_USE_LEGACY_KERAS") is None
    assert tf.keras.Model is keras.Model


def test_trap_17_what_the_variable_was_comes_back(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    with tfmot._same_keras():
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    assert os.environ["TF_USE_LEGACY_KERAS"] == "0"


def tfmots_mask(value, schedule, *, step=1, block=(1, 1), pattern=None):
    weight, mask, threshold = tf.Variable(value), tf.Variable(tf.ones_like(value)), tf.Variable(0.0)
    count = tf.constant(step, tf.int64)
    variables = [(weight, mask, threshold)]
    pruning = tfmot.pruning()[0].Pruning(lambda: count, variables, schedule, block, "AVG", pattern)
    pruning.conditional_mask_update()
    return float((mask.numpy() == 0).mean())


def every_step(sparsity):
    return tfmot.pruning()[1].ConstantSparsity(sparsity, 0, frequency=1)


def test_trap_18_blocks_at_the_edge_prune_less_than_asked(tmp_path):
    model = dense(64, 10)
    theirs = tfmots_mask(model.layers[-1].kernel.numpy(), every_step(0.8), block=(4, 4))
    assert theirs != pytest.approx(0.8, abs=0.01)
    data = tfkit.Data((np.ones((4, 64)), np.ones((4, 10))))
    made = Prune(0.8, block_size=(4, 4)).compress(model, data, epochs=0, directory=tmp_path)
    assert share(model.layers[-1].kernel) == theirs
    told = f"'net/out/kernel' of shape (64, 10) has a sparsity of {theirs:.4g}, 0.8 was asked for"
    assert made.notes == (told,)


def test_trap_18_two_of_four_on_one_input_channel_prunes_nothing():
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(4, 3, name="first")], name="net")
    model.compile("adam", "mse")
    assert tfmots_mask(model.layers[-1].kernel.numpy(), every_step(0.5), pattern=(2, 4)) == 0.0
    callback = tfkit.callback("compressor", "prune", sparsity=0.5, pattern="2:4")
    with pytest.warns(UserWarning, match=r"'net/first/kernel' of shape \(3, 3, 1, 4\) .* of 0, 0.5 was asked for"):
        model.fit(np.ones((8, 6, 6, 1)), np.ones((8, 4, 4, 4)), verbose=0, callbacks=[callback])


def test_trap_29_a_pattern_is_set_at_step_1_alone():
    model = dense(16, 8)
    kernel = model.layers[-1].kernel
    found = [tfmots_mask(kernel.numpy(), every_step(0.5), step=step, pattern=(2, 4)) for step in (1, 2, 500)]
    assert found == [0.5, 0.0, 0.0]
    fit(model, keras.callbacks.Callback())
    assert fit(model, tfkit.callback("compressor", "prune", sparsity=0.5, pattern="2:4")) == 0.5
    columns = kernel.numpy().T.reshape(8, 4, 4)
    assert ((columns == 0).sum(axis=-1) == 2).all()


def test_trap_29_a_pattern_that_begins_later():
    callback = tfkit.callback("compressor", "prune", sparsity=0.5, pattern="2:4", begin=20, frequency=7)
    assert fit(dense(16, 8), callback) == 0.5

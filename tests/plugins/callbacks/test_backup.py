"""A training that was killed goes on with the weights, the optimizer and the random numbers that it had."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tfkit

SCRIPT = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tfkit
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((4,)), *layers])
model.compile(keras.optimizers.Adam(0.01), "mse")
folder, seconds = sys.argv[1], float(sys.argv[2])
slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(seconds))
backup = tfkit.create("callback", "backup", directory=folder)
history = model.fit(x, x[:, :1], epochs=6, batch_size=16, shuffle=False, verbose=0, callbacks=[slow, backup])
print(len(history.epoch), model.count_params(), repr([float(np.sum(each)) for each in model.get_weights()]))
"""


def start(folder, seconds):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_it_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    whole, killed = start(tmp_path / "whole", 0), start(tmp_path / "killed", 0.2)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("worker-0/[2-9].npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    again = start(tmp_path / "killed", 0)
    wanted, found = whole.communicate(timeout=120)[0].split(" ", 1), again.communicate(timeout=120)
    epochs, rest = found[0].split(" ", 1)
    assert wanted[0] == "6"
    assert 1 <= int(epochs) <= 4
    assert rest == wanted[1]
    assert "backup: goes on after epoch" in found[1]
    assert not (tmp_path / "killed" / "worker-0").exists()


def model(units=3):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    made.compile("adam", "mse")
    return made


def interrupted(made, backup, at):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == at:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(np.ones((4, 4)), np.ones((4, 3)), epochs=5, verbose=0, callbacks=[backup, Stop()])


def test_the_newest_backup_alone_is_there_and_each_worker_has_its_own(tmp_path, monkeypatch):
    backup = tfkit.create("callback", "backup", directory=tmp_path)
    interrupted(model(), backup, 3)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {}, "task": {"type": "worker", "index": 1}}))
    interrupted(model(), backup, 2)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz"))
    assert found == ["worker-0/3.npz", "worker-1/2.npz"]


def test_the_fit_after_one_that_went_on_begins_where_it_is_told(tmp_path):
    backup = tfkit.create("callback", "backup", directory=tmp_path)
    made = model()
    interrupted(made, backup, 3)
    rows = np.ones((4, 4)), np.ones((4, 3))
    assert made.fit(*rows, epochs=5, verbose=0, callbacks=[backup]).epoch == [3, 4]
    assert made.fit(*rows, epochs=2, verbose=0).epoch == [0, 1]


def test_a_fit_of_fewer_epochs_than_the_backup_is_refused_and_the_backup_stays(tmp_path):
    backup = tfkit.create("callback", "backup", directory=tmp_path)
    made = model()
    interrupted(made, backup, 3)
    rows = np.ones((4, 4)), np.ones((4, 3))
    with pytest.raises(tfkit.ModelError, match="is of 3 epochs, and this fit is of 2"):
        made.fit(*rows, epochs=2, verbose=0, callbacks=[backup])
    assert (tmp_path / "worker-0" / "3.npz").exists()
    assert made.fit(*rows, epochs=2, verbose=0).epoch == [0, 1]


def test_a_fit_that_another_callback_stops_as_it_begins_leaves_nothing(tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise OSError("disk")

    backup = tfkit.create("callback", "backup", directory=tmp_path)
    made, fails = model(), Fails()
    interrupted(made, backup, 3)
    rows = np.ones((4, 4)), np.ones((4, 3))
    with pytest.raises(OSError, match="disk"):
        made.fit(*rows, epochs=5, verbose=0, callbacks=[backup, fails])
    assert "on_train_begin" not in vars(fails)
    assert made.fit(*rows, epochs=2, verbose=0).epoch == [0, 1]


def test_another_model_is_refused_and_the_backup_stays(tmp_path):
    backup = tfkit.create("callback", "backup", directory=tmp_path)
    interrupted(model(), backup, 2)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(3)])
    other.compile("adam", "mse")
    with pytest.raises(tfkit.ModelError, match="other shapes"):
        other.fit(np.ones((4, 4)), np.ones((4, 3)), epochs=3, verbose=0, callbacks=[backup])
    assert (tmp_path / "worker-0" / "2.npz").exists()


def test_a_model_that_is_not_built_is_refused(tmp_path):
    made = keras.Sequential([keras.layers.Dense(3)])
    made.compile("sgd", "mse")
    with pytest.raises(tfkit.ModelError, match="not built"):
        made.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0,
                 callbacks=[tfkit.create("callback", "backup", directory=tmp_path)])  # fmt: skip

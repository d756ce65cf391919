"""What test_multi_worker.py runs as each of two workers: one uneven fit."""

import os
import signal
import sys
from pathlib import Path

import tfkit

FOLDER, WAYS = Path(sys.argv[1]), sys.argv[2:]
# Before anything else uses TensorFlow.
if "own" in WAYS:
    import tensorflow as tf

    STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
else:
    STRATEGY = tfkit.create("strategy", "multi-worker")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from uneven_fit import fitted, model_of, short_fit  # noqa: E402

from tfkit.cluster import worker_name  # noqa: E402


class KilledOnce(keras.callbacks.Callback):
    """Kills the second worker as it has finished its third epoch, before the backup is told."""

    def on_epoch_end(self, epoch, logs=None):
        if worker_name() == "worker-1" and epoch == 2 and not (FOLDER / "killed").exists():
            (FOLDER / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    if "short" in WAYS:
        model, history = short_fit(STRATEGY, tfkit.callback("strategy", "multi-worker"))
    else:
        model = model_of(STRATEGY)
        history = fitted(model, *callbacks_for(model), epochs=4)
    weights = {f"weight{number}": each for number, each in enumerate(model.get_weights())}
    np.savez(FOLDER / f"{worker_name()}.npz", **weights, **history)


def callbacks_for(model):
    guard = tfkit.callback("strategy", "multi-worker")
    if "keras" in WAYS:
        refused(model, guard)
    if "killed" not in WAYS:
        return [guard]
    return [guard, KilledOnce(), tfkit.create("callback", "backup", directory=FOLDER / "backup")]


def refused(model, *callbacks):
    backup = keras.callbacks.BackupAndRestore(str(FOLDER / "shared"))
    with pytest.raises(tfkit.ModelError, match=r"BackupAndRestore does not .* 'backup', directory=…\) in its place"):
        fitted(model, *callbacks, backup)


if __name__ == "__main__":
    main()

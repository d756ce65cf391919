"""What test_multi_worker.py runs as each of two workers, and alone: one uneven fit of four epochs with a backup."""

import os
import signal
import sys
from pathlib import Path

import tfkit

FOLDER, WAYS = Path(sys.argv[1]), sys.argv[2:]
# Before anything else uses TensorFlow.
STRATEGY = None if "alone" in WAYS else tfkit.create("strategy", "multi-worker")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from uneven_fit import fitted, model_of  # noqa: E402

from tfkit.cluster import worker_name  # noqa: E402


class KilledOnce(keras.callbacks.Callback):
    """Kills the second worker as it has finished its third epoch, before the backup is told."""

    def on_epoch_end(self, epoch, logs=None):
        if worker_name() == "worker-1" and epoch == 2 and not (FOLDER / "killed").exists():
            (FOLDER / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    callbacks = [] if STRATEGY is None else [tfkit.callback("strategy", "multi-worker")]
    if "killed" in WAYS:
        callbacks += [KilledOnce(), tfkit.create("callback", "backup", directory=FOLDER / "backup")]
    if "keras" in WAYS:
        callbacks.append(keras.callbacks.BackupAndRestore(str(FOLDER / "shared")))
    model = model_of(STRATEGY)
    history = fitted(model, *callbacks, epochs=4)
    weights = {f"weight{number}": each for number, each in enumerate(model.get_weights())}
    np.savez(FOLDER / f"{'alone' if STRATEGY is None else worker_name()}.npz", **weights, **history)


if __name__ == "__main__":
    main()

"""TensorBoard with the hyperparameters of the run beside its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's TensorBoard callback that also fills TensorBoard's HParams page.

    Args:
        directory: The folder for `tensorboard --logdir`, for one run; give each run one of its own below a common one.
        hyperparameters: Names and numbers, texts or booleans; the optimizer, its learning rate (unless a schedule sets
            it), the number of parameters and the batches of an epoch are added.
        histograms: Epochs from one histogram of each weight to the next; 0 for none.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(
        self, *, directory: str | Path, hyperparameters: Mapping[str, Any] | None = None, histograms: int = 0
    ) -> None:
        super().__init__(log_dir=str(directory), histogram_freq=histograms, write_graph=False)
        self.hyperparameters = dict(hyperparameters or {})

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        from tensorboard.plugins.hparams import api

        with self._train_writer.as_default():
            tf.summary.experimental.write_raw_pb(api.hparams_pb(self._values()).SerializeToString(), step=0)

    def _values(self) -> dict[str, Any]:
        optimizer = self.model.optimizer
        found: dict[str, Any] = {"optimizer": type(optimizer).__name__, "parameters": self.model.count_params()}
        rate = getattr(optimizer, "_learning_rate", None)
        if isinstance(rate, keras.Variable):
            found["learning_rate"] = float(rate.numpy())
        if self.params.get("steps"):
            found["steps_per_epoch"] = int(self.params["steps"])
        return found | {name: _plain(value) for name, value in self.hyperparameters.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)

"""TensorBoard with the hyperparameters of the run beside its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfkit.cluster import is_chief_here
from tfkit_callbacks.hyperparameters import of_fit


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's TensorBoard callback that also fills TensorBoard's HParams page. Of a cluster's workers the chief writes.

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

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if not is_chief_here():
            self._writers = {name: tf.summary.create_noop_writer() for name in ("train", "val")}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        from tensorboard.plugins.hparams import api

        values = of_fit(self.model, self.params, self.hyperparameters)
        with self._train_writer.as_default():
            tf.summary.experimental.write_raw_pb(api.hparams_pb(values).SerializeToString(), step=0)

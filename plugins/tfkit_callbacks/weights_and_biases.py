"""Weights & Biases: the curves of a fit and its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit_callbacks.hyperparameters import of_fit


class WeightsAndBiases(Attached):
    """Logs the figures of each epoch, and what the fit was set to, to a run of Weights & Biases.

    A run that is open already is written to and stays open; else one is begun, and ends with the fit: as failed, with
    exit code 1, if the fit raises or is interrupted.

    Args:
        project: Project of a run that is begun here.
        name: Its name.
        hyperparameters: Names and values for its configuration; the optimizer, its learning rate (unless a schedule
            sets it), the number of parameters and the batches of an epoch are added.
        mode: "online", "offline" (files alone, for `wandb sync`) or "disabled"; None is what the environment says.

    Raises:
        ModuleNotFoundError: wandb is not installed.
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        mode: str | None = None,
    ) -> None:
        import wandb

        super().__init__()
        self._wandb = wandb
        self.project, self.name, self.mode = project, name, mode
        self.hyperparameters = dict(hyperparameters or {})
        self._run: Any = None
        self._is_begun_here = False
        self._is_whole = False

    def install(self, model: keras.Model) -> None:
        self._is_whole = False
        self._is_begun_here = self._wandb.run is None
        self._run = self._wandb.run or self._wandb.init(project=self.project, name=self.name, mode=self.mode)
        self._run.config.update(of_fit(model, self.params, self.hyperparameters), allow_val_change=True)

    def uninstall(self, model: keras.Model) -> None:
        if self._run is not None and self._is_begun_here:
            self._run.finish(exit_code=0 if self._is_whole else 1)
        self._run = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        # Keras does not call it where a fit raises; the run ends in `uninstall` either way.
        self._is_whole = True
        super().on_train_end(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._run.log({**(logs or {}), "epoch": epoch + 1, "learning_rate": rate})

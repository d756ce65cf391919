"""Backup: a fit that was killed goes on with the epoch it was in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from tfkit.attach.guard import running_callbacks
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.replicas.agreement import smallest
from tfkit.attach.replicas.keras_repairs import is_multi_worker
from tfkit.attach.state import learning_rate, load_state, save_state
from tfkit.cluster import worker_name
from tfkit.errors import ModelError
from tfkit.models import require_built, require_compiled
from tfkit.progress import say


class Backup(keras.callbacks.Callback):
    """Keeps the state of a training after each epoch, and goes on from it when the same fit is called again.

    Kept are all variables of the model and of its optimizer, those of dropout's random numbers too, in one file that
    is there whole or not at all; Keras's `BackupAndRestore` writes weights and epoch one after the other, leaves the
    random numbers out, and lets workers write over each other. The epoch that was interrupted begins again. A fit that
    ends removes its backup. Workers of a cluster keep two epochs each and go on from the newest that all of them have:
    one may be killed before it has written what another has.

    The order of the rows and what other callbacks have counted (such as the patience of early-stopping) are not
    kept: with `shuffle=False`, or a dataset whose order does not depend on how often it was gone through, the resumed
    fit ends with the weights of an uninterrupted one. `tfkit.Data` of arrays has another order in each epoch.

    Args:
        directory: Where the backup goes, in a folder of each worker.

    Raises:
        ModelError: When the fit begins: the model is not built or compiled, or has other shapes than the backup; the
            backup has more epochs than the fit; or another worker goes on from an epoch that this one lacks.

    Example:
        >>> import tempfile, numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[Backup(directory=folder)])
        >>> list(folder.iterdir())
        []
    """

    def __init__(self, *, directory: str | Path) -> None:
        super().__init__()
        self.directory = Path(directory)
        self._rate: float | None = None
        self._watched: list[keras.callbacks.Callback] = []

    @property
    def folder(self) -> Path:
        """Where this worker's backup is."""
        return self.directory / worker_name()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = require_built(require_compiled(self.model))
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._rate = learning_rate(model)
        self.folder.mkdir(parents=True, exist_ok=True)
        epochs = self._agreed(max(self._kept(), default=0))
        path = self._kept().get(epochs)
        if epochs and path is None:
            raise ModelError(f"{self.folder} lacks epoch {epochs}, where another worker goes on: remove all backups")
        if path is not None:
            self._require_epochs(epochs)
            load_state(model, path)
            self._begin_after(epochs)
            say(f"backup: goes on after epoch {epochs}, from {path}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._forget()  # fit has read it; the next one is to begin where it is told to

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        save_state(self.model, self.folder / f"{epoch + 1}.npz", self._rate)
        kept = {epoch + 1, epoch} if is_multi_worker(self.model.distribute_strategy) else {epoch + 1}
        for number, path in self._kept().items():
            if number not in kept:
                path.unlink()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._forget()
        self._agreed(0)  # all are at the end
        shutil.rmtree(self.folder, ignore_errors=True)  # a training that is whole does not fail for its backup

    def _require_epochs(self, epochs: int) -> None:
        wanted = (self.params or {}).get("epochs")  # None in a list of callbacks of the user's own
        if wanted is not None and wanted < epochs:
            raise ModelError(
                f"the backup in {self.folder} is of {epochs} epochs, and this fit is of {wanted}: give it another "
                "directory, remove the backup, or train for more epochs"
            )

    def _begin_after(self, epochs: int) -> None:
        self.model._initial_epoch = epochs  # as Keras's BackupAndRestore does
        running = running_callbacks()
        self._watched = [each for each in (running.callbacks if running else ()) if each is not self]
        for each in self._watched:
            wrap_method(each, "on_train_begin", self._forget_if_failed)

    def _forget_if_failed(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Keras tells nobody of a fit that fails, and the next one of this model would begin so."""
        try:
            return method(*args, **kwargs)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        self.model._initial_epoch = None
        while self._watched:
            remove_from_method(self._watched.pop(), "on_train_begin", self._forget_if_failed)

    def _agreed(self, epochs: int) -> int:
        strategy = self.model.distribute_strategy
        return smallest(strategy, epochs) if is_multi_worker(strategy) else epochs

    def _kept(self) -> dict[int, Path]:
        return {int(path.stem): path for path in self.folder.glob("*.npz") if path.stem.isdigit()}

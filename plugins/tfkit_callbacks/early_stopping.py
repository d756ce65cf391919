"""Early stopping that restores the best weights and refuses what it cannot watch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from tfkit_callbacks.monitor import Monitor


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's EarlyStopping with three differences.

    The best epoch's weights are restored unless told otherwise, whether the fit was stopped or ran to
    its last epoch. A quantity that the logs lack is refused, where Keras warns and never stops. A
    value that is NaN or infinite is never an improvement, where Keras takes a first NaN for the best.

    Args:
        patience: Epochs without improvement after which the fit ends.
        monitor: What to watch, by its name in the logs. It must be there in the first epoch; a `val_`
            value that later epochs lack, as with `validation_freq`, is waited for.
        mode: "min", "max", or "auto", which asks the metric.
        min_delta: What a change must exceed to be an improvement.
        baseline: What the monitored value must beat for patience to begin anew.
        restore_best_weights: Whether the model ends with the weights of its best epoch.
        start_from_epoch: Epochs at the start that are not watched.

    Raises:
        ParameterError: At the end of the first epoch: the logs have no such name, or auto cannot tell
            whether less or more is better.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.0), "mse")
        >>> stop = EarlyStopping(monitor="loss", patience=2)
        >>> history = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=50, callbacks=[stop], verbose=0)
        >>> len(history.epoch)
        3
    """

    def __init__(
        self,
        *,
        patience: int,
        monitor: str = "val_loss",
        mode: str = "auto",
        min_delta: float = 0.0,
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(
            monitor=monitor,
            patience=patience,
            mode=mode,
            min_delta=min_delta,
            baseline=baseline,
            restore_best_weights=restore_best_weights,
            start_from_epoch=start_from_epoch,
        )
        self._watched = Monitor("callback 'early-stopping'", monitor)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self.best = None  # Keras before 3.13 kept the best of the fit before.
        self._watched.begin()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or math.isfinite(value):
            super().on_epoch_end(epoch, logs)
        elif epoch >= self.start_from_epoch:
            self._count_unusable(epoch)

    def get_monitor_value(self, logs: Mapping[str, Any] | None) -> Any:
        return self._watched.value(logs)

    def _set_monitor_op(self) -> None:
        mode = self.mode
        if mode == "auto":
            self.mode = self._watched.told_direction() or mode
        try:
            super()._set_monitor_op()
        except ValueError:
            raise self._watched.unknown_direction() from None
        finally:
            self.mode = mode

    def _count_unusable(self, epoch: int) -> None:
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

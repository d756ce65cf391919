"""Reduces whatever learning rate is in force when a fit no longer improves."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from tfkit.attach.attached import Attached
from tfkit.attach.rates import add_scale, refuse_rate_setters, remove_scale
from tfkit_callbacks.monitor import Monitor


class ReduceLROnPlateau(Attached):
    """Keras's ReduceLROnPlateau, which also works with schedules.

    It multiplies the rate by a scale that the graph reads, at every step: that of `tfkit.callback("schedule", …)`
    in the same fit, in either order, of a schedule that the optimizer was compiled with, or a plain number. Keras
    refuses schedules. Like every part that is installed for one fit it leaves nothing behind: afterwards the
    optimizer has the rate it had before, where Keras's keeps the reduced one; `scale` says how far it came. A
    resumed fit begins at scale 1 again. A monitored value that the logs lack is refused, where Keras warns, and
    one that is NaN or infinite is never an improvement.

    Args:
        monitor: What to watch, by its name in the logs.
        factor: What the rate is multiplied by, in (0, 1).
        patience: Epochs without improvement after which that happens.
        verbose: 1 prints a line for each reduction.
        mode: "min", "max", or "auto", which asks the metric.
        min_delta: What a change must exceed to be an improvement.
        cooldown: Epochs after a reduction that are not counted.
        min_lr: The rate is not reduced below this; a schedule that goes there by itself may.

    Attributes:
        scale: What the rate of the last fit was multiplied by at its end.

    Raises:
        ParameterError: At the end of the first epoch: the logs have no such name, or auto cannot tell
            whether less or more is better.
        ModelError: When the fit begins, if Keras's `LearningRateScheduler` or `ReduceLROnPlateau` is there too.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(1e-9), "mse", run_eagerly=True)
        >>> plateau = ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5)
        >>> history = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=4, callbacks=[plateau], verbose=0)
        >>> plateau.scale
        0.125
    """

    def __init__(
        self,
        *,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.scale = 1.0
        self._watched = Monitor("callback 'reduce-lr-on-plateau'", monitor)
        self._variable: Any = None
        self._best = math.inf
        self._wait = self._cooling = 0

    def install(self, model: keras.Model) -> None:
        refuse_rate_setters("reduce-lr-on-plateau")
        with model.distribute_strategy.scope():
            self._variable = keras.Variable(1.0, trainable=False, dtype="float32", name="plateau_scale")
        add_scale(model.optimizer, self._scaled)
        self._watched.begin()
        self.scale, self._best, self._wait, self._cooling = 1.0, math.inf, 0, 0

    def uninstall(self, model: keras.Model) -> None:
        remove_scale(model.optimizer, self._scaled)
        self._variable = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        value = self._watched.value(logs)
        if logs is not None:
            logs["learning_rate"] = rate
        if value is None:
            return
        if self._cooling:
            self._cooling -= 1
            self._wait = 0
        if self._is_better(float(value)):
            self._wait = 0
        elif not self._cooling:
            self._wait += 1
            if self._wait >= self.patience and rate > np.float32(self.min_lr):
                self._reduce(epoch)

    def _is_better(self, value: float) -> bool:
        lower = -value if self._watched.is_maximized(self.model, self.mode) else value
        # Of nothing anything finite is an improvement, as in Keras.
        if not math.isfinite(lower) or lower >= self._best - self.min_delta:
            return False
        self._best = lower
        return True

    def _reduce(self, epoch: int) -> None:
        self.scale *= self.factor
        self._variable.assign(self.scale)
        self._wait, self._cooling = 0, self.cooldown
        if self.verbose:
            rate = float(self.model.optimizer.learning_rate)
            print(f"\nEpoch {epoch + 1}: reduce-lr-on-plateau reduces the learning rate to {rate:g}.")

    def _scaled(self, rate: Any) -> Any:
        rate = keras.ops.cast(rate, "float32")
        return keras.ops.maximum(rate * self._variable, keras.ops.minimum(rate, self.min_lr))

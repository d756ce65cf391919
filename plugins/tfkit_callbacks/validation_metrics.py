"""Any metric of tfkit on validation data, in the logs of each epoch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import tfkit
from tfkit import Data, ParameterError
from tfkit.attach.guard import running_callbacks, stand_first
from tfkit.pipeline.evaluate import evaluate_outputs, metric_makers
from tfkit.pipeline.predictions import predict


class ValidationMetrics(keras.callbacks.Callback):
    """Adds `val_<name>` to the logs at the end of each epoch, exact over the whole validation part.

    It comes before all other callbacks, wherever it stands in the list, so that early stopping and logs see what it
    adds. Beside average-weights it measures the average, as the fit's own validation does.

    Args:
        data: A Data, whose validation part is taken, or `(x, y)` or `(x, y, sample_weight)`.
        metrics: Names, or `(name, params)`, of metric plugins.
        frequency: Epochs from one time to the next; the first and the last epoch of a fit always have them.

    Raises:
        ParameterError: The Data has no validation part, or, at the end of the first epoch, a metric has a value per
            class.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "sigmoid")])
        >>> model.compile("sgd", "binary_crossentropy")
        >>> x, y = np.ones((4, 1)), np.array([0, 1, 1, 1])
        >>> added = ValidationMetrics(data=(x, y), metrics=["roc-auc"])
        >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[added])
        >>> history.history["val_roc-auc"]
        [0.5, 0.5]
    """

    def __init__(self, *, data: Any, metrics: Sequence[Any], frequency: int = 1) -> None:
        super().__init__()
        if isinstance(data, Data) and data.validation is None:
            raise ParameterError("callback 'validation-metrics' needs a Data with a validation part, or (x, y)")
        self.data = data.arrays("validation") if isinstance(data, Data) else Data(data).arrays("train")
        self.metrics = list(metrics)
        self.frequency = frequency
        self._is_first = True

    def direction(self, name: str) -> str | None:
        """Whether "max" or "min" of a name in the logs is better; None where it is not of this callback."""
        for each in self.metrics:
            plugin, params = (each, {}) if isinstance(each, str) else each
            if name == f"val_{params.get('name') or plugin}":
                return "min" if tfkit.create("metric", plugin, **params)._direction == "down" else "max"
        return None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._is_first = True
        self.__dict__.pop("_makers", None)  # this fit's model may have other classes
        stand_first(self)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.__dict__.pop("_makers", None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        is_last = epoch + 1 == self.params.get("epochs")
        if logs is None or ((epoch + 1) % self.frequency and not is_last and not self._is_first):
            return
        self._is_first = False
        for name, value in self._measured().items():
            if np.ndim(value):
                raise ParameterError(
                    f"callback 'validation-metrics' takes metrics of one number; {name!r} has a value per class: "
                    "give it an average"
                )
            logs[f"val_{name}"] = float(value)

    def _measured(self) -> dict[str, Any]:
        running = running_callbacks()
        with contextlib.ExitStack() as stack:
            for each in running.callbacks if running is not None else ():
                if hasattr(each, "averaged"):
                    stack.enter_context(each.averaged())
            x, *truth = self.data
            return evaluate_outputs(predict(self.model, x), tuple(truth), self._makers)

    @functools.cached_property
    def _makers(self) -> dict[str, Callable[[], Any]]:
        """Functions that give each metric, anew: making one takes longer than a thousand rows of it."""
        made = {name: make() for name, make in metric_makers(self.metrics).items()}
        return {name: functools.partial(_reset, metric) for name, metric in made.items()}


def _reset(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    metric.reset_state()
    return metric

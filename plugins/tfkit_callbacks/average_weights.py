"""A fit that ends with averaged weights."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras

import tfkit
from tfkit.attach.attached import Attached
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.models import require_compiled
from tfkit_callbacks.averages import Average, reestimate


class AverageWeights(Attached):
    """Leaves the model with an average of the weights that it had, which is often better than the last ones.

    "ema" is an exponential moving average over updates, in the graph, corrected for its beginning: the weights before
    the fit have no part in it. "swa" is the plain average over the ends of epochs (Izmailov et al. 2018), best with a
    rate that stays high. Weights that are not trained, such as BatchNormalization's statistics, are averaged too;
    with `data` these are computed anew for the averaged weights once the fit ends, which is better for swa. Validation
    in the fit measures the averaged weights from the first average on. Weights that another callback restores
    at the end, such as the best epoch's, give way to the average. A resumed fit begins its average anew, and one that
    fails leaves the last weights.

    Args:
        kind: "ema" or "swa".
        decay: What is left of a weight's part after an update; ema only.
        start_epoch: Epochs at the start that are not averaged; None is 0 for ema, 3/4 of the epochs for swa.
        data: A `tfkit.Data`, `(x, y)` or a dataset of batches to compute BatchNormalization's statistics from, or None.

    Raises:
        ParameterError: When the fit begins, if it has no more epochs than `start_epoch`.
        ModelError: When the fit begins, if the model is not built or not compiled.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(keras.optimizers.SGD(0.5), loss=lambda true, predicted: predicted, run_eagerly=True)
        >>> average = AverageWeights(kind="swa", start_epoch=1)
        >>> one = np.ones((1, 1))
        >>> history = model.fit(one, one, epochs=3, callbacks=[average], verbose=0)
        >>> float(model.get_weights()[0][0, 0])  # the mean of -1.0 and -1.5
        -1.25
    """

    def __init__(
        self, *, kind: str = "ema", decay: float = 0.999, start_epoch: int | None = None, data: Any = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.decay = decay
        self.start_epoch = start_epoch
        self.data = data
        self._average: Any = None
        self._last: list[Any] | None = None
        self._start = 0
        self._is_due = False

    def install(self, model: keras.Model) -> None:
        # A list of callbacks of the user's own may not say.
        epochs = (self.params or {}).get("epochs")
        start = self.start_epoch
        if start is None:
            start = 0 if self.kind == "ema" else (epochs or 0) * 3 // 4
        if epochs is not None and start >= epochs:
            raise tfkit.ParameterError(
                f"average-weights with start_epoch={start} averages nothing in a fit of {epochs} epochs: pass less"
            )
        self._start, self._last = start, None
        with require_compiled(model).distribute_strategy.scope():
            self._average = Average(model, self.decay)
        if self.kind == "ema":
            wrap_method(model, "train_step", self._step)

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "train_step", self._step)
        self._put_back()

    def finish(self, model: keras.Model) -> None:
        average, self._average = self._average, None
        if not average.exists():
            warnings.warn(
                "average-weights: the fit ended before its first average; the weights are the last", stacklevel=2
            )
            return
        average.give()
        if self.data is not None:
            reestimate(model, self.data)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._average.is_on.assign(float(epoch >= self._start))
        self._is_due = self.kind == "swa" and epoch >= self._start

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """In a fit: the epoch's updates are over, its validation begins."""
        if self._guard is None:  # of an evaluation beside any fit
            return
        self._add_epoch()
        if self._average.exists():
            self._last = [keras.ops.copy(each.value) for each in self._average.weights]
            self._average.give()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._add_epoch()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with the average in the place of its weights, where there is one yet; for the block alone."""
        self._add_epoch()
        if self._last is None and self._average is not None and self._average.exists():
            self._last = [keras.ops.copy(each.value) for each in self._average.weights]
            self._average.give()
        try:
            yield
        finally:
            self._put_back()

    def _step(self, step: Any, data: Any) -> Any:
        # Where gradients are accumulated, or a loss scale was too large, a batch makes no update.
        before = keras.ops.copy(self.model.optimizer.iterations)
        logs = step(data)
        self._average.decayed(keras.ops.not_equal(self.model.optimizer.iterations, before))
        return logs

    def _add_epoch(self) -> None:
        if self._is_due:
            self._is_due = False
            self._average.add()

    def _put_back(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            for weight, value in zip(self._average.weights, last):
                weight.assign(value)

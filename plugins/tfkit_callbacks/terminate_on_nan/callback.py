"""TerminateOnNaN: ends a fit at the first step that is not finite, with the weights from before that step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np

from tfkit.attach.attached import Attached
from tfkit.attach.optimizers import inner_optimizer
from tfkit.models import require_compiled
from tfkit_callbacks.terminate_on_nan.guarded import GuardedStep
from tfkit_callbacks.terminate_on_nan.origin import origin


class TerminateOnNaN(Attached):
    """Ends a fit when a loss or a gradient is NaN or infinite, says the step and the layer, and keeps good weights.

    The step that is not finite does not happen: weights, the optimizer and the statistics of BatchNormalization stay
    as they were before it. Keras's TerminateOnNaN sees it when the weights are NaN already, and not at all where the
    gradient alone is. With several replicas the state at the end of the last epoch comes back.

    Attributes:
        stopped_at: Updates before the step that is not finite; None where all were.
        origin: Where it comes from, in words; empty where all was finite, or it cannot be told.

    Raises:
        ModelError: When the fit begins, if the model is not built or not compiled.

    Example:
        >>> import numpy as np, warnings
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="out")])
        >>> model.compile(keras.optimizers.SGD(1e30), "mse")
        >>> stop = TerminateOnNaN()
        >>> ones = np.ones((64, 1), "float32")
        >>> with warnings.catch_warnings(action="ignore"):
        ...     history = model.fit(ones, 3 * ones, batch_size=8, callbacks=[stop], verbose=0)
        >>> stop.stopped_at, bool(np.isfinite(model.get_weights()[0]).all())
        (1, True)
    """

    def __init__(self) -> None:
        super().__init__()
        self.stopped_at: int | None = None
        self.origin = ""
        self._guarded: GuardedStep | None = None
        self._good: list[Any] = []
        self._epoch = 0

    def install(self, model: keras.Model) -> None:
        self.stopped_at, self.origin = None, ""
        with require_compiled(model).distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
        if model.distribute_strategy.num_replicas_in_sync == 1:
            self._guarded = GuardedStep(model)
            self._guarded.install()
        else:
            self._keep(model)

    def uninstall(self, model: keras.Model) -> None:
        if self._guarded is not None:
            self._guarded.uninstall()
        self._guarded, self._good = None, []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_at is None and self._is_ended((logs or {}).get("loss")):
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._guarded is not None or self.stopped_at is not None:
            return
        if _are_finite(self.model):
            self._keep(self.model)
        else:
            self._stop()

    def _is_ended(self, loss: float | None) -> bool:
        if loss is not None:
            return not math.isfinite(loss)
        # A train_step of the model's own may log no loss.
        return self._guarded is not None and self._guarded.is_ended()

    def _stop(self) -> None:
        model = self.model
        model.stop_training = True
        kept = "the weights are those before that step"
        if self._guarded is None:
            for variable, value in zip(_state(model), self._good):
                variable.assign(value)
            kept = "the weights are those at the end of the epoch before"
        elif self._guarded.batch is not None:
            self.origin = origin(model, self._guarded.batch)
        if not _are_finite(model):
            kept += ", and not finite either: the update before it overflowed"
        self.stopped_at = int(keras.ops.convert_to_numpy(inner_optimizer(model.optimizer).iterations))
        where = f": {self.origin}" if self.origin else ""
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        warnings.warn(
            f"the fit ended in epoch {self._epoch + 1}, after {self.stopped_at} updates: the next step is not "
            f"finite{where}; {kept}. Try a lower learning rate (it is {rate:.2g}) or clipnorm= in the optimizer",
            RuntimeWarning,
            stacklevel=2,
        )

    def _keep(self, model: keras.Model) -> None:
        self._good = [keras.ops.convert_to_numpy(each) for each in _state(model)]


def _are_finite(model: keras.Model) -> bool:
    return all(np.isfinite(keras.ops.convert_to_numpy(each)).all() for each in model.trainable_variables)


def _state(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]

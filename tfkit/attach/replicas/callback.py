"""StrategyCallback: guards one fit of a model that was built in the scope of a strategy."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.attached import Attached
from tfkit.attach.replicas.clipping import clipped_as_a_whole
from tfkit.attach.replicas.executions import OneStepAtATime, traced_anew, without_jit
from tfkit.attach.replicas.keras_repairs import is_multi_worker, repaired_for
from tfkit.attach.replicas.normalization import synchronized
from tfkit.attach.replicas.preflight import (
    check_scope,
    refuse_accumulation,
    refuse_keras_distribution,
    refuse_kerass_backup,
    refuse_reductions,
    warn_of_own_steps,
)
from tfkit.attach.replicas.shares import weighted_by_rows
from tfkit.models import require_compiled
from tfkit.spec import NoParameters


class StrategyCallback(Attached):
    """Has a fit on several devices end as on one, where plain Keras fails or is silently wrong.

    For the fit: BatchNormalization is synchronized; replicas with fewer rows of a batch, or fewer unmasked positions,
    count less, those without any not at all; gradients are clipped as those of the whole batch; jit_compile is off; and
    the steps of an execution are taken one by one. Losses must be means over rows, or sums.

    Args:
        strategy: A strategy such as the model's; the guard is for that of the model.

    Raises:
        ModelError: When the fit begins: the model is not built, not compiled, or not in a scope; its optimizer was made
            outside the scope or accumulates gradients; a loss is neither a mean over rows nor a sum; a
            `keras.distribution` is set; several workers train with a BackupAndRestore.

    Example:
        >>> import numpy as np
        >>> strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        >>> with strategy.scope():
        ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 1)), np.ones(4), callbacks=[StrategyCallback(strategy)], verbose=0)
    """

    params = NoParameters

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        super().__init__()
        self.strategy = strategy
        self._repairs = contextlib.ExitStack()
        self._executions: OneStepAtATime | None = None
        repaired_for(strategy)

    def install(self, model: keras.Model) -> None:
        refuse_keras_distribution()
        check_scope(require_compiled(model), self.strategy)
        if model.distribute_strategy.num_replicas_in_sync == 1:
            return
        refuse_accumulation(model)
        refuse_reductions(model)
        if is_multi_worker(model.distribute_strategy):
            refuse_kerass_backup()
        warn_of_own_steps(model)
        for repair in (traced_anew, synchronized, weighted_by_rows, clipped_as_a_whole):
            self._repairs.enter_context(repair(model))
        if isinstance(model.distribute_strategy, tf.distribute.TPUStrategy):
            return  # compiles what it runs, loops and all
        self._repairs.enter_context(without_jit(model))
        self._executions = self._repairs.enter_context(OneStepAtATime(model, self._steps))

    def uninstall(self, model: keras.Model) -> None:
        self._executions = None
        self._repairs.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._executions is not None:
            self._executions.begin_epoch()

    def _steps(self) -> int | None:
        fit: Any = self.params  # None in a list of callbacks of the user's own
        steps = None if fit is None else fit.get("steps")
        return None if steps is None else int(steps)

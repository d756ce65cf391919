"""A batch size that changes from epoch to epoch of one `fit`."""

from __future__ import annotations

import math
import sys
from typing import Any

import keras

import tfkit
from tfkit.attach.epochs import EpochSteps
from tfkit.data import checked_part
from tfkit_schedules.batches import EpochBatches


@keras.saving.register_keras_serializable(package="tfkit")
class BatchSize:
    """`round(initial * factor ** epoch)` rows in a batch, at most `maximum`.

    A larger batch late in training does what a smaller learning rate does, in fewer steps (Smith et al. 2018).
    All epochs are one fit, so that optimizer, callbacks and history go on. The losses are those of a fit for each
    epoch on the same rows; the graph is traced at most twice, since its batch size is left open.

    Args:
        initial: Rows in a batch of the first epoch.
        factor: What each epoch multiplies it by; below 1 it shrinks.
        maximum: Rows in a batch at most.

    Example:
        >>> schedule = BatchSize(initial=32, factor=1.5, maximum=64)
        >>> [schedule.size(epoch) for epoch in range(4)]
        [32, 48, 64, 64]
    """

    def __init__(self, *, initial: int, factor: float, maximum: int | None = None) -> None:
        self.initial = initial
        self.factor = factor
        self.maximum = maximum

    def size(self, epoch: int) -> int:
        """Rows in a batch of an epoch, counted from 0."""
        limit = sys.maxsize if self.maximum is None else self.maximum
        # Beyond this a power of floats overflows.
        if epoch * math.log(self.factor) > 700:
            return limit
        exact = self.initial * self.factor**epoch
        return limit if exact >= limit else round(exact)

    def fit_arguments(self, data: Any, epochs: int, shuffle: bool = True, seed: int = 0) -> dict[str, Any]:
        """The arguments that make `model.fit` follow the schedule: `model.fit(**schedule.fit_arguments(data, 5))`.

        Which epoch runs is read from the fit itself: with `initial_epoch`, and resumed by `BackupAndRestore`, the
        sizes and the orders of the rows are those of an uninterrupted fit. `steps_per_execution` and Mirrored work.

        Args:
            data: A `tfkit.Data`, of which the train part is taken; `(x, y)` or `(x, y, sample_weight)` of arrays;
                or a `tf.data.Dataset` of batches, whose rows are batched anew and come in its own order.
            epochs: Epochs of the fit.
            shuffle: Whether the rows come in another order in each epoch, drawn from the seed and its number.
            seed: Seed of these orders.

        Returns:
            `x`, `epochs`, `steps_per_epoch`, and `shuffle=False`, since `x` has its own order.

        Raises:
            ParameterError: An epoch would have a batch size of 0 or above the number of rows, or epochs is below 1.
            DataError: The data have another form.

        Example:
            >>> import numpy as np
            >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> rows = np.ones((12, 1), "float32")
            >>> arguments = BatchSize(initial=2, factor=2.0).fit_arguments((rows, rows), epochs=3)
            >>> history = model.fit(**arguments, verbose=0)
            >>> int(model.optimizer.iterations) == 6 + 3 + 2
            True
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise tfkit.ParameterError(f"the epochs of schedule 'batch-size' must be an int >= 1; got {epochs!r}")
        part = data.part("train") if isinstance(data, tfkit.Data) else checked_part(data, "train")
        rows = tfkit.Data(part).rows("train")
        sizes = [self.size(epoch) for epoch in range(epochs)]
        _check(sizes, rows)
        batches = EpochBatches(part, rows, sizes, seed if shuffle else None)
        steps = EpochSteps([math.ceil(rows / size) for size in sizes], begin=batches.begin)
        return {"x": batches.dataset(), "epochs": epochs, "steps_per_epoch": steps, "shuffle": False}

    def callback(self) -> BatchSizeCallback:
        """The callback that has `fit_arguments` and writes the size of each epoch's batches into its logs."""
        return BatchSizeCallback(self)

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "factor": self.factor, "maximum": self.maximum}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BatchSize:
        return cls(**config)


class BatchSizeCallback(keras.callbacks.Callback):
    """Writes `batch_size` into the logs of each epoch of a fit that has the schedule's arguments.

    Args:
        schedule: The schedule.

    Raises:
        ParameterError: When a fit begins that was not given `**callback.fit_arguments(data, epochs)`.
    """

    def __init__(self, schedule: BatchSize) -> None:
        super().__init__()
        self.schedule = schedule

    def fit_arguments(self, data: Any, epochs: int, shuffle: bool = True, seed: int = 0) -> dict[str, Any]:
        """As `BatchSize.fit_arguments`."""
        return self.schedule.fit_arguments(data, epochs, shuffle=shuffle, seed=seed)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not isinstance((self.params or {}).get("steps"), EpochSteps):
            raise tfkit.ParameterError(
                "a callback cannot change the batch size of arrays given to fit: call "
                "model.fit(**callback.fit_arguments(data, epochs), callbacks=[callback])"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["batch_size"] = self.schedule.size(epoch)


def _check(sizes: list[int], rows: int) -> None:
    for epoch, size in enumerate(sizes):
        if not 1 <= size <= rows:
            way_out = "pass maximum=, or fewer epochs" if size else "a factor nearer to 1, or fewer epochs"
            raise tfkit.ParameterError(
                f"schedule 'batch-size' would have batches of {size} rows in epoch {epoch + 1} of {len(sizes)}, and "
                f"the train part has {rows}: {way_out}"
            )

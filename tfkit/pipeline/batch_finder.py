"""find_batch_size: what batches of each size cost in time and memory, measured on a model that is left as it was."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.data import Data, is_dataset
from tfkit.errors import ModelError, ParameterError
from tfkit.models import require_compiled

# A size is worth its memory, and its larger steps, where it trains this much of the fastest's rows in a second.
_ENOUGH = 0.9
_WARM_UP, _TIMED, _SMALLEST = 2, 10, 8


@dataclass(frozen=True)
class BatchCost:
    """What training with one batch size costs.

    Attributes:
        size: Rows in a batch.
        step_ms: Median time of a step, the reading of its rows included.
        rows_per_second: Rows over that time.
        memory_mb: The most memory that was held at once, over what was held before; on a GPU its own.
    """

    size: int
    step_ms: float
    rows_per_second: float
    memory_mb: float


@dataclass(frozen=True)
class BatchSizes:
    """What `find_batch_size` measured.

    Attributes:
        suggested: The smallest size that trains nearly as many rows in a second as the fastest.
        measured: The cost of each size that was tried and kept within the bounds, by size.
        stopped_by: Why no larger size was tried: "rows", "maximum", "memory" or "seconds".
    """

    suggested: int
    measured: tuple[BatchCost, ...]
    stopped_by: str


def find_batch_size(
    model: Any, data: Any, *, memory_mb: float | None = None, seconds: float = 20.0, maximum: int | None = None
) -> BatchSizes:
    """Trains a few steps with 8, 16, 32, … rows in a batch and measures them; the model is left as it was.

    The largest size that fits is `measured[-1].size`; a larger batch wants another learning rate.

    Args:
        model: A built and compiled model.
        data: A Data, of which the train part is taken, or such a part.
        memory_mb: Memory that training may take over what the process holds now; None is until it runs out.
        seconds: After this much time no larger size is tried.
        maximum: The largest size to try; None is the number of rows.

    Raises:
        ParameterError: A bound is not above 0.
        ModelError: The model is not built or not compiled, or the smallest size needs more than `memory_mb`.

    Example:
        >>> import keras, numpy as np, tfkit
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> found = find_batch_size(model, (np.ones((40, 1)), np.ones(40)))
        >>> [each.size for each in found.measured], found.stopped_by, int(model.optimizer.iterations)
        ([8, 16, 32, 40], 'rows', 0)
    """
    from tfkit.attach.range_test import left_as_it_was

    for name, bound in (("memory_mb", memory_mb), ("seconds", seconds), ("maximum", maximum)):
        if bound is not None and not bound > 0:
            raise ParameterError(f"the parameter {name!r} of find_batch_size must be > 0; got {bound!r}")
    part = data.part("train") if isinstance(data, Data) else Data(data).train
    rows = Data(part).rows("train")
    largest = rows if maximum is None else min(rows, maximum)
    measured: list[BatchCost] = []
    stopped_by = "rows" if largest == rows else "maximum"
    started = time.monotonic()
    with left_as_it_was(require_compiled(model)), _held_over_now() as held:
        model.steps_per_execution = 1
        for size in _doubling(largest):
            if measured and time.monotonic() - started > seconds:
                stopped_by = "seconds"
                break
            cost = _cost(model, part, size, held)
            if cost is None or (memory_mb is not None and cost.memory_mb > memory_mb):
                stopped_by = "memory"
                break
            measured.append(cost)
    if not measured:
        raise ModelError(
            f"a batch of {min(_SMALLEST, largest)} rows needs more memory than there is: memory_mb={memory_mb}"
        )
    return BatchSizes(_suggested(measured), tuple(measured), stopped_by)


def _doubling(largest: int) -> Iterator[int]:
    size = _SMALLEST
    while size < largest:
        yield size
        size *= 2
    yield largest


def _cost(model: Any, part: Any, size: int, held: Any) -> BatchCost | None:
    """What a size costs; None where memory runs out."""
    import keras
    import tensorflow as tf

    ends: list[float] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    batches = part.unbatch().batch(size) if is_dataset(part) else Data(part, batch_size=size).dataset("train")
    steps = _WARM_UP + _TIMED
    try:
        model.fit(batches.repeat(), steps_per_epoch=steps, shuffle=False, callbacks=[watch], verbose=0)
    except tf.errors.ResourceExhaustedError:
        return None
    step = statistics.median(later - earlier for earlier, later in zip(ends[_WARM_UP - 1 :], ends[_WARM_UP:]))
    return BatchCost(size, step * 1e3, size / step, held() / 2**20)


def _suggested(measured: list[BatchCost]) -> int:
    fastest = max(each.rows_per_second for each in measured)
    return next(each.size for each in measured if each.rows_per_second >= _ENOUGH * fastest)


@contextlib.contextmanager
def _held_over_now() -> Iterator[Any]:
    """Gives a function: the most bytes held at once since then, over those held at the beginning."""
    import tensorflow as tf

    from tfkit import memory

    if tf.config.list_physical_devices("GPU"):
        before = tf.config.experimental.get_memory_info("GPU:0")["current"]
        tf.config.experimental.reset_memory_stats("GPU:0")
        yield lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"] - before
        return
    # Linux forgets the peak that was; elsewhere it is that of the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    begin = memory.peak()
    yield lambda: memory.peak() - begin

"""Which channel counts end a step of latency on this machine: measured once, in a process of its own."""

from __future__ import annotations

import functools
import tempfile
import time
from typing import Any

import numpy as np

from tfkit.child import call
from tfkit.errors import ConversionError

_WIDTHS = (4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48)
_STEPS = (16, 8, 4)
# A count between two ends of steps costs more than this times the mean of what they cost.
_TOLL = 1.1
_SECONDS = 20.0
# Where the measurement fails: right for CPUs with registers of 256 bits, harmless elsewhere.
_FALLBACK = 8


def best_multiple() -> tuple[int, str]:
    """The multiple to keep channel counts at on this machine.

    Three 3x3 convolutions of c channels are timed through LiteRT on one thread for a table of c. Where
    counts halfway between multiples of m cost clearly more than the mean of their neighbours, m is a step.

    Returns:
        16, 8, 4 or 1, and a note with the table of milliseconds.
    """
    try:
        table = dict(latencies())
    except ConversionError as error:
        return _FALLBACK, f"multiple_of='auto' could not be measured ({error}); {_FALLBACK} is taken"
    multiple = step_of(table)
    shown = ", ".join(f"{width}: {1000 * milliseconds:.0f}" for width, milliseconds in table.items())
    return multiple, f"multiple_of='auto' is {multiple} here; microseconds by channels: {shown}"


def step_of(table: dict[int, float]) -> int:
    """The largest step in a table of milliseconds by channel count; 1 where there is none.

    Example:
        >>> step_of({8: 1.0, 16: 1.0, 24: 3.0, 32: 3.1, 40: 6.2, 48: 6.4})
        16
        >>> step_of({width: width**2 for width in range(2, 50, 2)})
        1
    """
    return next((step for step in _STEPS if _is_step(table, step)), 1)


def _is_step(table: dict[int, float], step: int) -> bool:
    half = step // 2
    tolls = [
        table[width] / (0.5 * (table[width - half] + table[width + half]))
        for width in table
        if width % step == half and {width - half, width + half} <= table.keys()
    ]
    return bool(tolls) and min(tolls) > 1 and float(np.median(tolls)) > _TOLL


@functools.cache
def latencies() -> tuple[tuple[int, float], ...]:
    """Milliseconds by channel count on this machine; measured once in a process.

    Raises:
        ConversionError: The child crashed or took too long.
    """
    target = f"{__name__}:_time_all"
    found = call(target, timeout=_SECONDS, what="measuring the latency of channel counts", widths=list(_WIDTHS))
    return tuple((int(width), float(milliseconds)) for width, milliseconds in found)


def _time_all(widths: list[int]) -> list[tuple[int, float]]:
    """In the child: one file with a signature for each count, each timed."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_file(widths), num_threads=1)
    runners = {width: interpreter.get_signature_runner(f"c{width}") for width in widths}
    rows: dict[int, np.ndarray] = {width: np.ones((1, 28, 28, width), "float32") for width in widths}
    best = dict.fromkeys(widths, float("inf"))
    for _ in range(30):  # in turns, so that a disturbance meets all counts alike
        for width, runner in runners.items():
            best[width] = min(best[width], _milliseconds(runner, rows[width]))
    return list(best.items())


def _milliseconds(runner: Any, rows: np.ndarray) -> float:
    start = time.perf_counter()
    runner(x=rows)
    return 1000 * (time.perf_counter() - start)


def _file(widths: list[int]) -> bytes:
    import tensorflow as tf

    def function(width: int) -> Any:
        kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, width, width)) * 0.1, tf.float32)

        def convolve(x: Any) -> Any:
            for _ in range(3):
                x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
            return {"y": tf.reduce_sum(x, (1, 2))}

        return tf.function(convolve).get_concrete_function(tf.TensorSpec((1, 28, 28, width), tf.float32, name="x"))

    with tempfile.TemporaryDirectory() as folder:
        signatures = {f"c{width}": function(width) for width in widths}
        tf.saved_model.save(tf.Module(), folder, signatures=signatures)
        return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures)).convert()

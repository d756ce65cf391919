"""Checks of schedules: of the rate a pure function of the step, in a graph and in a fit; of the batch size a fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tfkit.protocols import BatchSizeSchedule
from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, workable
from tfkit.testing.tiny import classifier, data

if TYPE_CHECKING:
    import numpy as np

_STEPS = 1000


def float32_scalar(plugin: Plugin) -> None:
    """The rate is a float32 scalar, for a step that is a Python int or an integer tensor."""
    import tensorflow as tf

    for example in _of_rates(plugin):
        schedule = make(plugin, example)
        for step in (0, 7, tf.constant(7, tf.int64), tf.constant(7, tf.int32)):
            rate = tf.convert_to_tensor(schedule(step))
            told = f"{dict(example)} at step {step!r} gives {rate.dtype.name} of shape {tuple(rate.shape)}"
            require(rate.dtype == tf.float32 and rate.shape.rank == 0, told)


def finite_and_not_negative(plugin: Plugin) -> None:
    """The rate is finite and at least 0 all through 1000 steps."""
    import numpy as np

    for example in _of_rates(plugin):
        rates = _first_rates(make(plugin, example), _STEPS)
        bad = [f"{rate:g} at step {step}" for step, rate in enumerate(rates) if not (np.isfinite(rate) and rate >= 0)]
        require(not bad, f"{dict(example)} gives the rate {', '.join(bad[:3])}")


def function_of_the_step(plugin: Plugin) -> None:
    """Asked in another order, and again, it gives the same rates: it keeps no state."""
    import numpy as np

    steps = list(range(20))
    for example in _of_rates(plugin):
        schedule = make(plugin, example)
        forward = _rates(schedule, steps)
        backward = _rates(schedule, reversed(steps))[::-1]
        require(np.array_equal(forward, backward), f"{dict(example)} gives other rates when asked in another order")


def same_in_a_graph(plugin: Plugin) -> None:
    """Inside a `tf.function` it gives the eager rates, for any step without a new trace."""
    import numpy as np
    import tensorflow as tf

    steps = (0, 1, 9, 10, 11, 99, 100, 101, 999)
    for example in _of_rates(plugin):
        schedule = make(plugin, example)
        traced = tf.function(lambda step, schedule=schedule: schedule(step))
        graph = np.array([float(traced(tf.constant(step, tf.int64))) for step in steps])
        eager = _rates(schedule, steps)
        told = f"{dict(example)} gives {graph} in a graph at steps {steps}, {eager} eagerly"
        require(np.allclose(graph, eager, rtol=1e-5, atol=1e-9), told)


def sets_the_rates_of_a_fit(plugin: Plugin) -> None:
    """`tfkit.callback` sets its rate at every step of a `fit` and puts back the one that was there."""
    import numpy as np

    for example in _of_rates(plugin)[:1]:
        used, after = _fitted(plugin, example)
        wanted = _rates(make(plugin, example), range(len(used)))
        require(np.allclose(used, wanted, rtol=1e-3, atol=1e-6), f"a fit used the rates {used}, not {wanted}")
        require(after == 0.5, f"after the fit the optimizer's rate is {after}; it was 0.5")


def batch_sizes_of_a_fit(plugin: Plugin) -> None:
    """Where it makes a batch size: a fit with its arguments takes as many steps as batches of that size make."""
    for example in _of_batch_sizes(plugin):
        schedule = make(plugin, example)
        rows, model = data().train, classifier()
        model.fit(**schedule.fit_arguments(rows, epochs=2), verbose=0)
        steps, wanted = int(model.optimizer.iterations), sum(math.ceil(32 / schedule.size(epoch)) for epoch in (0, 1))
        require(steps == wanted, f"{dict(example)} took {steps} steps in 2 epochs of 32 rows, not {wanted}")


def _of_rates(plugin: Plugin) -> list[Example]:
    return [example for example in workable(plugin) if not isinstance(make(plugin, example), BatchSizeSchedule)]


def _of_batch_sizes(plugin: Plugin) -> list[Example]:
    return [example for example in workable(plugin) if isinstance(make(plugin, example), BatchSizeSchedule)]


def _fitted(plugin: Plugin, example: Any) -> tuple[np.ndarray, float]:
    """The rates that 12 steps of a fit used, and the optimizer's rate after it.

    The gradient of the one weight is 1 at every step: it falls by the rate.
    """
    import keras
    import numpy as np

    from tfkit.factory import callback

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.5), loss=lambda true, predicted: predicted)
    weights = [0.0]
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: weights.append(float(model.get_weights()[0][0, 0]))
    )
    schedule = callback("schedule", f"{plugin.distribution}/{plugin.name}", **example)
    x: Any = np.ones((12, 1), "float32")
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[schedule, watch])
    return np.negative(np.diff(weights)), float(model.optimizer.learning_rate)


def _first_rates(schedule: Any, count: int) -> np.ndarray:
    """The rates of so many steps, in one graph if that can be: it takes a hundredth of the time."""
    import numpy as np
    import tensorflow as tf

    try:
        mapped = tf.function(lambda steps: tf.map_fn(schedule, steps, fn_output_signature=tf.float32))
        return np.asarray(mapped(tf.range(count, dtype=tf.int64)))
    except Exception:  # same_in_a_graph tells it
        return _rates(schedule, range(count))


def _rates(schedule: Any, steps: Iterable[int]) -> np.ndarray:
    import numpy as np

    return np.array([float(schedule(step)) for step in steps])


CHECKS = (
    float32_scalar,
    finite_and_not_negative,
    function_of_the_step,
    same_in_a_graph,
    sets_the_rates_of_a_fit,
    batch_sizes_of_a_fit,
)

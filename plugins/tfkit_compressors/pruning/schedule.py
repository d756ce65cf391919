"""When masks are updated in one fit, and to what sparsity: TFMOT's schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfkit_compressors import tfmot
from tfkit_compressors.schemas import Prune

# Of a step, an int64 scalar, to whether masks are updated before it (bool) and their sparsity (float32).
Timetable = Callable[[Any], tuple[Any, Any]]


def timetable(settings: Prune, first: int, last: int | None) -> Timetable:
    """The steps at which masks are updated in a fit.

    A step is the number of an optimizer update, counted from 1 as in TFMOT: masks for step n are made
    from the weights after update n - 1.

    Args:
        settings: The parameters of prune.
        first: The fit's first step.
        last: The fit's last step; None where the number of batches is not known yet.
    """
    if settings.pattern is not None:
        return _once(settings, max(settings.begin, first))
    schedule = _schedule(settings, last)
    if settings.end is not None or last is None or last < settings.begin:
        return schedule

    def until_last(step: Any) -> tuple[Any, Any]:
        due, sparsity = schedule(step)
        return tf.logical_or(due, tf.equal(step, last)), sparsity

    return until_last


def constant(sparsity: float) -> Timetable:
    """The same sparsity at every step."""
    return tfmot.pruning()[1].ConstantSparsity(sparsity, begin_step=0, frequency=1)


def _once(settings: Prune, at: int) -> Timetable:
    """A pattern's masks stay as they are once they are set; TFMOT does that at its step 1 alone."""
    reached = settings.end is None or at <= settings.end
    return lambda step: (tf.equal(step, at if reached else -1), tf.constant(settings.sparsity))


def _schedule(settings: Prune, last: int | None) -> Timetable:
    schedules = tfmot.pruning()[1]
    begin, frequency = settings.begin, settings.frequency
    end = last if settings.end is None else settings.end
    if settings.schedule == "polynomial" and end is None:
        # The way to the target is drawn once its length is known.
        return schedules.ConstantSparsity(settings.initial_sparsity, begin, frequency=frequency)
    if settings.schedule == "constant" or end is None or end <= begin:
        until = -1 if settings.end is None else settings.end
        return schedules.ConstantSparsity(settings.sparsity, begin, until, frequency)
    return schedules.PolynomialDecay(
        settings.initial_sparsity, settings.sparsity, begin, end, power=settings.power, frequency=frequency
    )

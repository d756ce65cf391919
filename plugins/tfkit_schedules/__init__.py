"""Schedules of the learning rate, by step, and of the batch size, by epoch: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_schedules import schemas


@tfkit.hookimpl
def tfkit_schedules() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="constant",
        summary="The same learning rate at every step.",
        target="tfkit_schedules.constant:Constant",
        params=schemas.Constant,
        examples=({"value": 0.01},),
    )
    yield tfkit.Spec(
        name="inverse-time",
        summary="initial / (1 + decay * epoch).",
        target="tfkit_schedules.inverse_time:InverseTime",
        params=schemas.InverseTime,
        examples=({"initial": 0.1, "decay": 0.5}, {"initial": 0.1, "decay": 0.5, "steps_per_epoch": 10, "warmup": 5}),
    )
    yield tfkit.Spec(
        name="exponential",
        summary="initial * gamma ** (step / steps).",
        target="tfkit_schedules.exponential:Exponential",
        params=schemas.Exponential,
        examples=({"initial": 0.1, "gamma": 0.99}, {"initial": 0.1, "gamma": 0.5, "steps": 100, "warmup": 10}),
    )
    yield tfkit.Spec(
        name="cosine",
        summary="Cosine annealing from an initial rate to a final one.",
        target="tfkit_schedules.cosine:Cosine",
        params=schemas.Cosine,
        examples=({"initial": 0.1, "steps": 100}, {"initial": 0.1, "steps": 100, "final": 0.001, "warmup": 10}),
    )
    yield tfkit.Spec(
        name="cosine-restarts",
        summary="Cosine annealing that begins again, each time longer by a factor.",
        target="tfkit_schedules.cosine_restarts:CosineRestarts",
        params=schemas.CosineRestarts,
        examples=({"initial": 0.1, "steps": 10}, {"initial": 0.1, "steps": 10, "factor": 1.0, "warmup": 5}),
    )
    yield tfkit.Spec(
        name="inverse-sqrt",
        summary="initial / sqrt(1 + beta * step).",
        target="tfkit_schedules.inverse_sqrt:InverseSqrt",
        params=schemas.InverseSqrt,
        examples=({"initial": 0.1, "beta": 0.01}, {"initial": 0.1, "beta": 0.01, "warmup": 10}),
    )
    yield tfkit.Spec(
        name="polynomial",
        summary="A polynomial from an initial rate to a final one; a straight line by default.",
        target="tfkit_schedules.polynomial:Polynomial",
        params=schemas.Polynomial,
        examples=({"initial": 0.1, "steps": 100}, {"initial": 0.1, "steps": 100, "power": 0.5, "warmup": 10}),
    )
    yield tfkit.Spec(
        name="piecewise",
        summary="One rate after another, each up to and including its boundary.",
        target="tfkit_schedules.piecewise:Piecewise",
        params=schemas.Piecewise,
        examples=({"boundaries": (4, 8), "values": (0.1, 0.01, 0.001)},),
    )
    yield tfkit.Spec(
        name="one-cycle",
        summary="Up to a peak and down far below the first rate, in half cosines.",
        target="tfkit_schedules.one_cycle:OneCycle",
        params=schemas.OneCycle,
        examples=({"peak": 0.1, "steps": 10}, {"peak": 0.1, "steps": 100, "pct_start": 0.5, "warmup": 10}),
    )
    yield tfkit.Spec(
        name="warmup-stable-decay",
        summary="Linear warm-up to a peak, steps at it, then a straight line to a final rate.",
        target="tfkit_schedules.warmup_stable_decay:WarmupStableDecay",
        params=schemas.WarmupStableDecay,
        examples=({"peak": 0.1, "warmup": 4, "stable": 4, "decay": 4},),
    )
    yield tfkit.Spec(
        name="batch-size",
        summary="A batch size that grows or shrinks by a factor each epoch of one fit.",
        target="tfkit_schedules.batch_size:BatchSize",
        params=schemas.BatchSize,
        examples=({"initial": 4, "factor": 2.0}, {"initial": 8, "factor": 0.5, "maximum": 6}),
    )

"""Learning-rate schedules, pure functions of the step: the table of the package."""

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
        name="inverse-sqrt",
        summary="initial / sqrt(1 + beta * step).",
        target="tfkit_schedules.inverse_sqrt:InverseSqrt",
        params=schemas.InverseSqrt,
        examples=({"initial": 0.1, "beta": 0.01}, {"initial": 0.1, "beta": 0.01, "warmup": 10}),
    )

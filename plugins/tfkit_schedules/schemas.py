"""Parameters of the schedules. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import Ge, Gt

Initial = Annotated[float, Gt(0), "Learning rate at step 0."]
Warmup = Annotated[int, Ge(0), "Steps of linear warm-up before the schedule begins."]


@dataclass(frozen=True, kw_only=True)
class Constant:
    value: Annotated[float, Gt(0), "The learning rate."]


@dataclass(frozen=True, kw_only=True)
class InverseTime:
    initial: Initial
    decay: Annotated[float, Ge(0), "Decay of an epoch."]
    steps_per_epoch: Annotated[int, Ge(1), "Steps after which the rate falls again."] = 1
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class Exponential:
    initial: Initial
    gamma: Annotated[float, Gt(0), "Factor over `steps` steps."]
    steps: Annotated[int, Ge(1), "Steps over which the rate is multiplied by gamma once."] = 1
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class Cosine:
    initial: Initial
    steps: Annotated[int, Ge(1), "Steps until the final rate."]
    final: Annotated[float, Ge(0), "Learning rate from the last step on."] = 0.0
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class InverseSqrt:
    initial: Initial
    beta: Annotated[float, Ge(0), "Decay of a step."]
    warmup: Warmup = 0

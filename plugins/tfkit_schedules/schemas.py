"""Parameters of the schedules. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import Ge, Gt, Lt, MinLen

Initial = Annotated[float, Gt(0), "Learning rate at step 0."]
Steps = Annotated[int, Ge(1), "Steps until the final rate."]
Final = Annotated[float, Ge(0), "Learning rate from the last step on."]
Peak = Annotated[float, Gt(0), "The highest learning rate."]
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
    steps: Steps
    final: Final = 0.0
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class CosineRestarts:
    initial: Annotated[float, Gt(0), "Learning rate at step 0 and at each restart."]
    steps: Annotated[int, Ge(1), "Steps until the first restart."]
    final: Annotated[float, Ge(0), "Learning rate that each period falls to."] = 0.0
    factor: Annotated[float, Ge(1), "Length of a period over that of the one before."] = 2.0
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class InverseSqrt:
    initial: Initial
    beta: Annotated[float, Ge(0), "Decay of a step."]
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class Polynomial:
    initial: Initial
    steps: Steps
    final: Final = 0.0
    power: Annotated[float, Gt(0), "1 is a straight line; a larger one falls earlier."] = 1.0
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class Piecewise:
    boundaries: Annotated[tuple[Annotated[int, Ge(0)], ...], MinLen(1), "Last step of each value but the last."]
    values: Annotated[tuple[Annotated[float, Ge(0)], ...], MinLen(2), "Learning rates, one more than boundaries."]
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    peak: Peak
    steps: Annotated[int, Ge(1), "Steps of the whole cycle."]
    pct_start: Annotated[float, Gt(0), Lt(1), "Share of them that the rate rises."] = 0.3
    div_factor: Annotated[float, Ge(1), "Peak over the rate at step 0."] = 25.0
    final_div_factor: Annotated[float, Ge(1), "The rate at step 0 over the last."] = 1e4
    warmup: Warmup = 0


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay:
    peak: Peak
    warmup: Annotated[int, Ge(0), "Steps of linear warm-up to the peak."]
    stable: Annotated[int, Ge(0), "Steps at the peak."]
    decay: Annotated[int, Ge(1), "Steps from the peak to the final rate."]
    final: Final = 0.0


@dataclass(frozen=True, kw_only=True)
class BatchSize:
    initial: Annotated[int, Ge(1), "Rows in a batch of the first epoch."]
    factor: Annotated[float, Gt(0), "What each epoch multiplies it by; below 1 it shrinks."]
    maximum: Annotated[int | None, Ge(1), "Rows in a batch at most."] = None

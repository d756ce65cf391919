"""The parameters of the plugins: type, bounds, doc and default. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class Triangular:
    """Parameters of the schedule `triangular`."""

    low: Annotated[float, Ge(0), "Rate at the beginning of each cycle."]
    high: Annotated[float, Gt(0), "Rate in the middle of each cycle."]
    half: Annotated[int, Ge(1), "Steps from the low rate to the high one."] = 1000


@dataclass(frozen=True, kw_only=True)
class GroupLasso:
    """Parameters of the regularizer `group-lasso`."""

    factor: Annotated[float, Ge(0), "Factor of the penalty."]
    epsilon: Annotated[float, Gt(0), "Added under each root: keeps the gradient finite where weights are 0."] = 1e-12

"""Parameters of the regularizers. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import Ge, Lt

_INFINITY = float("inf")
AbsoluteFactor = Annotated[float, Ge(0), Lt(_INFINITY), "Factor of the sum of absolute values."]
SquareFactor = Annotated[float, Ge(0), Lt(_INFINITY), "Factor of the sum of squares."]


@dataclass(frozen=True, kw_only=True)
class L1:
    l1: AbsoluteFactor


@dataclass(frozen=True, kw_only=True)
class L2:
    l2: SquareFactor


@dataclass(frozen=True, kw_only=True)
class ElasticNet:
    l1: AbsoluteFactor
    l2: SquareFactor

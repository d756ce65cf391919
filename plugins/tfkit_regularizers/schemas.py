"""Parameters of the regularizers. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import Ge, Gt, Lt

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


@dataclass(frozen=True, kw_only=True)
class Orthogonal:
    factor: Annotated[float, Ge(0), Lt(_INFINITY), "Factor of the mean absolute cosine between two units."]


@dataclass(frozen=True, kw_only=True)
class ProximalL1:
    l1: AbsoluteFactor
    learning_rate: Annotated[float | None, Ge(0), Lt(_INFINITY), "Learning rate; None for the fit's."] = None


@dataclass(frozen=True, kw_only=True)
class MaxNorm:
    value: Annotated[float, Gt(0), Lt(_INFINITY), "Largest norm of a unit's incoming weights."]


@dataclass(frozen=True, kw_only=True)
class Clip:
    value: Annotated[float | None, Gt(0), Lt(_INFINITY), "Largest magnitude of a weight."] = None
    norm: Annotated[float | None, Gt(0), Lt(_INFINITY), "Largest Frobenius norm of a variable."] = None


@dataclass(frozen=True, kw_only=True)
class Spectral:
    pass

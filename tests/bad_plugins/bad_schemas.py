"""Schemas of the bad plugins: free of frameworks, and some of them wrong."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import MultipleOf

from tfkit.parameters import Ge, Gt

Value = Annotated[float, Gt(0), "A number."]


@dataclass(frozen=True, kw_only=True)
class One:
    value: Value


@dataclass(frozen=True, kw_only=True)
class Undocumented:
    value: Annotated[float, Gt(0)]


@dataclass(kw_only=True)
class Thawed:
    value: Value


@dataclass(frozen=True, kw_only=True)
class OutOfItsBounds:
    value: Value
    offset: Annotated[float, Ge(0), "Added to it."] = -1.0


@dataclass(frozen=True, kw_only=True)
class NotJson:
    value: Value
    names: Annotated[Any, "Names."] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Optional:
    value: Value
    offset: Annotated[float, Ge(0), "Added to it."] = 0.0


@dataclass(frozen=True, kw_only=True)
class UnknownBound:
    value: Value
    steps: Annotated[int, MultipleOf(2), "An even number."] = 2


@dataclass(frozen=True, kw_only=True)
class BoundOfItems:
    value: Value
    rates: Annotated[tuple[float, ...], Gt(0), "Numbers; the bound is that of a number, not of a sequence."] = (1.0,)

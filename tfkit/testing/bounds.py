"""outside: values that lie just outside a parameter's bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from tfkit.errors import ConformanceError
from tfkit.parameters import Parameter

_BEYOND: Mapping[type, Callable[[Any], Any]] = {
    Gt: lambda bound: bound.gt,
    Ge: lambda bound: bound.ge - 1,
    Lt: lambda bound: bound.lt,
    Le: lambda bound: bound.le + 1,
}


def outside(parameter: Parameter, given: Any) -> Iterator[tuple[Any, Any]]:
    """Yields (bound, value) for each bound of a parameter: a value of the right type just outside it.

    Args:
        parameter: The parameter.
        given: A good value, whose items make sequences that are too short or too long.

    Raises:
        ConformanceError: If a bound is one that tfkit does not check.

    Example:
        >>> list(outside(Parameter("share", float, (Gt(0), Le(1))), 0.5))
        [(Gt(gt=0), 0), (Le(le=1), 2)]
    """
    for bound in parameter.bounds:
        if isinstance(bound, (MinLen, MaxLen)):
            yield from _lengths(bound, given)
        elif type(bound) in _BEYOND:
            value = _BEYOND[type(bound)](bound)
            yield bound, (value,) if get_origin(parameter.annotation) in (tuple, list) else value
        else:
            raise ConformanceError(
                f"tfkit does not check the bound {bound!r} of parameter {parameter.name!r}: "
                f"use Gt, Ge, Lt, Le, MinLen or MaxLen of tfkit.parameters"
            )


def _lengths(bound: MinLen | MaxLen, given: Any) -> Iterator[tuple[Any, Any]]:
    items = tuple(given) if isinstance(given, (tuple, list)) else ()
    if isinstance(bound, MinLen) and bound.min_length > 0:
        yield bound, items[: bound.min_length - 1]
    if isinstance(bound, MaxLen) and items:
        yield bound, (items * (bound.max_length + 1))[: bound.max_length + 1]

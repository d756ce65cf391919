"""The bounds of annotated-types: does a value keep them, and what are they called in an error."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from typing import Any

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen

_NUMBERS: tuple[tuple[type, str, str, Callable[[Any, Any], bool]], ...] = (
    (Gt, "gt", ">", lambda value, bound: value > bound),
    (Ge, "ge", ">=", lambda value, bound: value >= bound),
    (Lt, "lt", "<", lambda value, bound: value < bound),
    (Le, "le", "<=", lambda value, bound: value <= bound),
)


def ungrouped(extras: Iterable[Any]) -> tuple[Any, ...]:
    """The single bounds in what an annotation holds besides its type: `Interval` and `Len` come apart.

    Example:
        >>> from annotated_types import Interval
        >>> ungrouped([Interval(gt=0, le=1), "A share."])
        (Gt(gt=0), Le(le=1))
    """
    bounds: list[Any] = []
    for extra in extras:
        if isinstance(extra, GroupedMetadata):
            bounds.extend(ungrouped(extra))
        elif not isinstance(extra, str):
            bounds.append(extra)
    return tuple(bounds)


def within(bounds: Iterable[Any], value: Any) -> bool:
    """Whether a value keeps every bound; lengths are those of sequences, the others those of numbers."""
    return all(_keeps(bound, value) for bound in bounds)


def in_words(bounds: Iterable[Any]) -> str:
    """The bounds as the end of a phrase, such as " > 0 and <= 1"; empty where there are none."""
    words = [word for bound in bounds for word in _words(bound)]
    return (" " + " and ".join(words)) if words else ""


def _keeps(bound: Any, value: Any) -> bool:
    if isinstance(bound, MinLen):
        return len(value) >= bound.min_length
    if isinstance(bound, MaxLen):
        return len(value) <= bound.max_length
    if not isinstance(value, numbers.Real):
        return True
    return all(holds(value, getattr(bound, name)) for kind, name, _, holds in _NUMBERS if isinstance(bound, kind))


def _words(bound: Any) -> list[str]:
    if isinstance(bound, MinLen):
        return [f"of at least {bound.min_length} items"]
    if isinstance(bound, MaxLen):
        return [f"of at most {bound.max_length} items"]
    return [f"{sign} {getattr(bound, name)}" for kind, name, sign, _ in _NUMBERS if isinstance(bound, kind)]

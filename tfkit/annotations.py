"""Values against type annotations: is it of the type, and what is the type called in an error."""

from __future__ import annotations

import math
import numbers
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from tfkit.bounds import in_words, ungrouped, within


def convert(annotation: Any, value: Any) -> Any:
    """Returns value as the annotation's type, or raises TypeError. Strings are never parsed."""
    if annotation is Any:
        return value
    if annotation in (None, type(None)):
        return _only(value is None, value)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _convert_bounded(*get_args(annotation), value=value)
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(annotation), value)
    if origin is Literal:
        return _only(any(value == each and type(value) is type(each) for each in get_args(annotation)), value)
    if origin in (tuple, list, Sequence):
        return _convert_sequence(origin, get_args(annotation), value)
    if origin is not None:
        return _only(isinstance(value, origin), value)
    if annotation is bool:
        return bool(_only(type(value).__name__ in ("bool", "bool_"), value))
    if annotation is int:
        return int(_only(isinstance(value, numbers.Integral) and not isinstance(value, bool), value))
    if annotation is float:
        return _convert_float(value)
    return _only(isinstance(value, annotation), value)


def _only(good: bool, value: Any) -> Any:
    if not good:
        raise TypeError
    return value


def _convert_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError
    number = float(value)
    return float(_only(not math.isnan(number), number))


def _convert_bounded(annotation: Any, *extras: Any, value: Any) -> Any:
    converted = convert(annotation, value)
    return _only(converted is None or within(ungrouped(extras), converted), converted)


def _convert_union(options: Iterable[Any], value: Any) -> Any:
    for option in options:
        try:
            return convert(option, value)
        except TypeError:
            continue
    raise TypeError


def _convert_sequence(origin: Any, items: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        raise TypeError
    made = list if origin is list else tuple
    if (len(items) == 2 and items[1] is Ellipsis) or origin is not tuple:
        return made(convert(items[0], each) for each in value)
    if len(items) != len(value):
        raise TypeError
    return made(convert(item, each) for item, each in zip(items, value))


def describe(annotation: Any) -> str:
    """The annotation in words, such as "a float or None"."""
    if annotation is Any:
        return "any value"
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        return describe(inner) + in_words(ungrouped(extras))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(each) for each in get_args(annotation))
    if origin is Literal:
        return " or ".join(repr(each) for each in get_args(annotation))
    if annotation in (None, type(None)):
        return "None"
    if origin in (tuple, list, Sequence):
        return _describe_sequence(get_args(annotation))
    names = {int: "an int", float: "a float", bool: "True or False", str: "a string"}
    return names.get(annotation, f"a {getattr(origin or annotation, '__name__', annotation)}")


def _describe_sequence(items: tuple[Any, ...]) -> str:
    article, _, rest = describe(items[0]).partition(" ")
    noun, space, bounds = (rest if article in ("a", "an") else f"{article} {rest}").partition(" ")
    plural = f"{noun}s{space}{bounds}"
    if len(items) > 1 and items[1] is not Ellipsis:
        return f"a tuple of {len(items)} {plural}"
    return f"a sequence of {plural}"

"""What a parameter of a plugin can be drawn from in a search: a range or choices, from its schema or by hand."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from tfkit.bounds import ungrouped
from tfkit.errors import ParameterError
from tfkit.parameters import Parameter

# How far within an exclusive bound a range of floats ends, as a share of it.
_MARGIN = 0.01
# From this ratio of its ends on a range is sampled logarithmically.
_DECADES = 100.0
# KerasTuner's arguments of a range and of a choice, and its ways to sample a range.
_RANGE = {"min_value", "max_value", "step", "sampling", "default"}
_CHOICE = {"values", "ordered", "default"}
_SAMPLINGS = ("linear", "log", "reverse_log")


@dataclass(frozen=True)
class Domain:
    """What KerasTuner draws a value from.

    Attributes:
        method: "Float", "Int", "Boolean" or "Choice", of `keras_tuner.HyperParameters`.
        arguments: Its arguments besides the name.
        values: For choices that KerasTuner does not hold, such as tuples and None: the values, by their text.
    """

    method: Literal["Float", "Int", "Boolean", "Choice"]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] | None = None

    @property
    def example(self) -> Any:
        """A value of it."""
        if self.method == "Boolean":
            return False
        value = self.arguments["values"][0] if self.method == "Choice" else self.arguments["min_value"]
        return value if self.values is None else self.values[value]

    def draw(self, hp: Any, name: str) -> Any:
        """The value of the hyperparameter of that name; None where it is inactive."""
        value = getattr(hp, self.method)(name, **self.arguments)
        return value if self.values is None or value is None else self.values[value]


def domain_of(parameter: Parameter) -> Domain | None:
    """What the schema of a parameter says that it can be; None where it has no two bounds.

    Example:
        >>> domain_of(Parameter("share", float, (Gt(0), Le(1))))
        Domain(method='Float', arguments={'min_value': 0.01, 'max_value': 1.0}, values=None)
        >>> domain_of(Parameter("steps", int, (Ge(1),))) is None
        True
    """
    annotation, bounds = _plain(parameter.annotation, parameter.bounds)
    if annotation is bool:
        return Domain("Boolean", _default(parameter, (False, True)))
    if get_origin(annotation) is Literal:
        return _choice(get_args(annotation), parameter)
    if annotation not in (int, float):
        return None
    ends = _ends(annotation, bounds)
    if ends is None:
        return None
    # That a share may not be 0 does not make it one of decades.
    return _range(annotation, *ends, parameter, log=annotation is int or Gt(0) not in bounds)


def given_domain(parameter: Parameter, given: Any, *, owner: str) -> Domain:
    """What a user says that a parameter can be.

    Args:
        parameter: The parameter.
        given: (low, high), (low, high, sampling), a list of choices, or KerasTuner's arguments by name.
        owner: Whose it is, for the error's text.

    Raises:
        ParameterError: It is none of these, or holds values beyond the parameter's bounds.
    """
    if isinstance(given, list) and given:
        return _choice([parameter.checked(each, owner=owner) for each in given], parameter)
    if isinstance(given, tuple) and len(given) in (2, 3):
        given = dict(zip(("min_value", "max_value", "sampling"), given))
    if not isinstance(given, Mapping) or not given:
        raise ParameterError(
            f"the range of {parameter.name!r} of {owner} must be (low, high), a list of choices, or KerasTuner's "
            f"arguments such as {{'min_value': 1, 'max_value': 9}}; got {given!r}"
        )
    about = f"the range of {parameter.name!r} of {owner}"
    if "values" in given:
        return _given_choice(parameter, given, owner, about)
    return _given_range(parameter, given, owner, about)


def _given_choice(parameter: Parameter, given: Mapping[str, Any], owner: str, about: str) -> Domain:
    values, default, ordered = (given.get(name) for name in ("values", "default", "ordered"))
    if not given.keys() <= _CHOICE:
        raise ParameterError(f"{about} takes {', '.join(sorted(_CHOICE))}; got {dict(given)!r}")
    if not isinstance(values, (list, tuple)) or not values:
        raise ParameterError(f"{about} needs a list of one value or more; got {values!r}")
    found = _choice([parameter.checked(each, owner=owner) for each in values], parameter)
    choices = found.arguments["values"]
    more: dict[str, Any] = {}
    if default is not None or ("default" in given and None in values):
        default = parameter.checked(default, owner=owner)
        more["default"] = default if found.values is None else str(default)
        if more["default"] not in choices:
            raise ParameterError(f"{about} has a default that is none of the values {list(values)}; got {default!r}")
    if ordered is not None:
        more["ordered"] = ordered
        if not isinstance(ordered, bool) or (ordered and not _is_number(choices[0])):
            raise ParameterError(f"{about} is ordered (True) or not (False), only numbers are; got {ordered!r}")
    return Domain(found.method, {**found.arguments, **more}, found.values)


def _given_range(parameter: Parameter, given: Mapping[str, Any], owner: str, about: str) -> Domain:
    if not {"min_value", "max_value"} <= given.keys() <= _RANGE:
        raise ParameterError(f"{about} takes {', '.join(sorted(_RANGE))}; got {dict(given)!r}")
    low, high = (parameter.checked(given[name], owner=owner) for name in ("min_value", "max_value"))
    if not (_is_number(low) and _is_number(high) and low <= high):
        raise ParameterError(f"{about} must be two numbers, the lower one first; got {(low, high)!r}")
    sampling = given.get("sampling", "linear")
    if sampling not in _SAMPLINGS or (sampling != "linear" and low <= 0):
        raise ParameterError(
            f"{about} is sampled {' or '.join(map(repr, _SAMPLINGS))}, the last two above 0; got {sampling!r} "
            f"from {low}"
        )
    kind = int if isinstance(low, int) and isinstance(high, int) else float
    step, default = given.get("step"), given.get("default")
    if step is not None:
        _check_step(step, kind, sampling, about)
    if default is not None:
        _check_default(parameter.checked(default, owner=owner), kind, (low, high), about)
    # A step is added where nothing is said of the sampling: of logarithms it would be a factor.
    found = _range(kind, low, high, parameter, log=step is None)
    more = {name: given[name] for name in ("step", "sampling", "default") if given.get(name) is not None}
    return Domain(found.method, {**found.arguments, **more})


def _check_step(step: Any, kind: type, sampling: str, about: str) -> None:
    least = 0 if sampling == "linear" else 1
    if not _is_number(step) or not least < step < math.inf or (kind is int and not isinstance(step, int)):
        words = "a whole number" if kind is int else "a number"
        raise ParameterError(f"{about} has a step that is {words} above {least} if sampled {sampling!r}; got {step!r}")


def _check_default(default: Any, kind: type, ends: tuple[Any, Any], about: str) -> None:
    is_kind = isinstance(default, int) if kind is int else True
    if not (_is_number(default) and is_kind and ends[0] <= default <= ends[1]):
        raise ParameterError(f"{about} has a default from {ends[0]} to {ends[1]}; got {default!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _range(kind: type, low: Any, high: Any, parameter: Parameter, *, log: bool = True) -> Domain:
    arguments: dict[str, Any] = {"min_value": kind(low), "max_value": kind(high)}
    if log and low > 0 and high / low >= _DECADES:
        arguments["sampling"] = "log"
    default = parameter.default
    if isinstance(default, (int, float)) and low <= default <= high:
        arguments["default"] = kind(default)
    return Domain("Int" if kind is int else "Float", arguments)


def _choice(values: Sequence[Any], parameter: Parameter) -> Domain:
    texts = {str(each): each for each in values}
    types_ = {type(each) for each in values}
    if types_ in ({str}, {int}, {float}):  # KerasTuner makes ints of True and False
        return Domain("Choice", {"values": list(values), **_default(parameter, values)})
    default = {"default": str(parameter.default)} if str(parameter.default) in texts else {}
    return Domain("Choice", {"values": list(texts), **default}, texts)


def _default(parameter: Parameter, values: Sequence[Any]) -> dict[str, Any]:
    return {"default": parameter.default} if parameter.default in values else {}


def _plain(annotation: Any, bounds: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The annotation that a value is drawn of, and its bounds: of "a float or None" the float."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        return _plain(inner, (*bounds, *ungrouped(extras)))
    if origin in (Union, types.UnionType):
        options = [each for each in get_args(annotation) if each is not type(None)]
        return _plain(options[0], bounds) if len(options) == 1 else (annotation, bounds)
    return annotation, bounds


def _ends(kind: type, bounds: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """The least and the largest value, both inclusive; None where there is no end."""
    lows = [(_bound(each), isinstance(each, Gt)) for each in bounds if isinstance(each, (Ge, Gt))]
    highs = [(_bound(each), not isinstance(each, Lt)) for each in bounds if isinstance(each, (Le, Lt))]
    if not lows or not highs:
        return None
    (low, above), (high, included) = max(lows), min(highs)
    if math.isinf(low) or math.isinf(high):
        return None
    margin = 1 if kind is int else _MARGIN * (high - low)
    return low + margin * above, high - margin * (not included)


def _bound(bound: Any) -> Any:
    return next(getattr(bound, name) for name in ("ge", "gt", "le", "lt") if hasattr(bound, name))

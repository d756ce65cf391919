"""The schema of a plugin's parameters: a frozen dataclass whose annotations hold type, bounds and doc.

One line a parameter::

    @dataclass(frozen=True, kw_only=True)
    class Cosine:
        initial: Annotated[float, Gt(0), "Learning rate at step 0."]
        steps: Annotated[int, Ge(1), "Steps until the final rate."]
        final: Annotated[float, Ge(0), "Learning rate at the end."] = 0.0

The bounds are those of the package annotated-types, which hypothesis understands too.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from tfkit.annotations import convert, describe
from tfkit.bounds import in_words, ungrouped, within
from tfkit.errors import ParameterError

__all__ = ["Ge", "Gt", "Le", "Lt", "MaxLen", "MinLen", "Parameter", "check", "parameters"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plugin.

    Attributes:
        name: Its name, snake_case.
        annotation: Its type, without the bounds.
        bounds: The annotated-types bounds, in the order they were written.
        default: Its default, or `...` where it must be given.
        doc: One sentence.
    """

    name: str
    annotation: Any
    bounds: tuple[Any, ...] = ()
    default: Any = ...
    doc: str = ""

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is ...

    @property
    def constraint(self) -> str:
        """Its type and bounds in words, such as "a float > 0"."""
        words = describe(self.annotation)
        plain = words.removesuffix(" or None")
        return plain + in_words(self.bounds) + words[len(plain) :]

    def checked(self, value: Any, *, owner: str) -> Any:
        """The value, a whole number made a float where a float is due.

        Args:
            value: A value for it.
            owner: Who takes it, for the error's text, such as "schedule 'cosine'".

        Raises:
            ParameterError: Names the parameter, its bounds and the value.
        """
        try:
            converted = convert(self.annotation, value)
        except TypeError:
            raise self._refusal(value, owner) from None
        if converted is not None and not within(self.bounds, converted):
            raise self._refusal(value, owner)
        return converted

    def _refusal(self, value: Any, owner: str) -> ParameterError:
        return ParameterError(f"the parameter {self.name!r} of {owner} must be {self.constraint}; got {value!r}")

    def as_dict(self) -> dict[str, Any]:
        """What `tfkit plugins list --json` says of it."""
        row: dict[str, Any] = {"name": self.name, "constraint": self.constraint, "required": self.required}
        if not self.required:
            row["default"] = self.default
        return {**row, "doc": self.doc}


def parameters(schema: type) -> tuple[Parameter, ...]:
    """Lists the parameters of a schema, in the order they were written.

    Args:
        schema: A dataclass; each annotation is a type or `Annotated[type, bound…, "doc"]`.

    Example:
        >>> @dataclass(frozen=True)
        ... class Constant:
        ...     value: typing.Annotated[float, Gt(0), "The learning rate."]
        >>> parameters(Constant)[0].constraint
        'a float > 0'
    """
    hints = typing.get_type_hints(schema, include_extras=True)
    return tuple(_parameter(each, hints[each.name]) for each in dataclasses.fields(schema))


def check(schema: type, values: Mapping[str, Any], *, owner: str) -> dict[str, Any]:
    """Checks values against a schema and returns them, with whole numbers made floats where a float is due.

    Args:
        schema: The dataclass of the parameters.
        values: Parameter values by name; those left out keep their defaults and are not returned.
        owner: Who takes them, for the error's text, such as "schedule 'cosine'".

    Raises:
        ParameterError: Names the parameter, its bounds, the value and the way out.
    """
    known = {each.name: each for each in parameters(schema)}
    for name in values:
        if name not in known:
            raise ParameterError(_unknown(name, known, owner))
    missing = [name for name, each in known.items() if each.required and name not in values]
    if missing:
        wanted = ", ".join(f"{name!r} ({known[name].constraint})" for name in missing)
        raise ParameterError(f"{owner} needs {wanted}: pass {missing[0]}=…")
    return {name: known[name].checked(value, owner=owner) for name, value in values.items()}


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of an error's sentence: the nearest known word, or the list of all."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are: {', '.join(names)}" if names else ""


def _parameter(field: dataclasses.Field[Any], hint: Any) -> Parameter:
    annotation, *extras = get_args(hint) if get_origin(hint) is typing.Annotated else (hint,)
    doc = next((extra for extra in extras if isinstance(extra, str)), "")
    return Parameter(field.name, annotation, ungrouped(extras), _default(field), doc)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return ... if field.default_factory is dataclasses.MISSING else field.default_factory()


def _unknown(name: str, known: Collection[str], owner: str) -> str:
    if not known:
        return f"{owner} takes no parameters; got {name!r}"
    return f"{owner} takes no parameter {name!r}{suggest(name, known)}"

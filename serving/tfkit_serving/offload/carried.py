"""How names, specs and errors cross between server and worker: as JSON, whatever bytes a client put into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec


def carried(text: str) -> str:
    r"""A text whose bytes may be no UTF-8, one letter a byte.

    Example:
        >>> carried("é\udcff"), text_of(carried("é\udcff")) == "é\udcff"
        ('Ã©ÿ', True)
    """
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def text_of(letters: str) -> str:
    """The text that was `carried`."""
    return letters.encode("latin-1").decode("utf-8", "surrogateescape")


def carried_spec(spec: ModelSpec) -> list[Any]:
    """A model spec."""
    label, key = [None if each is None else carried(each) for each in (spec.label, spec.key)]
    return [carried(spec.name), spec.version, label, key]


def spec_of(parts: Sequence[Any]) -> ModelSpec:
    """The spec that was carried.

    Example:
        >>> spec_of(carried_spec(ModelSpec("digits", label="stable")))
        ModelSpec(name='digits', version=None, label='stable')
    """
    name, version, label, key = parts
    return ModelSpec(text_of(name), version, *[None if each is None else text_of(each) for each in (label, key)])


def failure(error: ServingError) -> dict[str, str]:
    """An error as a message."""
    return {"code": error.code, "message": carried(error.message)}


def error_of(message: Mapping[str, Any]) -> ServingError | None:
    """The error that a message tells, or None."""
    return ServingError(message["code"], text_of(message["message"])) if "code" in message else None

"""Exportable: what `tfkit.export` writes, a Keras model or a file that is written already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tfkit.formats.purpose import Purpose
from tfkit.formats.signature import Signature


class Exportable(Protocol):
    """A `NamedModel` or a `LiteRTModel`."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def signature(self) -> Signature:
        """Names, dtypes and shapes."""

    @property
    def purpose(self) -> Purpose:
        """What it is for."""

    @property
    def preprocessing(self) -> list[str]:
        """The classes of the layers inside that take raw values."""

    def arrange(self, sample: Any) -> dict[str, Any]:
        """Rows as it takes them, as arrays by name, of the signature's dtypes."""

    def compute(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Its outputs for rows, arrays by name."""

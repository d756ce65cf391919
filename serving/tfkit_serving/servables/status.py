"""VersionStatus: in which state a version is, in TensorFlow Serving's words."""

from __future__ import annotations

from dataclasses import dataclass

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        code: "OK", or the code of what went wrong.
        message: What went wrong.
    """

    version: int
    state: str
    code: str = "OK"
    message: str = ""

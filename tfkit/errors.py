"""The exceptions of tfkit: each is also a builtin's subclass, so that plain handlers catch it."""

from __future__ import annotations

from collections.abc import Mapping


class TfkitError(Exception):
    """Base of every error that tfkit raises on purpose. Its text says what, where, and the way out."""


class PluginNotFound(TfkitError, LookupError):
    """No plugin of that kind and name, or its distribution could not be loaded."""


class PluginConflict(TfkitError, LookupError):
    """Two distributions provide the same kind and name."""


class ParameterError(TfkitError, ValueError):
    """A parameter is unknown, missing, of a wrong type or out of its bounds."""


class DeviceNotFound(ParameterError):
    """A device that this machine lacks: a GPU or TPU that is not there. Its text lists those there are."""


class DataError(TfkitError, ValueError):
    """Data that cannot be used: no rows, NaN, lengths that differ, labels out of range."""


class VerificationError(TfkitError, RuntimeError):
    """What was exported, converted or reloaded does not compute what its source computes."""


class ConversionError(TfkitError, RuntimeError):
    """A converter failed, crashed or ran out of time in its child process."""


class RecipeError(TfkitError, ValueError):
    """A recipe script that cannot be read or lacks a section."""


class RunError(TfkitError, RuntimeError):
    """A run folder that is in use, not writable, or not a run folder."""


class SearchError(TfkitError, RuntimeError):
    """A search that cannot begin or go on: another search's directory, too many failed trials, nothing found."""


class ModelError(TfkitError, ValueError):
    """A model that is not built, not compiled, or a file that is no model."""


class ConformanceError(TfkitError, AssertionError):
    """A plugin that does not keep what its kind promises; raised by `tfkit.testing`.

    Args:
        text: What was wrong.
        failures: By check, what was wrong.
    """

    def __init__(self, text: str, failures: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.failures = dict(failures or {})

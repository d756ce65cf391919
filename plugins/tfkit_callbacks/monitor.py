"""Monitor: a quantity of a fit's logs that a callback watches, and whether less of it is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfkit.attach.guard import running_callbacks
from tfkit.errors import ParameterError


class Monitor:
    """A quantity by its name in the logs.

    Args:
        owner: Who watches it, for the text of errors.
        name: Its name. It must be there in the first epoch; a `val_` value that later epochs lack, as with
            `validation_freq`, is waited for.

    Example:
        >>> Monitor("callback 'mine'", "loss").value({"loss": 0.5})
        0.5
    """

    def __init__(self, owner: str, name: str) -> None:
        self.owner = owner
        self.name = name
        self._seen = False

    def begin(self) -> None:
        """Forgets what the logs of an earlier fit have had."""
        self._seen = False

    def value(self, logs: Mapping[str, Any] | None) -> Any:
        """The value, None where this epoch has none.

        Raises:
            ParameterError: The logs have never had it.
        """
        logs = logs or {}
        if self.name in logs:
            self._seen = True
            return logs[self.name]
        if self._seen and self.name.startswith("val_"):
            return None
        hint = "" if any(name.startswith("val_") for name in logs) else "; for val_… pass validation_data to fit"
        raise ParameterError(f"{self.owner} cannot watch {self.name!r}: the logs have {', '.join(logs)}{hint}")

    def told_direction(self) -> str | None:
        """The direction that another callback of the fit tells, which adds the quantity to the logs."""
        running = running_callbacks()
        told = (
            each.direction(self.name) for each in (running.callbacks if running else ()) if hasattr(each, "direction")
        )
        return next((each for each in told if each is not None), None)

    def unknown_direction(self) -> ParameterError:
        """The error to raise where mode="auto" cannot tell."""
        return ParameterError(
            f"{self.owner} cannot tell whether {self.name!r} is better low or high: pass mode='min' or mode='max'"
        )

    def is_maximized(self, model: keras.Model, mode: str) -> bool:
        """Whether more of it is better; mode="auto" asks the model's metrics, as Keras's own callbacks do.

        Raises:
            ParameterError: mode="auto" cannot tell.
        """
        if mode != "auto":
            return mode == "max"
        told = self.told_direction()
        if told is not None:
            return told == "max"
        keras_own = keras.callbacks.EarlyStopping(self.name, mode=mode)
        keras_own.set_model(model)
        try:
            keras_own._set_monitor_op()
        except ValueError:
            raise self.unknown_direction() from None
        return bool(keras_own.monitor_op(1.0, 0.0))

"""What a fit was set to, for logs that compare runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfkit.attach.optimizers import inner_optimizer


def of_fit(model: keras.Model, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer, its learning rate unless a schedule sets it, parameters, batches of an epoch, and what is given.

    Args:
        model: A compiled model.
        params: Those of a callback of the fit.
        given: Further names and values; what is no number, text or boolean becomes a text.
    """
    optimizer = inner_optimizer(model.optimizer)
    found: dict[str, Any] = {"optimizer": type(optimizer).__name__, "parameters": model.count_params()}
    rate = getattr(optimizer, "_learning_rate", None)
    if isinstance(rate, keras.Variable):
        found["learning_rate"] = float(rate.numpy())
    if params.get("steps"):
        found["steps_per_epoch"] = int(params["steps"])
    return found | {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)

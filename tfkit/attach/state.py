"""The state of a training, to go on from: all variables of a model and of its optimizer.

A file of weights lacks the state of dropout's random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfkit.errors import ModelError


def learning_rate(model: keras.Model) -> float | None:
    """The learning rate of a model's optimizer; None where a schedule sets it."""
    variable = _rate_variable(model.optimizer)
    return None if variable is None else float(variable.numpy())


def save_state(model: keras.Model, path: Path, built_rate: float | None) -> None:
    """Writes the state of a model's training.

    Args:
        model: A compiled model that was trained.
        path: A file that ends in ".npz".
        built_rate: What `learning_rate` was before it was trained.
    """
    arrays: dict[str, Any] = {f"model{number}": _array(each) for number, each in enumerate(model.variables)}
    arrays |= {f"optimizer{number}": _array(each) for number, each in enumerate(model.optimizer.variables)}
    rate = np.nan if built_rate is None else built_rate
    aside = path.with_suffix(".aside")
    with aside.open("wb") as file:
        np.savez(file, built_rate=np.float64(rate), **arrays)
    aside.replace(path)


def load_state(model: keras.Model, path: Path) -> None:
    """Puts a model where another training has ended.

    An optimizer of another kind begins anew. A learning rate that the model was built with, other than that of the
    training, stays: a search that trains a model further may want another one.

    Args:
        model: A compiled model whose variables exist.
        path: What `save_state` wrote.

    Raises:
        ModelError: The model's variables have other shapes.
    """
    with np.load(path) as file:
        saved = dict(file)
    rate = learning_rate(model)
    state = _numbered(saved, "model")
    if not _fits(model.variables, state):
        raise ModelError(f"the state {path} is of a model with other shapes: let only what keeps them be searched")
    _assign(model.variables, state)
    state = _numbered(saved, "optimizer")
    if not _fits(model.optimizer.variables, state):
        return
    _assign(model.optimizer.variables, state)
    if rate is not None and rate != saved["built_rate"]:
        model.optimizer.learning_rate = rate


def _rate_variable(optimizer: Any) -> Any:
    rate = getattr(optimizer, "learning_rate", None)
    return rate if isinstance(rate, keras.Variable) else None


def _array(variable: Any) -> np.ndarray:
    # numpy's files do not know bfloat16; float32 holds all its values.
    array = np.asarray(keras.ops.convert_to_numpy(variable))
    return array.astype("float32") if array.dtype.kind == "V" else array


def _numbered(saved: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [saved[f"{name}{number}"] for number in range(sum(key.startswith(name) for key in saved))]


def _fits(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> bool:
    return [tuple(each.shape) for each in variables] == [each.shape for each in arrays]


def _assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays):
        variable.assign(array)

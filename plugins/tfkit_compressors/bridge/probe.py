"""The numeric comparison after a model was carried from one Keras to the other."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfkit.data import as_arrays
from tfkit.errors import VerificationError
from tfkit.nests import leaves, map_leaves

_ROWS = 4
# What stands for an open dimension.
_OPEN = 7


def require_same_outputs(model: Any, legacy: Any, sample: Any = None) -> None:
    """Raises unless two models give the same for the same input.

    Random floats are normal, whole numbers lie below the smallest vocabulary of the model's embeddings;
    floats are whole too where they may be ids.

    Args:
        model: A Functional or Sequential Keras 3 model.
        legacy: What is to compute the same, called with the same nest of arrays.
        sample: Rows of input, as the model takes them; None for random ones.

    Raises:
        VerificationError: The outputs differ by more than 0.1% of their spread over the rows.
    """
    rows = _random_rows(model) if sample is None else as_arrays(sample)
    with np.errstate(all="ignore"):
        wanted = [np.asarray(each, "float64") for each in leaves(model(rows, training=False))]
        found = [np.asarray(each, "float64") for each in leaves(legacy(rows, training=False))]
        for want, got in zip(wanted, found, strict=True):
            _require_same(model, want, got)


def _require_same(model: Any, want: Any, got: Any) -> None:
    if want.shape != got.shape:
        raise VerificationError(f"model {model.name!r} gives the shape {want.shape}, its tf_keras twin {got.shape}")
    # Half precision rounds each of both to three digits.
    exact, rounding = (2e-2, 2e-2) if model.compute_dtype in ("float16", "bfloat16") else (1e-3, 1e-5)
    allowed = exact * abs(want - want.mean(axis=0)).max(initial=0) + rounding * abs(want).max(initial=0)
    difference = abs(got - want).max(initial=0)
    if not difference <= allowed:
        raise VerificationError(
            f"the tf_keras twin of model {model.name!r} computes something else: its outputs differ by up to "
            f"{difference:.3g} where they are up to {abs(want).max():.3g}"
        )


def _random_rows(model: Any) -> Any:
    generator = np.random.default_rng(0)
    sizes = [each.input_dim for each in model._flatten_layers() if isinstance(each, keras.layers.Embedding)]
    tensors = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return map_leaves(lambda tensor: _random(generator, tensor, min(sizes, default=0)), tensors)


def _random(generator: Any, tensor: Any, vocabulary: int) -> Any:
    batch, *rest = tensor.shape
    shape = (batch or _ROWS, *(_OPEN if size is None else size for size in rest))
    if vocabulary:
        return generator.integers(0, vocabulary, shape).astype(tensor.dtype)
    if tensor.dtype.startswith("float"):
        return generator.normal(size=shape).astype(tensor.dtype)
    return generator.integers(0, 2, shape).astype(tensor.dtype)

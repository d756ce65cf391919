"""require_equal: that a trimmed model computes what its source does with the removed tokens out of the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfkit import Data, VerificationError
from tfkit.graph import has_graph
from tfkit.replay import flat_inputs, run
from tfkit_compressors.vocabulary.build import Trim
from tfkit_compressors.vocabulary.lookups import divisors, homes, mode, weights

_ROWS = 64
# Rounding of float32 makes 1e-6 at most, of float16 a few 1e-3.
_TOLERANCE = 1e-2


def require_equal(model: keras.Model, trims: Sequence[Trim], made: keras.Model, data: Data) -> None:
    """Compares a trimmed model with its source on rows of the train part.

    Args:
        model: The source.
        trims: What went of its vocabularies.
        made: The trimmed model.
        data: The train part is read.

    Raises:
        VerificationError: Their outputs differ by more than 1% of the largest.
    """
    inputs = flat_inputs(model, data.drawn("train", _ROWS))
    expected = _outputs(model, inputs, {id(each.vocabulary.lookup): each for each in trims})
    for position, (one, other) in enumerate(zip(expected, _outputs(made, inputs, {}), strict=True)):
        difference, scale = np.abs(one - other).max(), np.abs(one).max()
        if np.isfinite(scale) and not difference <= _TOLERANCE * scale + 1e-6:
            raise VerificationError(
                f"the trimmed model {model.name!r} does not compute what its source computes without the tokens that "
                f"went: output {position} differs by {difference:.3g} of {scale:.3g}"
            )


def _outputs(model: keras.Model, inputs: list[Any], trims: Mapping[int, Trim]) -> list[np.ndarray]:
    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if has_graph(operation):
            return run(operation, keras.tree.flatten(args[0]), call)
        value = operation(*args, **kwargs)
        trim = trims.get(id(operation))
        return value if trim is None else _without(trim, value)

    return [keras.ops.convert_to_numpy(each).astype("float64") for each in run(model, inputs, call)]


def _without(trim: Trim, value: Any) -> Any:
    """What a lookup gives where the removed tokens are out of its vocabulary, in its own width."""
    lookup = trim.vocabulary.lookup
    home = homes(lookup, trim.kept)
    if mode(lookup) == "int":
        return keras.ops.take(home, value)
    columns = np.asarray(value, "float64") / divisors(lookup)
    found = np.zeros_like(columns)
    merge = np.maximum if mode(lookup) in ("one_hot", "multi_hot") else np.add
    merge.at(found, (..., home), columns)
    return keras.ops.convert_to_tensor(found * weights(lookup), value.dtype)

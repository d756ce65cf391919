"""sensitivity: what it costs to compress one layer alone, layer by layer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfkit.data import Data
from tfkit.errors import ModelError, ParameterError
from tfkit.models import require_built
from tfkit.pipeline.rows import Row, Yardstick, agreement
from tfkit.progress import task
from tfkit.recipe import Step

_KERNELS = ("kernel", "recurrent_kernel", "embeddings", "pointwise_kernel", "depthwise_kernel")


def sensitivity(
    model: Any,
    data: Data,
    *,
    metric: Step = "accuracy",
    sparsities: Sequence[float] = (0.5, 0.75, 0.9),
    bits: Sequence[int] = (8, 4, 3, 2),
) -> list[Row]:
    """Measures the metric with one kernel alone pruned, or its values rounded as quantization rounds them.

    Nothing is trained and nothing converted: kernels are changed in place, the validation part is
    predicted, and the kernels are put back. Pruning zeroes the smallest magnitudes; quantization rounds to
    2^bits - 1 levels, symmetric about 0, with a scale for each output channel (an embedding has one scale).

    Args:
        model: A built Keras model; it ends as it was.
        data: The metric is measured on its validation part (train where there is none).
        metric: A metric plugin: name or (name, params).
        sparsities: Shares of zeros, each in [0, 1).
        bits: Bits of the rounded values, each from 2 to 16.

    Returns:
        A row for each kernel and strength: layer, kernel, parameters, move ("prune" or "quantize"), strength,
        metric, drop (against the model as it is; below 0 for a gain), agreement. In the model's order.

    Raises:
        ModelError: The model is not built, or has no kernel.
        ParameterError: A sparsity or a number of bits is out of its bounds.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "softmax", name="scores")])
        >>> model.layers[0].set_weights([np.diag([40, 30, 20, 10]), np.zeros(4)])
        >>> rows = sensitivity(model, Data((np.eye(4), np.arange(4))), sparsities=[0.75, 0.875], bits=[4])
        >>> [(row["move"], row["strength"], row["drop"]) for row in rows]
        [('prune', 0.75, 0.0), ('prune', 0.875, 0.5), ('quantize', 4, 0.0)]
    """
    changes = [*_prunings(sparsities), *_roundings(bits)]
    kernels = list(_kernels(require_built(model)))
    if not kernels:
        raise ModelError(f"model {model.name!r} has no kernel whose compression could be measured")
    yardstick = Yardstick(model, data, metric)
    source = yardstick.value_of(yardstick.source_outputs)
    rows = []
    with task("sensitivity", total=len(kernels) * len(changes)) as advance:
        for layer, variable, channels in kernels:
            for move, strength, change in changes:
                about = {"layer": layer, "kernel": variable.path, "parameters": math.prod(variable.shape)}
                changed = functools.partial(change, channels=channels)
                rows.append({**about, "move": move, "strength": strength, **_changed(yardstick, variable, changed)})
                advance(layer)
    return [{**row, "drop": yardstick.lost(source, row["metric"])} for row in rows]


def pruned(values: Any, sparsity: float, *, channels: Sequence[int] = ()) -> Any:
    """A copy of an array with the share of its smallest magnitudes set to 0, whatever channel they are in.

    Example:
        >>> import numpy as np
        >>> pruned(np.array([3.0, -1.0, 2.0, 0.5]), 0.5).tolist()
        [3.0, 0.0, 2.0, 0.0]
    """
    import numpy as np

    made = np.array(values)
    count = round(made.size * sparsity)
    if count:
        smallest = np.argpartition(np.abs(made).reshape(-1), count - 1)[:count]
        made.reshape(-1)[smallest] = 0
    return made


def rounded(values: Any, bits: int, *, channels: Sequence[int] = (-1,)) -> Any:
    """A copy of an array with its values rounded to 2^bits - 1 levels, a scale for each entry of some axes.

    Example:
        >>> import numpy as np
        >>> rounded(np.array([[1.0], [0.4], [-0.6]]), 2).ravel().tolist()
        [1.0, 0.0, -1.0]
    """
    import numpy as np

    made = np.asarray(values, "float64")
    top = 2 ** (bits - 1) - 1
    own = [axis % made.ndim for axis in channels]
    shared = tuple(axis for axis in range(made.ndim) if axis not in own)
    scale = np.abs(made).max(axis=shared, keepdims=True) / top
    safe = np.where(scale > 0, scale, 1.0)
    return (np.round(made / safe) * safe).astype(np.asarray(values).dtype)


def _prunings(sparsities: Sequence[float]) -> Iterator[tuple[str, float, Callable[..., Any]]]:
    for sparsity in sparsities:
        if not 0 <= sparsity < 1:
            raise ParameterError(f"the parameter 'sparsities' of sensitivity takes floats in [0, 1); got {sparsity!r}")
        yield "prune", sparsity, functools.partial(pruned, sparsity=sparsity)


def _roundings(bits: Sequence[int]) -> Iterator[tuple[str, int, Callable[..., Any]]]:
    for each in bits:
        if isinstance(each, bool) or not isinstance(each, int) or not 2 <= each <= 16:
            raise ParameterError(f"the parameter 'bits' of sensitivity takes ints from 2 to 16; got {each!r}")
        yield "quantize", each, functools.partial(rounded, bits=each)


def _kernels(model: Any) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """The layer's name, the variable and its output channels' axes, for each kernel."""
    from tfkit.attach.channels import channels_of
    from tfkit.attach.variables import named_variables

    for layer, name, variable in named_variables(model):
        if name in _KERNELS:
            yield layer.name, variable, channels_of(layer, name, len(variable.shape))


def _changed(yardstick: Yardstick, variable: Any, change: Callable[[Any], Any]) -> Row:
    """Metric and agreement with one kernel changed, which is then put back."""
    before = variable.numpy()
    try:
        variable.assign(change(before))
        outputs = yardstick.outputs(yardstick.source)
    finally:
        variable.assign(before)
    return {
        "metric": yardstick.value_of(outputs),
        "agreement": agreement(yardstick.source_outputs, outputs),
    }

"""Which variables of a model pruning and its like touch, and how many of their values are zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import keras

from tfkit.attach.variables import named_variables
from tfkit.errors import ModelError
from tfkit.models import require_built

# What TFMOT prunes too: no biases, no depthwise kernels (few weights, which matter much).
NAMES = ("kernel", "recurrent_kernel", "embeddings", "pointwise_kernel")
_DEPTHWISE_LAYERS = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def kernels(
    model: keras.Model, *, exclude: Iterable[str] = (), depthwise: bool = False, purpose: str = "prune"
) -> list[keras.Variable]:
    """The trainable variables that pruning and clustering touch, those of nested models and shared layers once.

    Args:
        model: A built model.
        exclude: Layers to leave out, by name or type.
        depthwise: Whether the kernels of depthwise and separable convolutions' first half are among them.
        purpose: What is to be done with them, for an error's text.

    Raises:
        ModelError: If the model is not built or has no such variable.
    """
    found = list(_chosen(require_built(model), tuple(exclude), depthwise))
    if found:
        return found
    names = ", ".join(sorted({name for _, name, _ in named_variables(model)})) or "none"
    outside = f" outside of exclude={tuple(exclude)!r}" if exclude else ""
    raise ModelError(
        f"model {model.name!r} has nothing to {purpose}: no trainable {', '.join(NAMES[:-1])} or {NAMES[-1]}{outside}; "
        f"its trainable variables are: {names}"
    )


def layer_sparsity(model: keras.Model) -> dict[str, float]:
    """The share of zeros of every trainable kernel of a model, depthwise ones included, by the variable's path.

    Args:
        model: A built model.

    Returns:
        Such as `{"conv2d/kernel": 0.8, "dense/kernel": 0.75}`; empty for a model without kernels.

    Example:
        >>> zeros = keras.layers.Dense(2, kernel_initializer="zeros", name="out")
        >>> layer_sparsity(keras.Sequential([keras.Input((4,)), zeros], name="net"))
        {'net/out/kernel': 1.0}
    """
    return {variable.path: zero_share(variable) for variable in _chosen(model, (), depthwise=True)}


def zero_share(variable: keras.Variable) -> float:
    """The share of a variable's values that are zero, between 0 and 1."""
    value = variable.numpy()
    return float((value == 0).mean()) if value.size else 0.0


def is_depthwise(layer: object) -> bool:
    """Whether a layer is a depthwise convolution, which takes each channel for itself."""
    return isinstance(layer, _DEPTHWISE_LAYERS)


def _chosen(model: keras.Model, exclude: tuple[str, ...], depthwise: bool) -> Iterator[keras.Variable]:
    for layer, name, variable in named_variables(model, exclude):
        # Keras calls the kernel of a depthwise layer "kernel", that of a separable one "depthwise_kernel".
        of_channels = name == "depthwise_kernel" or (name == "kernel" and is_depthwise(layer))
        if depthwise if of_channels else name in NAMES:
            yield variable

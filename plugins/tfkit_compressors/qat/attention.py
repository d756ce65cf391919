"""What lies inside attention: scores and weights as tensors of their own, and the scale of queries.

The one place that reads the private attributes of Keras's attention layers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

# Layers whose softmax is a layer of its own only where the scores are asked for, and where each keeps what it
# multiplies queries with.
SCALES = {
    keras.layers.MultiHeadAttention: "_inverse_sqrt_key_dim",
    keras.layers.GroupQueryAttention: "_inverse_sqrt_head_dim",
}
PROJECTING = tuple(SCALES)
# What a masked score is lowered by; the second is near the end of float16.
_FAR, _FAR_IN_HALF = 1e9, 65504.0

# Fake-quantizes scores, or the weights that a softmax makes of them.
Through = Callable[[Any], Any]


def has_own_scores(operation: Any) -> bool:
    """Whether it computes scores and their softmax itself, from what it is given: Attention, the fused operation."""
    if isinstance(operation, keras.layers.Attention):
        return type(operation)._apply_scores is keras.layers.Attention._apply_scores
    return type(operation).__name__ == "DotProductAttention"


def spelled_out(layer: Any, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls an attention layer so that it computes scores, which a fused operation would hide.

    Args:
        layer: One of `PROJECTING`.
        own: Its `call`.
        *args: Arguments of it.
        **kwargs: Keyword arguments of it.
    """
    asked = kwargs.get("return_attention_scores")
    with _set(layer, "_flash_attention", False):
        outputs = own(*args, **{**kwargs, "return_attention_scores": True})
    return outputs if asked else outputs[0]


def query_factor(layer: Any) -> tuple[Any, float] | None:
    """The projection of an attention layer's queries, and what it multiplies them with; None where that is not known.

    Args:
        layer: One of `PROJECTING`, or another operation.
    """
    for kind, name in SCALES.items():
        # One that computes attention itself may scale where it likes.
        if isinstance(layer, kind) and type(layer)._compute_attention is kind._compute_attention:
            return layer._query_dense, float(getattr(layer, name))
    return None


def applied(
    layer: Any,
    through: tuple[Through, Through],
    scores: Any,
    value: Any,
    scores_mask: Any = None,
    training: bool = False,
) -> tuple[Any, Any]:
    """What an Attention or AdditiveAttention makes of its scores.

    Args:
        layer: The layer.
        through: What scores go through, and what weights do.
        scores: Shape (batch, queries, keys).
        value: Shape (batch, keys, features).
        scores_mask: True where a score counts, shape (batch, keys) or that of the scores; None for everywhere.
        training: Whether weights are dropped.

    Returns:
        The output, and the weights.
    """
    weights = through[1](keras.ops.softmax(_masked(scores, scores_mask, through[0]), axis=-1))
    if training and layer.dropout > 0:
        weights = keras.random.dropout(weights, layer.dropout, seed=layer.seed_generator)
    return keras.ops.matmul(weights, value), weights


def _masked(scores: Any, mask: Any, through: Through) -> Any:
    """Scores where they count, far lower ones elsewhere: there is no grid for both."""
    if mask is None:
        return through(scores)
    mask = keras.ops.expand_dims(mask, -2) if len(mask.shape) == 2 else mask
    far = _FAR_IN_HALF if keras.backend.standardize_dtype(scores.dtype) == "float16" else _FAR
    return keras.ops.where(mask, scores, scores - far)


def dot_product(
    operation: Any,
    through: tuple[Through, Through],
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
) -> Any:
    """What `keras.ops.dot_product_attention` gives, computed step by step.

    Args:
        operation: The operation in a graph.
        through: What scores go through, and what weights do.
        query: Shape (batch, queries, heads, features).
        key: Shape (batch, keys, heads, features), or fewer heads that divide the query's.
        value: Shape like the key's.
        bias: Added to the scores.
        mask: True where a score counts, shape (batch, heads, queries, keys) or one that broadcasts to it.
        scale: What scores are multiplied with; None for one over the root of the features.
    """
    times = query.shape[2] // key.shape[2]
    key, value = (keras.ops.repeat(each, times, axis=2) if times > 1 else each for each in (key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = keras.ops.einsum("bqnd,bknd->bnqk", query, key) * keras.ops.cast(scale, query.dtype)
    scores = scores if bias is None else scores + bias
    if operation.is_causal:
        causal = keras.ops.tril(keras.ops.ones_like(scores, dtype="bool"))
        mask = causal if mask is None else keras.ops.logical_and(keras.ops.cast(mask, "bool"), causal)
    weights = through[1](keras.ops.softmax(_masked(scores, mask, through[0]), axis=-1))
    return keras.ops.einsum("bnqk,bknd->bqnd", weights, value)


@contextlib.contextmanager
def unscaled(layers: Sequence[Any]) -> Iterator[None]:
    """Has attention layers multiply queries with 1, for projections that do it already."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            name = next(name for kind, name in SCALES.items() if isinstance(layer, kind))
            stack.enter_context(_set(layer, name, 1.0))
        yield


@contextlib.contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Gives an attribute another value for a while, past what Keras tracks."""
    before = vars(owner)[name]
    vars(owner)[name] = value
    try:
        yield
    finally:
        vars(owner)[name] = before

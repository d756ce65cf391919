"""Where in a model numbers stop being finite, found by going through a batch once more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.train_steps import forward, gradients
from tfkit.attach.variables import layers_in


def origin(model: keras.Model, data: Any) -> str:
    """The first thing that is not finite: of the batch, the weights, the outputs of layers, the loss, the gradients.

    Nothing of the model changes. Runs eagerly.

    Args:
        model: A compiled model.
        data: A batch as `train_step` takes it.

    Returns:
        It in words; empty where all is finite this time, since dropout draws anew.
    """
    batch = keras.utils.unpack_x_y_sample_weight(data)
    return _in_batch(batch) or _in_weights(model) or _in_step(model, batch)


def _in_batch(batch: Sequence[Any]) -> str:
    for label, value in zip(("x", "y", "sample_weight"), batch):
        for leaf in tf.nest.flatten(value):
            if leaf is None or _is_finite(leaf):
                continue
            rows = np.flatnonzero(~np.isfinite(np.asarray(leaf)).reshape(len(leaf), -1).all(axis=1))
            return f"{label} of the batch has values that are not finite, in {len(rows)} of its {len(leaf)} rows"
    return ""


def _in_weights(model: keras.Model) -> str:
    found = next((each for each in model.variables if not _is_finite(each.value)), None)
    return "" if found is None else f"the weight {found.path!r} is not finite before it"


def _in_step(model: keras.Model, batch: Sequence[Any]) -> str:
    batch = [tf.nest.map_structure(lambda leaf: leaf if leaf is None else tf.convert_to_tensor(leaf), each)
             for each in batch]  # fmt: skip
    with keras.StatelessScope(), _recorded(model) as found:
        loss, _ = forward(model, batch)
    if found:
        return found[0]
    if not _is_finite(loss):
        return "the outputs of all layers are finite, and the loss is not"
    with keras.StatelessScope():
        slopes = gradients(model, batch)[2]
    bad = [weight for weight, each in zip(model.trainable_weights, slopes) if each is not None and not _is_finite(each)]
    # Going backward, what is not finite spreads from the layer that it begins in to those before it.
    return f"the loss is finite, and the gradient of {bad[-1].path!r} is not" if bad else ""


@contextlib.contextmanager
def _recorded(model: keras.Model) -> Iterator[list[str]]:
    """Fills a list with what layers gave that is not finite, in the order in which they gave it."""
    found: list[str] = []
    around = [(layer, _Recorder(layer, found)) for layer in layers_in(model)]
    for layer, recorder in around:
        wrap_method(layer, "call", recorder)
    try:
        yield found
    finally:
        for layer, recorder in around:
            remove_from_method(layer, "call", recorder)


class _Recorder:
    def __init__(self, layer: Any, found: list[str]) -> None:
        self.layer, self.found = layer, found

    def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        if not all(_is_finite(each) for each in tf.nest.flatten(outputs)):
            largest = max((_largest(each) for each in tf.nest.flatten((args, kwargs))), default=0.0)
            of = f", of inputs up to {largest:.3g}" if largest else ""
            kind = type(self.layer).__name__
            self.found.append(f"layer {self.layer.name!r} ({kind}) gives values that are not finite{of}")
        return outputs


def _is_finite(value: Any) -> bool:
    value = np.asarray(value)
    return (value.dtype.kind not in "fc" and value.dtype.name != "bfloat16") or bool(np.isfinite(value).all())


def _largest(value: Any) -> float:
    if not tf.is_tensor(value) or not value.dtype.is_floating or not int(tf.size(value)):
        return 0.0
    return float(tf.reduce_max(tf.abs(tf.cast(value, tf.float32))))

"""Average, averages of a model's weights, and BatchNormalization's statistics for weights that were set."""

from __future__ import annotations

from typing import Any

import keras

import tfkit
from tfkit.attach.variables import layers_in
from tfkit.data import checked_part


class Average:
    """An average of every weight of a model that is a float, BatchNormalization's statistics among them.

    Layers that are frozen keep their weights to the last bit.

    Args:
        model: A built model; inside its strategy's scope.
        decay: What is left of a weight's part after `decayed`.

    Attributes:
        weights: The weights that are averaged.
        is_on: 1.0 where `decayed` counts, else 0.0.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        frozen = {id(each) for layer in layers_in(model) if not layer.trainable for each in layer.weights}
        floats = [each for each in model.weights if keras.backend.is_float_dtype(each.dtype)]
        self.weights = [each for each in floats if id(each) not in frozen]
        self.is_on = _variable(0.0, "is_on")
        self._sums = [_variable(keras.ops.zeros(each.shape), "average") for each in self.weights]
        # The sum of the weights' parts: dividing by it corrects for a sum that began with zeros.
        self._parts = _variable(0.0, "parts")
        self._decay = decay
        self._added = 0

    def exists(self) -> bool:
        """Whether there is an average yet."""
        return float(keras.ops.convert_to_numpy(self._parts)) > 0.0

    def decayed(self, is_update: Any) -> None:
        """Adds the weights as they are to an exponential moving average; works in a graph and in a replica."""
        share = (1.0 - self._decay) * self.is_on.value * keras.ops.cast(is_update, "float32")
        self._move(share)

    def add(self) -> None:
        """Adds the weights as they are to a plain average."""
        self._added += 1
        self._move(1.0 / self._added)

    def give(self) -> None:
        """Puts the average in the place of the weights."""
        for weight, total in zip(self.weights, self._sums):
            weight.assign(keras.ops.cast(total.value / self._parts.value, weight.dtype))

    def _move(self, share: Any) -> None:
        for weight, total in zip(self.weights, self._sums):
            total.assign(total.value + share * (keras.ops.cast(weight.value, "float32") - total.value))
        self._parts.assign(self._parts.value + share * (1.0 - self._parts.value))


def reestimate(model: keras.Model, data: Any) -> None:
    """Computes BatchNormalization's statistics anew: the mean over the batches of the data, each counting the same.

    Args:
        model: A built model; nothing else of it changes but the state of its random numbers.
        data: A Data, of which the train part is taken, `(x, y)` or a dataset of batches.
    """
    layers = [each for each in layers_in(model) if isinstance(each, keras.layers.BatchNormalization)]
    if not layers:
        return
    part = data if isinstance(data, tfkit.Data) else tfkit.Data(checked_part(data, "train"))
    momenta = [layer.momentum for layer in layers]
    try:
        for number, batch in enumerate(part.dataset("train", shuffle=False)):
            for layer in layers:
                layer.momentum = number / (number + 1)
            model(keras.utils.unpack_x_y_sample_weight(batch)[0], training=True)
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum


def _variable(value: Any, name: str) -> keras.Variable:
    # Each replica computes the same; "mean" lets it assign.
    return keras.Variable(value, trainable=False, dtype="float32", name=name, aggregation="mean")

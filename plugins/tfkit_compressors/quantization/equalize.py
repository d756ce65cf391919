"""Cross-layer equalization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from tfkit import Compressed, Data
from tfkit.attach.variables import layers_named
from tfkit_compressors.quantization.pairs import Pair, pairs

_PASSES = 50
# A pass that changes no channel by more than this is the last.
_SETTLED = 1e-3


class Equalize:
    """Makes the channels of each kernel alike in range, so that integers of few bits hold them; exact, no training.

    Between two layers joined by a ReLU the scale of each channel is free: what the first divides by the second
    multiplies by, and the model computes what it did. The scale is chosen that gives a channel the same range
    in both kernels, again and again over all pairs until nothing changes. A BatchNormalization between
    them is scaled in the place of the kernel that it is folded into. A channel of tiny weights is not scaled up to
    where its bias would be larger than all that the layer gave before.

    It helps where a range is one for a whole tensor, as those of activations always are. Do it before
    quantize, and after pruning and training.

    Source: Data-free quantization through weight equalization and bias correction, Nagel et al. 2019; its bias
    correction is `quantize(bias_correction=True)`.

    Args:
        exclude: Layers to leave as they are, by name or type.

    Example:
        >>> hidden = keras.layers.Dense(2, "relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((2,)), hidden, keras.layers.Dense(1)])
        >>> hidden.set_weights([np.array([[100.0, 0.1], [50.0, 0.2]]), np.zeros(2)])
        >>> model.layers[1].set_weights([np.ones((2, 1)), np.zeros(1)])
        >>> _ = Equalize().compress(model, Data((np.ones((1, 2)), np.ones(1))), epochs=0, directory=Path())
        >>> [round(float(each), 3) for each in abs(hidden.kernel.numpy()).max(axis=0)]
        [10.0, 0.447]
    """

    def __init__(self, exclude: Sequence[str] = ()) -> None:
        self.exclude = tuple(exclude)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Equalizes a model in place.

        Args:
            model: A built Functional or Sequential model; it is changed.
            data: Not used.
            epochs: Of no effect.
            directory: Not used.

        Raises:
            ModelError: If the model is not built, is subclassed, or has no layer that exclude names.
        """
        left = {id(layer) for layer in layers_named(model, self.exclude)}
        chosen = [pair for pair in pairs(model) if left.isdisjoint(id(each) for each in _layers(pair))]
        if not chosen:
            return Compressed(model, notes=("no two layers are joined so that the scale of channels is free",))
        before = _unevenness(chosen)
        _settle(chosen)
        told = f"{len(chosen)} pairs of layers, ranges of channels {before:.3g} times apart before and {{:.3g}} after"
        return Compressed(model, notes=(told.format(_unevenness(chosen)),))


def _layers(pair: Pair) -> list[keras.layers.Layer]:
    return [each for each in (pair.first, pair.norm, pair.second) if each is not None]


def _settle(chosen: Sequence[Pair]) -> None:
    limits = [_largest(pair) for pair in chosen]
    for _ in range(_PASSES):
        largest = 0.0
        for pair, limit in zip(chosen, limits):
            scales = _scales(pair, limit)
            pair.rescale(scales)
            largest = max(largest, float(np.abs(np.log(scales)).max()))
        if largest < _SETTLED:
            return


def _largest(pair: Pair) -> float:
    """The largest weight of a first kernel, folded, or bias: what no bias is scaled beyond."""
    return float(max(pair.ranges()[0].max(), pair.biases().max()))


def _scales(pair: Pair, limit: float) -> np.ndarray:
    """The scale that gives each channel one range in both kernels; 1 where a range is nothing.

    It divides the bias too. That of a channel whose weights are next to nothing would become a huge constant, and
    the range of the layer's activations with it.
    """
    first, second = pair.ranges()
    usable = (first > 0) & (second > 0)
    scales = np.sqrt(np.where(usable, first, 1.0) / np.where(usable, second, 1.0))
    return np.where(usable, np.maximum(scales, pair.biases() / limit), 1.0) if limit else scales


def _unevenness(chosen: Sequence[Pair]) -> float:
    """How far the widest channel of a first kernel is above the middle one, the worst pair of all."""
    ratios = []
    for pair in chosen:
        ranges = pair.ranges()[0]
        middle = np.median(ranges)
        ratios.append(float(ranges.max() / middle) if middle else 1.0)
    return max(ratios)

"""Where in a model's graph activations are quantized, as LiteRT does: after operations, not inside those it fuses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from tfkit import graph
from tfkit.errors import ModelError
from tfkit_compressors.qat.attention import PROJECTING, has_own_scores

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
# Layers that multiply with a kernel.
WEIGHTED = (keras.layers.Dense, keras.layers.EinsumDense, *_CONVOLUTIONS)
# Into these LiteRT folds the BatchNormalization after them.
_FOLDING = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
# Operations and layers whose output has the scale of their input in LiteRT, by the names of their types.
_MOVES = (
    "Flatten Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D "
    "UpSampling1D UpSampling2D MaxPooling1D MaxPooling2D MaxPooling3D GlobalMaxPooling1D GlobalMaxPooling2D "
    "GlobalMaxPooling3D AveragePooling1D AveragePooling2D Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D "
    "GaussianNoise GaussianDropout ActivityRegularization Identity Masking Transpose ExpandDims Squeeze GetItem Flip "
    "Ravel MaxPool Moveaxis Swapaxes"
)
# Those that LiteRT computes in integers where their inputs are.
_COMPUTES = "Add Subtract Multiply Concatenate Maximum Minimum Average GlobalAveragePooling1D GlobalAveragePooling2D"
_MOVING, _ARITHMETIC = frozenset(_MOVES.split()), frozenset(_COMPUTES.split())
# What fuses a rectifier that follows it.
_FUSING = frozenset({"Add", "Subtract", "Multiply"})
_RECTIFIERS = ("relu", "relu6")


@dataclass(frozen=True)
class Site:
    """What is quantized at one operation.

    Attributes:
        operation: The layer or other `keras.Operation`.
        inputs: Positions, among the tensors of its positional arguments, that are quantized before it.
        before: Whether what its activation function takes is quantized.
        between: Whether what lies between the two convolutions of a separable one is.
        outputs: How many outputs are quantized; 0 for none.
        scores: Whether the scores of attention that it computes itself are, and their softmax.
        table: Whether its output comes out of a quantized table, and so is on a grid.
    """

    operation: Any
    inputs: tuple[int, ...] = ()
    before: bool = False
    between: bool = False
    outputs: int = 0
    scores: bool = False
    table: bool = False


@dataclass(frozen=True)
class Fold:
    """A BatchNormalization that is folded into the layer before it.

    Attributes:
        layer: The convolution or dense layer.
        norm: The BatchNormalization.
    """

    layer: Any
    norm: Any


def planned(model: keras.Model, quantized: Collection[int] = ()) -> tuple[list[Site], list[Fold]]:
    """The sites of a model's graph, and its folds.

    Args:
        model: A built Functional or Sequential model, nested ones too.
        quantized: Ids of the layers whose kernels are quantized: what is looked up in a quantized table is so already.

    Raises:
        ModelError: It is a subclassed model, whose graph cannot be seen, or it has recurrent layers.

    Example:
        >>> x = keras.Input((8,))
        >>> y = keras.layers.BatchNormalization()(keras.layers.Dense(4)(x))
        >>> sites, folds = planned(keras.Model(x, keras.layers.ReLU()(y)))
        >>> [(type(site.operation).__name__, site.inputs, site.outputs) for site in sites]
        [('Dense', (0,), 0), ('BatchNormalization', (), 0), ('ReLU', (), 1)]
        >>> len(folds)
        1
    """
    if not graph.has_graph(model):
        raise ModelError(
            f"model {model.name!r} is a subclassed model, whose activations cannot be told apart: use "
            "activations=None or 16, or build it as keras.Model(inputs, outputs)"
        )
    _refuse_recurrent(model)
    plan = _Plan(graph.flattened(model), quantized)
    return list(plan.sites()), plan.folds


def fused_activation(operation: Any) -> bool:
    """Whether its activation function is none, or one that LiteRT computes with the operation itself."""
    activation = getattr(operation, "activation", None)
    return activation in (None, keras.activations.linear) or _name(activation) in _RECTIFIERS


class _Plan:
    """A graph with its consumers."""

    def __init__(self, flat: graph.Graph, quantized: Collection[int]) -> None:
        self._graph = flat
        self._tables = frozenset(quantized)
        self._calls: dict[int, list[Any]] = {}
        for call in flat.calls:
            self._calls.setdefault(id(call.operation), []).append(call)
        folding = ((call, self._folded_into(call)) for call in flat.calls)
        self.folds = [Fold(call.operation, norm) for call, norm in folding if norm is not None]

    def sites(self) -> Iterator[Site]:
        """One for each operation; shared ones have the needs of all their calls."""
        for calls in self._calls.values():
            operation = calls[0].operation
            if _kind(operation) not in _MOVING:
                yield self._site(operation, calls)
            if not isinstance(operation, WEIGHTED):
                yield from _inside(operation)

    def _site(self, operation: Any, calls: list[Any]) -> Site:
        positions = sorted({position for call in calls for position in self._raw_inputs(call)})
        if isinstance(operation, keras.layers.Embedding) and id(operation) in self._tables:
            return Site(operation, table=True)
        outputs = 0 if all(self._is_fused(call) for call in calls) else len(calls[0].outputs)
        before = isinstance(operation, WEIGHTED) and not fused_activation(operation)
        scores = has_own_scores(operation)
        return Site(operation, tuple(positions), before, _is_separable(operation), outputs, scores)

    def _raw_inputs(self, call: Any) -> Iterator[int]:
        if not isinstance(call.operation, WEIGHTED) and _kind(call.operation) not in _ARITHMETIC:
            return
        for position, tensor in enumerate(_flat_tensors(call.args)):
            if not self._is_quantized(tensor):
                yield position

    def _is_quantized(self, tensor: Any) -> bool:
        call = self._graph.makers.get(tensor)
        if call is None:
            return False
        if _kind(call.operation) in _MOVING:
            return all(self._is_quantized(each) for each in call.inputs)
        return True

    def _is_fused(self, call: Any) -> bool:
        """Whether LiteRT makes one operation of a call and its only reader."""
        reader = self._only_reader(call)
        if reader is None:
            return False
        if self._folded_into(call) is not None:
            return True
        return _is_rectifier(reader.operation) and self._can_fuse(call)

    def _can_fuse(self, call: Any) -> bool:
        operation = call.operation
        if isinstance(operation, keras.layers.BatchNormalization):
            return any(operation is fold.norm for fold in self.folds)
        if isinstance(operation, WEIGHTED):
            return getattr(operation, "activation", None) in (None, keras.activations.linear)
        return _kind(operation) in _FUSING

    def _folded_into(self, call: Any) -> Any:
        """The BatchNormalization that follows a call and nothing else does, if it can be folded."""
        reader = self._only_reader(call)
        if reader is None or not isinstance(reader.operation, keras.layers.BatchNormalization):
            return None
        operation, norm = call.operation, reader.operation
        if type(operation) not in _FOLDING or len(self._calls[id(operation)]) + len(self._calls[id(norm)]) > 2:
            return None
        is_linear = operation.activation in (None, keras.activations.linear)
        is_last = norm.axis in (-1, len(call.outputs[0].shape) - 1)
        is_first = getattr(operation, "data_format", None) == "channels_first"
        return norm if is_linear and is_last and not is_first else None

    def _only_reader(self, call: Any) -> Any:
        if any(tensor in self._graph.outputs for tensor in call.outputs):
            return None
        readers = [reader for tensor in call.outputs for reader in self._graph.readers[tensor]]
        return readers[0] if len(readers) == 1 else None


def _inside(operation: Any) -> Iterator[Site]:
    """Layers inside a layer, such as the projections of an attention layer: quantized on both sides."""
    if not isinstance(operation, keras.layers.Layer):
        return
    for layer in operation._flatten_layers(include_self=False):
        if isinstance(layer, WEIGHTED):
            yield Site(layer, (0,), not fused_activation(layer), _is_separable(layer), 1)
        elif isinstance(layer, keras.layers.Softmax):
            yield Site(layer, (0,), outputs=1)
        elif isinstance(layer, PROJECTING) or has_own_scores(layer):
            yield Site(layer, outputs=1, scores=has_own_scores(layer))


def _refuse_recurrent(model: keras.Model) -> None:
    names = [each.name for each in model._flatten_layers() if isinstance(each, keras.layers.RNN)]
    if names:
        raise ModelError(
            f"LiteRT has no 8-bit activations for the recurrent layers {', '.join(names)} of model {model.name!r}: "
            "use activations=None"
        )


def _is_rectifier(operation: Any) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        return operation.max_value in (None, 6) and operation.negative_slope == 0 and operation.threshold == 0
    if isinstance(operation, keras.layers.Activation):
        return _name(operation.activation) in _RECTIFIERS
    return _kind(operation) in ("Relu", "Relu6")


def _is_separable(operation: Any) -> bool:
    return isinstance(operation, (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D))


def _flat_tensors(args: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(args) if isinstance(leaf, graph.Tensor)]


def _kind(operation: Any) -> str:
    return type(operation).__name__


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", ""))

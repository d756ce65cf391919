"""to_tf_keras: a Keras 3 model rebuilt from tf_keras layers, and weights there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tfkit.errors import ModelError
from tfkit.graph import require_graph
from tfkit.models import require_built
from tfkit.replay import run
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.layers import refusal, twin
from tfkit_compressors.bridge.probe import require_same_outputs

# Of a layer's name and the names of the nested models that it is in, outermost first, to its twin.
Find = Callable[[tuple[str, ...]], Any]


@dataclass(frozen=True)
class Bridge:
    """A Keras 3 model and its twin.

    Attributes:
        model: The Keras 3 model.
        legacy: The tf_keras model that computes the same.
        layers: Each layer with weights, with its names (see `Find`); a shared one once.
        variables: For each of these the names of its twin's variables, in the order of the layer's weights.
    """

    model: Any
    legacy: Any
    layers: tuple[tuple[Any, tuple[str, ...]], ...]
    variables: tuple[tuple[str, ...], ...]

    def bring_back(self, trained: Any) -> None:
        """Sets the Keras 3 model's weights to those of a tf_keras model: the twin, or a clone of it.

        Args:
            trained: A tf_keras model with the twin's layers, by name.
        """
        for (layer, path), names in zip(self.layers, self.variables):
            layer.set_weights(_ordered(_find(trained, path), names))


def to_tf_keras(model: Any, sample: Any = None) -> Bridge:
    """Rebuilds a Functional or Sequential model from tf_keras layers with the same weights.

    Both are then called on the same input, random or given, and must agree: nothing else shows that a
    layer of the same name and configuration means the same in both.

    Args:
        model: A built Keras 3 model; it stays as it is.
        sample: Rows of input for the comparison, as the model takes them; None for random ones.

    Raises:
        ModelError: The model is not built or is subclassed, or has a layer that tf_keras has not.
        VerificationError: The two disagree.
        ModuleNotFoundError: tf_keras is not installed.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="out")])
        >>> legacy = to_tf_keras(model).legacy
        >>> type(legacy).__module__.partition(".")[0], [layer.name for layer in legacy.layers]
        ('tf_keras', ['out'])
    """
    replay = _Replay()
    legacy = replay.model(require_built(model), ())
    twins = [_find(legacy, path) for _, path in replay.layers]
    for (layer, _), made in zip(replay.layers, twins):
        _to_twin(layer, made)
    variables = tuple(tuple(each.name for each in made.weights) for made in twins)
    bridge = Bridge(model, legacy, tuple(replay.layers), variables)
    require_same_outputs(model, legacy, sample)
    return bridge


class _Replay:
    """One conversion: each layer gets one twin, however often it is called."""

    def __init__(self) -> None:
        self.layers: list[tuple[Any, tuple[str, ...]]] = []
        self._twins: dict[int, Any] = {}

    def model(self, model: Any, path: tuple[str, ...]) -> Any:
        if isinstance(model, keras.Sequential):
            return self._sequential(model, path)
        inputs = keras.tree.map_structure(_input, require_graph(model).input)
        outputs = run(
            model,
            keras.tree.flatten(inputs),
            lambda each, *args, **kwargs: self.twin(each, path)(*args, **kwargs),
        )
        packed = keras.tree.pack_sequence_as(model.output, outputs)
        return tfmot.tf_keras().Model(inputs, packed, name=model.name)

    def twin(self, layer: Any, path: tuple[str, ...]) -> Any:
        if id(layer) not in self._twins:
            inner = (*path, layer.name)
            is_model = isinstance(layer, keras.Model)
            self._twins[id(layer)] = self.model(layer, inner) if is_model else twin(layer)
            if not is_model and getattr(layer, "weights", None):
                self.layers.append((layer, inner))
        return self._twins[id(layer)]

    def _sequential(self, model: Any, path: tuple[str, ...]) -> Any:
        library = tfmot.tf_keras()
        made = library.Sequential(name=model.name)
        tensor = model.inputs[0]
        name = None if tensor.name in {each.name for each in model.layers} else tensor.name
        made.add(library.layers.InputLayer(batch_input_shape=tensor.shape, dtype=tensor.dtype, name=name))
        for layer in model.layers:
            made.add(self.twin(layer, path))
        return made


def _input(tensor: Any) -> Any:
    if tensor.dtype == "string":
        raise ModelError(f"the input {tensor.name!r} takes strings: carry the model behind the layers that read text")
    if tensor.sparse or getattr(tensor, "ragged", False):
        raise ModelError(f"the input {tensor.name!r} is no dense tensor, and cannot be carried to tf_keras")
    return tfmot.tf_keras().Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _find(legacy: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        legacy = legacy.get_layer(name)
    return legacy


def _ordered(layer: Any, names: tuple[str, ...]) -> list[Any]:
    """The weights of a tf_keras layer in the order of these names, where it has them; in its own where not.

    What TFMOT's clustering leaves of an attention layer has its kernels before its biases.
    """
    values = {each.name: each.numpy() for each in layer.weights}
    return [values[name] for name in names] if sorted(values) == sorted(names) else layer.get_weights()


def _to_twin(layer: Any, legacy: Any) -> None:
    values, theirs = layer.get_weights(), legacy.get_weights()
    if [each.shape for each in values] != [each.shape for each in theirs]:
        raise refusal(layer, f"it has weights of the shapes {_shapes(values)} and there {_shapes(theirs)}")
    legacy.set_weights(values)
    if type(layer) is keras.layers.Normalization:
        # What it computes with is made from the weights when it adapts or loads, not when they are set.
        legacy.finalize_state()


def _shapes(values: list[Any]) -> str:
    return ", ".join(str(each.shape) for each in values)

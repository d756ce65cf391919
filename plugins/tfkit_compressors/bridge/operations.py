"""Operations of a Functional graph, such as `x + y`, as tf_keras layers."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from tfkit_compressors import tfmot

# Operations of two tensors that have a layer of their own, which TFMOT knows.
_MERGES = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}


def operation_twin(operation: Any) -> Any:
    """A callable that takes tf_keras tensors where a Keras 3 operation takes Keras 3 tensors.

    Args:
        operation: An operation of a Functional graph that is no layer.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        layers = tfmot.tf_keras().layers
        tensors = [each for each in keras.tree.flatten((args, kwargs)) if _is_symbolic(each)]
        name = type(operation).__name__
        if name in _MERGES and len(tensors) == len(args) == 2 and not kwargs and _same_rank(tensors):
            return getattr(layers, name)(name=operation.name)(tensors)
        if name == "Concatenate":
            return layers.Concatenate(operation.axis, name=operation.name)(tensors)
        template = keras.tree.map_structure(lambda each: _HERE if _is_symbolic(each) else each, (args, kwargs))
        return operation_layer()(Recorded(operation, template), name=operation.name)(tensors)

    return call


class Recorded:
    """One call of a Keras 3 operation, opaque to tf_keras, which would track what is in it.

    Args:
        operation: The operation.
        template: Its positional and keyword arguments, a marker where a tensor goes.
    """

    def __init__(self, operation: Any, template: Any) -> None:
        self._operation = operation
        self._template = template

    def __deepcopy__(self, memo: Any) -> Recorded:
        return self  # TFMOT copies configurations; the marker is found by its identity

    @tf.autograph.experimental.do_not_convert
    def run(self, tensors: Any) -> Any:
        """Calls the operation with tensors, a list in their order or one."""
        left = iter(tensors if isinstance(tensors, list) else [tensors])
        args, kwargs = keras.tree.map_structure(lambda each: next(left) if each is _HERE else each, self._template)
        return self._operation.call(*args, **kwargs)


@functools.cache
def operation_layer() -> type:
    """The tf_keras layer that runs any operation of Keras 3: on this backend both compute with tf tensors."""

    class Operation(tfmot.tf_keras().layers.Layer):
        def __init__(self, recorded: Recorded, **kwargs: Any) -> None:
            super().__init__(autocast=False, **kwargs)
            self.recorded = recorded

        def call(self, tensors: Any) -> Any:
            return self.recorded.run(tensors)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, "recorded": self.recorded}

    return Operation


_HERE = object()


def _is_symbolic(value: Any) -> bool:
    return bool(tfmot.tf_keras().backend.is_keras_tensor(value)) if hasattr(value, "shape") else False


def _same_rank(tensors: list[Any]) -> bool:
    return len({len(each.shape) for each in tensors}) == 1

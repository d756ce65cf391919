"""Served: a SavedModel opened as TensorFlow Serving opens it, a session over its graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.signature import Signature, Tensor
from tfkit.pipeline.session import quiet_tensorflow
from tfkit.reasons import reason

_TAG = "serve"
# A signature by which a loader starts the graph, and that no client asks for.
_OWN = "__saved_model_init_op"


class Served:
    """A SavedModel's signatures, run in a session; to be used in a `with` statement.

    `tf.saved_model.load` makes functions of the graph and refuses older ones, which a server takes.

    Args:
        directory: The SavedModel.

    Attributes:
        signatures: Names, dtypes and shapes of its signatures, by their names; a shape of unknown rank is (None,).

    Raises:
        VerificationError: It is damaged, or has no graph for a server.
    """

    def __init__(self, directory: Path) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            # TensorFlow warns that this loader is old; it is the one that the server has.
            with self._session.graph.as_default(), quiet_tensorflow():
                content = tf.compat.v1.saved_model.load(self._session, [_TAG], str(directory))
        except Exception as error:
            self._session.close()
            raise VerificationError(f"the SavedModel {str(directory)!r} cannot be loaded: {reason(error)}") from error
        self._definitions = {name: each for name, each in content.signature_def.items() if name != _OWN}
        self.signatures = {name: _signature(self._definitions[name]) for name in sorted(self._definitions)}

    def __enter__(self) -> Served:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the session."""
        self._session.close()

    def run(self, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Runs a signature.

        Args:
            name: The signature's name; empty for `serving_default`.
            inputs: Arrays by its names.

        Raises:
            KeyError: There is no such signature.
            ValueError: An input is missing or unknown.
            tf.errors.OpError: A kernel fails.
        """
        definition = self._definitions[name or "serving_default"]
        if inputs.keys() != set(definition.inputs):
            wanted = ", ".join(sorted(definition.inputs))
            raise ValueError(f"the inputs are {wanted}; got {', '.join(sorted(inputs)) or 'none'}")
        given = {definition.inputs[key].name: values for key, values in inputs.items()}
        names = sorted(definition.outputs)
        found = self._session.run([definition.outputs[key].name for key in names], given)
        return dict(zip(names, found))


def _signature(definition: Any) -> Signature:
    sides = (definition.inputs, definition.outputs)
    return Signature(*(tuple(_tensor(name, side[name]) for name in sorted(side)) for side in sides))


def _tensor(name: str, info: Any) -> Tensor:
    shape = tf.TensorShape(info.tensor_shape)
    return Tensor(name, tf.as_dtype(info.dtype).base_dtype.name, (None,) if shape.rank is None else tuple(shape))

"""SavedModel: a SavedModel folder as a callable, arrays in and arrays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit.data import as_arrays
from tfkit.errors import DataError, ModelError
from tfkit.nests import leaves
from tfkit.reasons import reason

_SIGNATURE = "serving_default"


class SavedModel:
    """A SavedModel's serving signature.

    Args:
        path: The folder.
        signature: The signature's name.

    Attributes:
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        variables: Its variables.

    Raises:
        ModelError: The folder cannot be loaded or has no such signature.
    """

    def __init__(self, path: str | Path, signature: str = _SIGNATURE) -> None:
        import tensorflow as tf

        self.path = Path(path)
        try:
            # The function dies with the object that it was loaded with.
            self._loaded = tf.saved_model.load(str(path))
        except Exception as error:
            raise ModelError(f"the SavedModel {str(path)!r} cannot be loaded: {reason(error)}") from error
        if signature not in self._loaded.signatures:
            names = ", ".join(self._loaded.signatures) or "none"
            raise ModelError(f"the SavedModel {str(path)!r} has no signature {signature!r}; it has: {names}")
        self._function = self._loaded.signatures[signature]
        self._specs = self._function.structured_input_signature[1]
        # Sorted: the file keeps them in a map, whose order differs from process to process.
        self.inputs = tuple(sorted(self._specs))
        self.outputs = tuple(sorted(self._function.structured_outputs))
        self.variables = tuple(self._function.variables)

    def __call__(self, inputs: Any) -> Any:
        """Computes the outputs of a batch.

        Args:
            inputs: An array, or for several inputs a dict of arrays by name.

        Returns:
            An array, or for several outputs a dict of arrays by name.

        Raises:
            DataError: An input is missing or unknown.
        """
        outputs = self.by_name(self._named(inputs))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def by_name(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Computes the outputs of a batch, arrays by name in and out however many there are."""
        import tensorflow as tf

        if inputs.keys() != set(self.inputs):
            raise DataError(f"the inputs must be {', '.join(self.inputs)}; got {', '.join(inputs) or 'none'}")
        tensors = {name: tf.convert_to_tensor(value, self._specs[name].dtype) for name, value in inputs.items()}
        return {name: tensor.numpy() for name, tensor in self._function(**tensors).items()}

    def _named(self, inputs: Any) -> dict[str, Any]:
        inputs = as_arrays(inputs)
        if isinstance(inputs, dict):
            return inputs
        if len(self.inputs) > 1 or isinstance(inputs, tuple):
            raise DataError(
                f"the SavedModel takes inputs by name: pass a dict with {', '.join(self.inputs)}; "
                f"got {len(leaves(inputs))} without names"
            )
        return {self.inputs[0]: inputs}

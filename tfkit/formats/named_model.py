"""NamedModel: a Keras model whose inputs and outputs have names that clients can rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfkit.data import as_arrays
from tfkit.errors import ModelError
from tfkit.formats.arranged import arranged
from tfkit.formats.names import Names, chosen_names, input_names, output_names
from tfkit.formats.preprocessing import preprocessing_layers
from tfkit.formats.purpose import Task, purpose_of
from tfkit.formats.signature import Signature, Tensor
from tfkit.models import require_built
from tfkit.nests import leaves, map_leaves
from tfkit.reasons import reason

# Rows that are computed at once.
_BATCH = 256


class NamedModel:
    """A Keras model that takes and gives tensors by name, whatever nest it takes itself.

    Names come from the model: the keys of dicts, the names that the user gave input and output layers.
    What has no name but Keras's own (`keras_tensor`, `dense_3`) is called inputs, or inputs_1, inputs_2, …
    where there are several, and outputs likewise.

    Args:
        model: A built Keras model.
        sample: Rows of input; a subclassed model that takes several inputs, or other than floats, needs them.
        inputs: Names for the inputs instead: one, several in the model's order, or {the model's name: new name}.
        outputs: Names for the outputs, likewise.
        task: "classification" or "regression"; None finds it out.
        labels: Names of the classes.

    Attributes:
        keras: The Keras model.
        signature: Names, dtypes and shapes.
        purpose: What the model is for.

    Raises:
        ModelError: The model is not built, cannot be called on its own input, or takes or gives what is no
            dense tensor.
        ParameterError: Names of the wrong number or form, or labels that no output fits.

    Example:
        >>> import keras, numpy as np
        >>> model = NamedModel(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="scores")]))
        >>> [tensor.name for tensor in model.signature.inputs + model.signature.outputs]
        ['inputs', 'scores']
        >>> model({"inputs": np.zeros((3, 4), "float32")})["scores"].shape
        TensorShape([3, 2])
    """

    def __init__(
        self,
        model: Any,
        *,
        sample: Any = None,
        inputs: Names = None,
        outputs: Names = None,
        task: Task | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.keras = require_built(model)
        structure = _input_structure(model, sample)
        names = chosen_names("inputs", input_names(structure), inputs)
        self._structure = _filled(structure, names)
        self.signature = Signature(tuple(map(_tensor, names, leaves(structure))), ())
        self._function = self._traced()
        given = self._function.structured_outputs
        names = chosen_names("outputs", output_names(model, given), outputs)
        self.signature = Signature(self.signature.inputs, tuple(map(_output, names, leaves(given))))
        self.purpose = purpose_of(model, self.signature, task=task, labels=labels)

    @property
    def name(self) -> str:
        """The Keras model's name."""
        return str(self.keras.name)

    @property
    def preprocessing(self) -> list[str]:
        """The classes of the layers inside that take raw values."""
        return preprocessing_layers(self.keras)

    def __call__(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Calls the model, not training.

        Args:
            tensors: A tensor or array for each input, by its name in the signature.

        Returns:
            A tensor for each output, by its name in the signature.
        """
        values = leaves(self._call(tensors))
        return {tensor.name: value for tensor, value in zip(self.signature.outputs, values)}

    def compute(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """The model's outputs for rows, some hundreds at a time, as the exported function computes them.

        Args:
            rows: Arrays by name, rows first, of the signature's dtypes.

        Returns:
            A numpy array for each output, by its name in the signature.
        """
        import numpy as np
        import tensorflow as tf

        count = len(next(iter(rows.values())))
        batches = []
        for start in range(0, count, _BATCH):
            batch = {name: tf.convert_to_tensor(values[start : start + _BATCH]) for name, values in rows.items()}
            batches.append([each.numpy() for each in leaves(self._function(batch))])
        names = [tensor.name for tensor in self.signature.outputs]
        parts = dict(zip(names, zip(*batches)))
        # What is no row for each row of input is the same in each batch.
        return {name: np.concatenate(each) if each[0].ndim else each[0] for name, each in parts.items()}

    def arrange(self, sample: Any) -> dict[str, Any]:
        """Rows as the model takes them, as arrays by name, of the signature's dtypes.

        Args:
            sample: An array, or for several inputs a dict, list or tuple of arrays; rows first. A dict may
                also go by the names of the signature.

        Raises:
            DataError: It lacks an input, or an input has another shape, dtype or number of rows.
        """
        return arranged(sample, self._structure, self.signature)

    def _call(self, tensors: Mapping[str, Any]) -> Any:
        return self.keras(map_leaves(tensors.__getitem__, self._structure), training=False)

    def _traced(self) -> Any:
        """The model as a function of symbolic input with an open batch."""
        import tensorflow as tf

        specs = {each.name: tf.TensorSpec(each.shape, each.dtype, name=each.name) for each in self.signature.inputs}
        try:
            return tf.function(self._call, autograph=False).get_concrete_function(specs)
        except Exception as error:
            raise ModelError(
                f"model {self.keras.name!r} cannot be called with an open batch: {reason(error)}"
            ) from error


def _input_structure(model: Any, sample: Any) -> Any:
    """The nest of tensors, or of specs, that the model takes."""
    import keras

    if hasattr(model, "output_names"):
        return model.input
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    if sample is not None:
        return map_leaves(_spec_of, as_arrays(sample))
    config = model.get_build_config() or {}
    if "input_shape" not in config:
        raise ModelError(
            f"model {model.name!r} does not say what it takes: call it once on a batch, or pass sample= real rows"
        )
    return _specs_of(config["input_shape"], model.input_dtype)


def _spec_of(array: Any) -> Any:
    import keras

    dtype = {"f": keras.config.floatx(), "U": "string", "S": "string", "O": "string"}.get(array.dtype.kind)
    return keras.InputSpec(shape=(None, *array.shape[1:]), dtype=dtype or array.dtype.name)


def _specs_of(shapes: Any, dtype: str) -> Any:
    import keras

    if isinstance(shapes, dict):
        return {key: _specs_of(value, dtype) for key, value in shapes.items()}
    if any(isinstance(each, (dict, list, tuple)) for each in shapes):
        return tuple(_specs_of(each, dtype) for each in shapes)
    return keras.InputSpec(shape=tuple(shapes), dtype=dtype)


def _tensor(name: str, value: Any) -> Tensor:
    import keras

    kind = "sparse" if getattr(value, "sparse", False) else "ragged" if getattr(value, "ragged", False) else None
    if kind or type(value).__name__ in ("SparseTensor", "RaggedTensor"):
        raise ModelError(f"{name!r} is a {kind or type(value).__name__}; a signature holds dense tensors alone")
    return Tensor(name, keras.backend.standardize_dtype(value.dtype), (None, *tuple(value.shape)[1:]))


def _output(name: str, value: Any) -> Tensor:
    tensor, shape = _tensor(name, value), tuple(value.shape)
    # A scalar, or a constant that has no row for each row of input, is told as it is.
    return tensor if shape and shape[0] is None else replace(tensor, shape=shape)


def _filled(structure: Any, names: list[str]) -> Any:
    left = iter(names)
    return map_leaves(lambda _: next(left), structure)

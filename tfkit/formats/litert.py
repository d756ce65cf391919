"""LiteRT: a .tflite file as a function of numpy arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.formats.flatbuffer import count_weights, is_flatbuffer, output_steps
from tfkit.nests import leaves
from tfkit.reasons import reason


@dataclass(frozen=True)
class Port:
    """One input or output of a file.

    Attributes:
        name: Its name in the signature, or its tensor's where the file has none.
        index: Its tensor.
        shape: Its shape, None for a length that varies.
        dtype: Its numpy dtype in the file.
        scale: Quantization step, 0.0 for none.
        zero_point: The integer that stands for 0.
    """

    name: str
    index: int
    shape: tuple[int | None, ...]
    dtype: Any
    scale: float
    zero_point: int


class LiteRT:
    """A .tflite file, called like a model: float arrays in, float arrays out, any number of rows.

    Integer inputs and outputs of a quantized file are quantized and dequantized here. A file with a
    batch of a fixed size is run a batch at a time. Not for use by two threads at once.

    Args:
        path: The file.
        threads: Threads of the interpreter.

    Attributes:
        path: The file.
        inputs: Its inputs, in its order.
        outputs: Its outputs, in its order.

    Raises:
        ModelError: The file is missing, is no .tflite, or is damaged.
    """

    def __init__(self, path: str | Path, *, threads: int = 1) -> None:
        self.path = Path(path)
        self._interpreter = _open(self.path, threads)
        names = _signature_names(self._interpreter)
        self.inputs = tuple(_port(each, names) for each in self._interpreter.get_input_details())
        self.outputs = tuple(_port(each, names) for each in self._interpreter.get_output_details())
        self._shapes: list[tuple[int, ...]] | None = None  # none allocated yet
        self._batch = next((port.shape[0] for port in self.inputs if port.shape and port.shape[0] is not None), None)

    def __call__(self, inputs: Any) -> Any:
        """Computes the outputs.

        Args:
            inputs: An array, rows first; for several inputs a dict by name, or a list or tuple in their order.

        Returns:
            A float array (integers where the model computes integers), or a list of them for several outputs.

        Raises:
            ModelError: The arrays are not those that the file takes, or it holds operations that LiteRT has not.
        """
        arrays = self._arrays(inputs)
        rows = len(arrays[0])
        if self._batch is None or self._batch == rows:
            outputs = self._run(arrays)
        else:
            outputs = self._run_in_batches(arrays, rows, self._batch)
        return outputs[0] if len(outputs) == 1 else outputs

    def by_name(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Computes the outputs, arrays by name in and out however many there are."""
        found = self(dict(inputs))
        outputs = found if isinstance(found, list) else [found]
        return {port.name: values for port, values in zip(self.outputs, outputs)}

    def prepare(self, inputs: Any) -> Callable[[], None]:
        """Sets the inputs and returns the bare call of the interpreter, to be timed.

        Args:
            inputs: As for a call; as many rows as one run takes.
        """
        arrays = self._arrays(inputs)
        with _model_errors(self.path, "run"):
            self._set(arrays)
        return self._interpreter.invoke

    @property
    def parameters(self) -> int:
        """Number of stored weights (see `tfkit.formats.flatbuffer.count_weights`)."""
        return self._counts[0]

    @property
    def nonzero(self) -> int:
        """Number of stored weights that are not zero."""
        return self._counts[1]

    @cached_property
    def output_steps(self) -> tuple[float, ...]:
        """The quantization step of each output, 0.0 for one computed in float."""
        return output_steps(self.path.read_bytes())

    @cached_property
    def _counts(self) -> tuple[int, int]:
        return count_weights(self.path.read_bytes())

    def _arrays(self, inputs: Any) -> list[Any]:
        found = self._in_order(inputs) if isinstance(inputs, dict) else leaves(inputs)
        if len(found) != len(self.inputs):
            names = ", ".join(port.name for port in self.inputs)
            raise ModelError(f"{self.path} takes {len(self.inputs)} inputs ({names}); got {len(found)}")
        arrays = [_as_input(port, array, self.path) for port, array in zip(self.inputs, found)]
        rows = {len(array) for array in arrays}
        if len(rows) > 1 or rows == {0}:
            raise ModelError(f"{self.path} takes one row or more, as many of each input; got {sorted(rows)}")
        return arrays

    def _in_order(self, inputs: dict[str, Any]) -> list[Any]:
        missing = [port.name for port in self.inputs if port.name not in inputs]
        if not missing:
            return [inputs[port.name] for port in self.inputs]
        if len(inputs) == len(self.inputs) == 1:
            return list(inputs.values())
        raise ModelError(f"{self.path} takes the input {missing[0]!r}; got {', '.join(map(repr, inputs))}")

    def _run_in_batches(self, arrays: list[Any], rows: int, batch: int) -> list[Any]:
        import numpy as np

        parts = [
            self._run([_padded(array[start : start + batch], batch) for array in arrays])
            for start in range(0, rows, batch)
        ]
        return [np.concatenate(part)[:rows] for part in zip(*parts)]

    def _run(self, arrays: list[Any]) -> list[Any]:
        with _model_errors(self.path, "run"):
            self._set(arrays)
            self._interpreter.invoke()
        return [_as_output(port, self._interpreter.get_tensor(port.index)) for port in self.outputs]

    def _set(self, arrays: list[Any]) -> None:
        shapes = [array.shape for array in arrays]
        if shapes != self._shapes:
            self._shapes = None  # a resize that fails leaves nothing allocated
            for port, shape in zip(self.inputs, shapes):
                self._interpreter.resize_tensor_input(port.index, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for port, array in zip(self.inputs, arrays):
            self._interpreter.set_tensor(port.index, array)


def _open(path: Path, threads: int) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be opened: {error.strerror}") from None
    if not is_flatbuffer(head):
        raise ModelError(f"{path} is no LiteRT file: it does not begin as a .tflite does")
    with _model_errors(path, "open"):
        return interpreter_class()(model_path=str(path), num_threads=threads)


@contextlib.contextmanager
def _model_errors(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot {verb} {path}: {reason(error)}") from error


def interpreter_class() -> Any:
    """LiteRT's interpreter, from its own package or else TensorFlow's."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        import tensorflow as tf

        return tf.lite.Interpreter
    return Interpreter


def _signature_names(interpreter: Any) -> dict[int, str]:
    """Names by tensor, from the file's first signature."""
    keys = list(interpreter.get_signature_list())
    if not keys:
        return {}
    runner = interpreter.get_signature_runner(keys[0])
    ports: Iterator[tuple[str, Any]] = iter([*runner.get_input_details().items(), *runner.get_output_details().items()])
    return {details["index"]: name for name, details in ports}


def _port(details: dict[str, Any], names: dict[int, str]) -> Port:
    signature = details.get("shape_signature", details["shape"])
    shape = tuple(None if length < 0 else int(length) for length in signature)
    scale, zero_point = details["quantization"]
    name = names.get(details["index"], details["name"])
    return Port(name, details["index"], shape, details["dtype"], float(scale), int(zero_point))


def _as_input(port: Port, value: Any, path: Path) -> Any:
    import numpy as np

    array = np.asarray(value)
    if len(port.shape) == array.ndim + 1 and port.shape[-1] == 1:
        array = array[..., None]  # as Keras does
    if array.ndim != len(port.shape) or any(
        want not in (None, got) for want, got in zip(port.shape[1:], array.shape[1:])
    ):
        raise ModelError(
            f"the input {port.name!r} of {path} has shape {port.shape}; got an array of shape {array.shape}"
        )
    if (array.dtype.kind in "OSU") != (np.dtype(port.dtype).kind in "OSU"):
        raise ModelError(f"the input {port.name!r} of {path} is {np.dtype(port.dtype)}; got an array of {array.dtype}")
    if not port.scale or array.dtype.kind != "f":
        return array.astype(port.dtype, copy=False)
    bounds = np.iinfo(port.dtype)
    scaled = array.astype("float32") / np.float32(port.scale)
    whole = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # halves away from zero, as LiteRT does
    return np.clip(whole + port.zero_point, bounds.min, bounds.max).astype(port.dtype)


def _as_output(port: Port, array: Any) -> Any:
    if not port.scale:
        return array
    return (array.astype("float32") - port.zero_point) * port.scale


def _padded(array: Any, rows: int) -> Any:
    import numpy as np

    return array if len(array) == rows else np.resize(array, (rows, *array.shape[1:]))

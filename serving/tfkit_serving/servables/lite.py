"""LiteModel: a version's `model.tflite` in this process, run by LiteRT."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfkit.formats.litert import interpreter_class
from tfkit_serving.inference.method import DEFAULT_SIGNATURE
from tfkit_serving.protocol.dtypes import type_number
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import SignatureDef
from tfkit_serving.servables.folders import LITE_FILE

_METHOD = "tensorflow/serving/predict"
_Details = Mapping[str, Mapping[str, Any]]
_Call = Callable[..., Mapping[str, Any]]


class LiteModel:
    """A LiteRT model, loaded; each thread that runs it has an interpreter of its own.

    A file without signatures has `serving_default` by the names of its tensors, as in TensorFlow Serving.

    Args:
        path: The version's folder.
        threads: Threads that share an operation; 0 for LiteRT's own number.

    Raises:
        ServingError: INVALID_ARGUMENT: the file is damaged, or holds operations that LiteRT has not.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self._file, self._threads = path / LITE_FILE, threads
        self._own = threading.local()
        try:
            self._interpreter()
        except (ValueError, RuntimeError) as error:
            raise ServingError("INVALID_ARGUMENT", f"LiteRT cannot open {self._file}: {error}") from error

    def signature_defs(self) -> dict[str, bytes]:
        """Every signature as a SignatureDef, serialized, by its key."""
        interpreter = self._interpreter()
        return {key: _definition(*_details(interpreter, key)) for key in _keys(interpreter)}

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its key.
            inputs: Arrays by input name, all that it takes.
            outputs: Names of the outputs to give; None for all.

        Raises:
            ServingError: INVALID_ARGUMENT: an input is of the wrong dtype or shape. INTERNAL: an operation fails.
        """
        call, details = self._call(signature)
        for name, array in inputs.items():
            _check_shape(name, array.shape, _shape(details[name]))
        try:
            results = call(**inputs)
        except ValueError as error:
            raise ServingError("INVALID_ARGUMENT", str(error)) from error
        except RuntimeError as error:
            raise ServingError("INTERNAL", str(error)) from error
        return {name: np.asarray(results[name]) for name in outputs or results}

    def _interpreter(self) -> Any:
        if not hasattr(self._own, "interpreter"):
            self._own.interpreter = interpreter_class()(model_path=str(self._file), num_threads=self._threads or None)
            self._own.calls = {}
        return self._own.interpreter

    def _call(self, signature: str) -> tuple[_Call, _Details]:
        """What runs a signature in this thread, and what it takes."""
        interpreter = self._interpreter()
        if signature not in self._own.calls:
            named = interpreter.get_signature_list()
            call = interpreter.get_signature_runner(signature) if named else _Unnamed(interpreter)
            self._own.calls[signature] = call, _details(interpreter, signature)[0]
        return self._own.calls[signature]


class _Unnamed:
    """A call of a file without signatures, by the names of its tensors."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs, self._outputs = _details(interpreter, DEFAULT_SIGNATURE)

    def __call__(self, **inputs: np.ndarray) -> dict[str, Any]:
        interpreter = self._interpreter
        for name, array in inputs.items():
            interpreter.resize_tensor_input(self._inputs[name]["index"], array.shape)
        interpreter.allocate_tensors()
        for name, array in inputs.items():
            interpreter.set_tensor(self._inputs[name]["index"], array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(each["index"]) for name, each in self._outputs.items()}


def _keys(interpreter: Any) -> list[str]:
    return list(interpreter.get_signature_list()) or [DEFAULT_SIGNATURE]


def _details(interpreter: Any, key: str) -> tuple[_Details, _Details]:
    """What a signature takes and gives, by name."""
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        return runner.get_input_details(), runner.get_output_details()
    return _by_tensor(interpreter.get_input_details()), _by_tensor(interpreter.get_output_details())


def _by_tensor(details: Sequence[Mapping[str, Any]]) -> _Details:
    return {each["name"].partition(":")[0]: each for each in details}


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    """Dimensions, -1 where open."""
    return tuple(int(size) for size in details.get("shape_signature", details["shape"]))


def _check_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuses an array that LiteRT would take as rows of another length, without a word.

    The first dimension is open, whatever the file says: converters write 1. Further ones of 1 at the end may be left
    out; no dimensions at all are an unknown rank.
    """
    fits = all(want in (-1, size) for want, size in zip(wanted[1:], shape[1:]))
    whole = len(shape) <= len(wanted) and all(each == 1 for each in wanted[len(shape) :])
    if wanted and not (fits and whole):
        raise ServingError(
            "INVALID_ARGUMENT", f"the input {name!r} takes the shape {list(wanted)}, -1 being open; got {list(shape)}"
        )


def _definition(inputs: _Details, outputs: _Details) -> bytes:
    definition = SignatureDef(method_name=_METHOD)
    for held, details in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, each in details.items():
            info = held[name]
            info.name, info.dtype = each["name"], type_number(each["dtype"])
            for size in _shape(each):
                info.tensor_shape.dim.add(size=size)
    serialized: bytes = definition.SerializeToString(deterministic=True)
    return serialized

"""convert: a Keras model as a LiteRT file, converted in a process of its own and compared with the model."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit import worker
from tfkit.data import as_arrays
from tfkit.errors import ConversionError, DataError, ModelError, ParameterError, VerificationError
from tfkit.formats.fidelity import Fidelity, fidelity
from tfkit.formats.keras_quantized import conversion_hint
from tfkit.formats.litert import LiteRT
from tfkit.formats.named_model import NamedModel
from tfkit.formats.precisions import precision
from tfkit.formats.signature import random_inputs
from tfkit.reasons import reason

_BATCH = 256
_FLOAT = "; activations=None keeps what is computed in float"


@dataclass(frozen=True)
class Conversion:
    """A LiteRT file that was made.

    Attributes:
        path: The file.
        fidelity: How near its outputs are to the model's.
    """

    path: Path
    fidelity: Fidelity


def convert(
    model: Any,
    path: str | Path,
    *,
    bits: int | None = None,
    activations: int | None = None,
    calibration: Any = None,
    check: Any = None,
    timeout: float = 600.0,
    exclude: Sequence[Any] = (),
    label: str | None = None,
    during: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Conversion:
    """Converts a model to LiteRT, whole and compared with the model or not at all.

    The file takes and gives the dtypes that the model takes and gives, float32 as a rule, in every
    precision: it goes wherever the float file goes, and the first and last operation of an integer
    model quantize and dequantize. Its signature `serving_default` has the names of
    `tfkit.formats.named_model.NamedModel`; by position, inputs and outputs come in the model's order. The batch
    is open, except for models with a loop (recurrent layers that are not unrolled): their batch is 1,
    which `tfkit.formats.litert.LiteRT` hides. A model of mixed precision is converted as float32.

    Args:
        model: A built Keras model, or one with names as `NamedModel`; it stays as it is.
        path: The file to write or replace, `….tflite`.
        bits: Bits of the weights: 4, 8, 16 (floats), or None for float32. With 4, kernels of fewer than 1024 values
            and those of operations other than dense layers, convolutions and embeddings get 8.
        activations: Bits of activations: 8 or 16 (integers) with weights of 4 or 8 bits, or None for floats.
        calibration: Rows of real input, as the model takes them, from which the ranges of integer
            activations are read; a hundred do.
        check: Rows of real input on which the file is compared with the model; None takes the rows of
            `calibration`, or random input where there are none.
        timeout: Seconds that the converter may take.
        exclude: What keeps 8 bits where bits is 4: layers, with all their kernels, by name or type, and variables.
        label: What errors call the precision; None for its own name.
        during: Gives a context in which the model is converted, such as one that changes its biases; it is
            compared with the file as it is outside of it.

    Raises:
        ParameterError: There is no such pair of bits and activations, or the path cannot be written.
        ModelError: The model is not built, cannot be called or saved, or has no layer that exclude names.
        DataError: Integer activations without calibration rows, or rows of a wrong shape or dtype.
        ConversionError: The converter refuses the model, crashes or takes too long.
        VerificationError: The file computes something else than the model.
    """
    own = precision(bits, activations)
    label = own if label is None else label
    if activations is not None and calibration is None:
        raise DataError(f"{label} takes the ranges of activations from real rows: pass calibration=")
    path = _writable(Path(path))
    sample = calibration if check is None else check
    named = model if isinstance(model, NamedModel) else NamedModel(model, sample=sample)
    rows = random_inputs(named.signature) if sample is None else named.arrange(as_arrays(sample))
    calibrating = None if activations is None else named.arrange(as_arrays(calibration))
    job = _Job(named, bits, activations, label, calibrating, _kernels_of(named.keras, exclude), timeout)
    with _aside(path) as aside:
        with during():
            job.write(aside)
        found = job.compare(aside, rows)
    return Conversion(path, found)


def start_converter() -> None:
    """Starts the process that conversions share, so that the first takes no longer than the others.

    Raises:
        ConversionError: It cannot be started.
    """
    worker.call("tfkit.children.convert:ready", what="starting the converter")


@dataclass(frozen=True)
class _Job:
    """What is converted, and to what."""

    named: NamedModel
    bits: int | None
    activations: int | None
    label: str
    calibration: Mapping[str, Any] | None
    kept: Mapping[str, Any] | None
    timeout: float

    def write(self, path: Path) -> None:
        """Writes the file, with an open batch if that can be done."""
        what = f"converting model {self.named.keras.name!r} to {self.label} LiteRT"
        try:
            if not any(self._written(path, batch, what) for batch in self._batches()):
                raise ConversionError(f"{what} failed: it has a loop that LiteRT cannot run")
        except ConversionError as error:
            hint = conversion_hint(self.named.keras) or _advice(self.named, self.activations, str(error))
            error.args = (f"{error}{hint}",)
            raise

    def compare(self, path: Path, rows: Mapping[str, Any]) -> Fidelity:
        """How near the file's outputs are to the model's; refused where they are far."""
        found = _compare(self.named, LiteRT(path), rows)
        if found.far:
            way_out = "; bits=8 is closer" if self.bits == 4 else _FLOAT if self.activations is not None else ""
            raise VerificationError(
                f"the {self.label} file does not compute what model {self.named.keras.name!r} does: {found}"
                f"{conversion_hint(self.named.keras) or way_out}"
            )
        return found

    def _batches(self) -> tuple[int | None, ...]:
        return (1,) if _looping(self.named.keras) else (None, 1)

    def _written(self, path: Path, batch: int | None, what: str) -> bool:
        """Whether the converter can do it with batches of this size; it writes the file then."""
        with tempfile.TemporaryDirectory(prefix="tfkit-convert-") as folder:
            save_for_conversion(self.named, Path(folder, "saved_model"), batch)
            done: bool = worker.call(
                "tfkit.children.convert:to_litert",
                timeout=self.timeout,
                what=what,
                saved_model=Path(folder, "saved_model"),
                path=path.resolve(),
                inputs=[each.name for each in self.named.signature.inputs],
                outputs=[each.name for each in self.named.signature.outputs],
                bits=self.bits,
                activations=self.activations,
                calibration=_saved_arrays(self.calibration, Path(folder, "calibration.npz")),
                kept=_saved_arrays(self.kept, Path(folder, "kept.npz")),
            )
            return done


def _writable(path: Path) -> Path:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ParameterError(f"{path} cannot be written: {path.parent} is no folder, or is not writable")
    if path.is_dir():
        raise ParameterError(f"{path} cannot be written: it is a folder")
    return path


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A path beside the file that takes its place at the end, or is removed."""
    aside = path.with_name(f".{path.name}.new")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def save_for_conversion(named: NamedModel, folder: Path, batch: int | None = None) -> None:
    """Writes the SavedModel that a converter reads; it brings custom layers where their code is not.

    Args:
        named: The model; one of mixed precision computes in float32 in the file.
        folder: Where it goes.
        batch: Rows of a batch; None for any number.

    Raises:
        ModelError: TensorFlow cannot save it.
    """
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(named.keras)
    specs = {
        each.name: tf.TensorSpec((batch, *each.shape[1:]), each.dtype, name=each.name)
        for each in named.signature.inputs
    }
    try:
        with _float32(named.keras):
            archive.add_endpoint("serve", lambda tensors: named(tensors), input_signature=[specs])
            archive.write_out(str(folder), verbose=False)
    except Exception as error:
        raise ModelError(f"model {named.keras.name!r} cannot be saved for the converter: {reason(error)}") from error


def _saved_arrays(arrays: Mapping[str, Any] | None, path: Path) -> Path | None:
    import numpy as np

    if arrays is None:
        return None
    np.savez(path, **arrays)
    return path


def _kernels_of(model: Any, exclude: Sequence[Any]) -> dict[str, Any] | None:
    """The weights of two dimensions and more among variables, and in layers by name or type and what is inside them."""
    if not exclude:
        return None
    from tfkit.attach.variables import layers_named

    layers = layers_named(model, [each for each in exclude if isinstance(each, str)])
    variables = [each for each in exclude if not isinstance(each, str)]
    found = {id(each): each for each in (*variables, *(weight for layer in layers for weight in layer.weights))}
    kernels = [each for each in found.values() if len(each.shape) > 1]
    # The paths of two variables may be equal.
    return {f"{position}/{kernel.path}": kernel.numpy() for position, kernel in enumerate(kernels)}


@contextlib.contextmanager
def _float32(model: Any) -> Iterator[None]:
    """Lets the layers of mixed precision compute in float32: LiteRT has no float16 convolution."""
    import keras

    layers = [layer for layer in (model, *model._flatten_layers()) if layer.compute_dtype in ("float16", "bfloat16")]
    # The public setter writes into a policy map that layers share.
    policies = [layer._dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer._dtype_policy = keras.DTypePolicy("float32")
        yield
    finally:
        for layer, policy in zip(layers, policies):
            layer._dtype_policy = policy


def _compare(named: NamedModel, file: LiteRT, rows: Mapping[str, Any]) -> Fidelity:
    expected, outputs = [], []
    count = len(next(iter(rows.values())))
    for start in range(0, count, _BATCH):
        batch = {name: array[start : start + _BATCH] for name, array in rows.items()}
        expected.append([each.numpy() for each in named(batch).values()])
        outputs.append(_listed(file(batch)))
    return fidelity(_columns(expected), _columns(outputs), file.output_steps)


def _columns(batches: list[list[Any]]) -> list[Any]:
    import numpy as np

    return [np.concatenate(column) for column in zip(*batches)]


def _listed(outputs: Any) -> list[Any]:
    return outputs if isinstance(outputs, list) else [outputs]


def _advice(named: NamedModel, activations: int | None, text: str) -> str:
    """The way out, at the end of an error's sentence."""
    if any(each.dtype == "string" for each in named.signature.inputs):
        return (
            "; leave the layers that read text outside, and convert the model that takes their output, or have the "
            "Keras model itself quantized: quantize with engine='keras'"
        )
    if activations is None or "no kernel" in text:
        return ""
    if _looping(named.keras):
        return (
            f"; set unroll=True on the layers that loop ({', '.join(_looping(named.keras))}), or use activations=None"
        )
    return "; activations=None converts more models"


def _looping(model: Any) -> list[str]:
    """Names of the recurrent layers that are not unrolled."""
    import keras

    return [each.name for each in model._flatten_layers() if isinstance(each, keras.layers.RNN) and not each.unroll]

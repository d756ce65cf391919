"""Quantization after training, to a LiteRT file or inside the Keras model."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tfkit import Compressed, Data, ParameterError
from tfkit.formats.conversion import convert
from tfkit.formats.flatbuffer import count_by_type
from tfkit.formats.precisions import OF_KERAS, precision
from tfkit.models import require_built
from tfkit.nests import leaves
from tfkit.pipeline.copies import recompiled
from tfkit.pipeline.predictions import predict

# Rows on which the file is compared with the model.
_CHECKED = 256


# Parameters that Keras's engine has no use for, and what they are when they are not given.
_OF_LITERT = {"calibration": 100, "timeout": 600.0, "bias_correction": False}


class Quantize:
    """Quantizes a trained model to a LiteRT file, or inside the Keras model; no training.

    There are for LiteRT, by (bits, activations):

    - (8, 8), "int8": weights and activations in 8-bit integers, for CPUs, microcontrollers and NPUs.
    - (8, 16), "int16x8": 16-bit activations, for models that 8 bits are too coarse for; slower on CPUs.
    - (8, None), "dynamic-int8": 8-bit weights of kernels of 1024 values and more, activations in float.
    - (16, None), "float16": half the size, no integer arithmetic.
    - (4, None), "int4": 4-bit weights of dense layers, convolutions and embeddings, 8-bit weights where a kernel has
      fewer than 1024 values or belongs to another operation; activations in float.
    - (4, 8), "int8x4", and (4, 16), "int16x4": the same with integer activations; tables of embeddings have 8 bits.

    The file takes and gives what the model does, float32 as a rule: it replaces the float file
    without a change in the program that calls it. It is compared with the model before it is there.

    With engine="keras" the dense layers and embeddings of the model itself are quantized by `Model.quantize`, other
    layers stay in float: the way for models that read text, which LiteRT does not run. The file gets smaller, and
    nothing faster. There are (8, None), "keras-int8-weights"; (4, None), "keras-int4"; (8, 8), "keras-int8", and
    (4, 8), "keras-int8x4", where what dense layers read is rounded to 8 bits while they run. The model is compared
    with the float one, and with itself once saved and loaded.

    Args:
        bits: Bits of the weights.
        activations: Bits of the activations, None for float.
        calibration: Rows of the train part from which the ranges of activations are read; drawn from the
            data's seed, the first ones where the part is a dataset.
        timeout: Seconds that the converter, in a process of its own, may take.
        exclude: Layers whose kernels keep 8 bits where `bits` is 4, by name or type; with Keras's engine layers that
            stay in float.
        bias_correction: Whether the biases of the file make up for the shift that rounding the weights causes in the
            mean of each channel, measured on the calibration rows; for Functional and Sequential models. It helps
            where steps are coarse, as with 4 bits, and kernels are small.
        engine: "litert" writes a file; "keras" quantizes the model, without calibration, timeout and
            bias_correction.

    Raises:
        ParameterError: There is no such pair of bits and activations, `exclude` comes with other bits than 4,
            `bias_correction` with 16, or what LiteRT alone has with Keras's engine.
        ModuleNotFoundError: 4 bits, and ai-edge-quantizer is not installed.

    Example:
        >>> Quantize(bits=8, activations=16).label
        'int16x8'
    """

    def __init__(
        self,
        *,
        bits: int = 8,
        activations: int | None = 8,
        calibration: int = 100,
        timeout: float = 600.0,
        exclude: Sequence[str] = (),
        bias_correction: bool = False,
        engine: Literal["litert", "keras"] = "litert",
    ) -> None:
        given = {"calibration": calibration, "timeout": timeout, "bias_correction": bias_correction}
        if engine == "keras":
            self.label = _keras_label(bits, activations, given)
        else:
            self.label = _litert_label(bits, activations, exclude, bias_correction)
        self.engine = engine
        self.bits = bits
        self.activations = activations
        self.calibration = calibration
        self.timeout = timeout
        self.exclude = tuple(exclude)
        self.bias_correction = bias_correction

    def compress(self, model: Any, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Converts or changes the model; see `tfkit.Compressor`.

        Args:
            model: A built Keras model; for LiteRT it stays as it is, Keras's engine changes it.
            data: The train part calibrates, the validation part checks (train where there is none).
            epochs: Of no effect.
            directory: Where the file goes, named after the precision.

        Raises:
            DataError: The data's rows are not what the model takes.
            ModelError: The model is subclassed where its layers have to be known, for Keras's engine and
                `bias_correction`, or has none that Keras can quantize.
            ConversionError: The converter refuses the model, crashes or takes too long.
            VerificationError: The file, or the quantized model, computes something else than the model.
        """
        return self._in_keras(model, data) if self.engine == "keras" else self._to_litert(model, data, directory)

    def _to_litert(self, model: Any, data: Data, directory: Path) -> Compressed:
        made = convert(
            model,
            directory / f"{self.label}.tflite",
            bits=self.bits,
            activations=self.activations,
            calibration=None if self.activations is None else data.drawn("train", self.calibration),
            check=data.drawn(data.choosing, _CHECKED),
            timeout=self.timeout,
            exclude=self.exclude,
            during=self._corrected(model, data) if self.bias_correction else contextlib.nullcontext,
        )
        return Compressed(artifacts={"litert": made.path}, notes=(str(made.fidelity), *self._stored(made.path)))

    def _in_keras(self, model: Any, data: Data) -> Compressed:
        from tfkit_compressors.quantization.keras_engine import quantize_layers, require_near

        rows = data.drawn(data.choosing, _CHECKED)
        expected = leaves(predict(require_built(model), rows))
        notes = quantize_layers(model, bits=self.bits, activations=self.activations, exclude=self.exclude)
        if model.compiled:
            # What was built for the float weights would be saved, and not load.
            recompiled(model, model).optimizer.build(model.trainable_variables)
        found = require_near(model, expected, rows)
        return Compressed(model, notes=(str(found), *notes))

    def _corrected(self, model: Any, data: Data) -> Callable[[], contextlib.AbstractContextManager[None]]:
        from tfkit.attach.variables import layers_named
        from tfkit_compressors.quantization.bias import corrected
        from tfkit_compressors.quantization.stored import stored_bits

        kept = {id(layer) for layer in layers_named(model, self.exclude)}
        bits = functools.partial(stored_bits, bits=self.bits, activations=self.activations, kept=kept)
        return lambda: corrected(model, data.drawn("train", self.calibration), bits)

    def _stored(self, path: Path) -> tuple[str, ...]:
        """A sentence on what was stored with how many bits, where that differs from kernel to kernel."""
        if self.bits != 4:
            return ()
        counts = count_by_type(path.read_bytes())
        return ("weights by type: " + ", ".join(f"{count} {name}" for name, count in counts.items()),)


def _litert_label(bits: int, activations: int | None, exclude: Sequence[str], bias_correction: bool) -> str:
    label = precision(bits, activations)
    if exclude and bits != 4:
        raise ParameterError(
            f"the parameter 'exclude' of compressor 'quantize' must be empty where bits is not 4, since "
            f"TensorFlow's converter quantizes a model as a whole; got {tuple(exclude)!r} with bits={bits}"
        )
    if bias_correction and bits == 16:
        raise ParameterError(
            "the parameter 'bias_correction' of compressor 'quantize' must be False where bits is 16, since "
            "float16 weights shift nothing; got True"
        )
    if bits == 4 and importlib.util.find_spec("ai_edge_quantizer") is None:
        raise ModuleNotFoundError("No module named 'ai_edge_quantizer'", name="ai_edge_quantizer")
    return label


def _keras_label(bits: int, activations: int | None, given: Mapping[str, Any]) -> str:
    for name, default in _OF_LITERT.items():
        if given[name] != default:
            raise ParameterError(
                f"the parameter {name!r} of compressor 'quantize' is for engine='litert' alone; got {given[name]!r} "
                "with engine='keras'"
            )
    return precision(bits, activations, OF_KERAS)

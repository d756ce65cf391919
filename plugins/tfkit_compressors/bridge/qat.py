"""TFMOT's own quantization-aware training of a Keras 3 model, to an int8 LiteRT file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfkit import Compressed, Data, ModelError, VerificationError
from tfkit.formats.conversion import convert
from tfkit.formats.fidelity import Fidelity, fidelity
from tfkit.formats.litert import LiteRT
from tfkit.pipeline.predictions import predict
from tfkit.reasons import reason
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.operations import operation_layer
from tfkit_compressors.bridge.replay import Bridge, to_tf_keras
from tfkit_compressors.bridge.training import fit, require_one_output
from tfkit_compressors.bridge.wrapped import as_keras

_PREFIX = "quant_"
# Rows on which the file is compared with the models.
_CHECKED = 256
# What TFMOT says of a layer that it does not know.
_UNSUPPORTED = re.compile(r"Layer (\S+):<class '\S*\.(\w+)'> is not supported")


class TfmotQat:
    """Trains with TFMOT's `quantize_model` on a tf_keras twin of the model and converts that to int8 LiteRT.

    TFMOT knows Dense, Conv2D, DepthwiseConv2D, BatchNormalization after a convolution, ReLU, Add, Concatenate
    and pooling; it refuses recurrent layers, attention, Embedding and nested models. TFMOT's ranges of activations
    begin at [-6, 6] and move by a thousandth a step; here they begin at those of real rows.

    Args:
        bits: Bits of weights and activations.
        calibration: Rows of the train part from which the first ranges of activations are read; drawn from the data's
            seed, the first ones where the part is a dataset.
        learning_rate: Of the training; None for that of the model's optimizer.
        timeout: Seconds that the converter, in a process of its own, may take.

    Raises:
        ModuleNotFoundError: TFMOT or tf_keras is not installed.
    """

    def __init__(
        self,
        *,
        bits: Literal[8] = 8,
        calibration: int = 100,
        learning_rate: float | None = None,
        timeout: float = 600.0,
    ) -> None:
        self.bits = bits
        self.calibration = calibration
        self.learning_rate = learning_rate
        self.timeout = timeout
        self._api = tfmot.api().quantization.keras

    def compress(self, model: Any, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Trains the twin with fake quantization, converts it, and brings the trained weights back.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0; its weights are changed.
            data: The train part is fitted, the validation part checks (train where there is none).
            epochs: Epochs of training; 0 only reads the ranges of activations.
            directory: Where the file goes.

        Returns:
            The file, and the model with the weights that it was made from, in float; no model where TFMOT took
            its layers apart.

        Raises:
            ModelError: A layer, the optimizer or the loss is refused by tf_keras or TFMOT; the text names it.
            VerificationError: The twin, or the file, computes something else than the model.
            ConversionError: The converter fails.
        """
        bridge = to_tf_keras(model, data.sample(4))
        require_one_output(model)
        quantized = self._quantized(bridge)
        _read_ranges(quantized, data.drawn("train", self.calibration))
        if epochs:
            fit(quantized, model, data, epochs=epochs, learning_rate=self.learning_rate)
        rows = data.drawn(data.choosing, _CHECKED)
        made = convert(
            as_keras(model, quantized),
            directory / "tfmot-int8.tflite",
            bits=8,
            activations=None,  # the ranges of activations are in the model
            check=rows,
            timeout=self.timeout,
        )
        notes = (f"against the fake-quantized model: {made.fidelity}",)
        artifacts = {"litert": made.path}
        if not _bring_back(bridge, quantized):
            return Compressed(artifacts=artifacts, notes=(*notes, "TFMOT took layers apart: no Keras model"))
        return Compressed(model, artifacts, (*notes, f"against the float model: {_compared(model, made.path, rows)}"))

    def _quantized(self, bridge: Bridge) -> Any:
        try:
            with self._api.quantize_scope({"Operation": operation_layer()}):
                return self._api.quantize_model(bridge.legacy)
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise ModelError(
                f"TFMOT's quantize_model refuses {_culprit(bridge, str(error))}; compressor 'qat' takes more layers"
            ) from error


def _culprit(bridge: Bridge, text: str) -> str:
    found = _UNSUPPORTED.search(text)
    if found:
        return f"{found[2]} {found[1]!r}"
    nested = [each for each in bridge.legacy.layers if isinstance(each, tfmot.tf_keras().Model)]
    if nested:
        return f"the nested model {nested[0].name!r}"
    whole = [each for each in bridge.model.inputs if not each.dtype.startswith("float")]
    if whole:
        return f"the input {whole[0].name!r}, since it quantizes what comes in and that is {whole[0].dtype}"
    return f"model {bridge.model.name!r}: {reason(ValueError(text))}"


def _read_ranges(quantized: Any, rows: Any) -> None:
    """Sets every range of activations, and of weights, to what these rows give; changes nothing else."""
    with _as_if_trained(quantized), _ranges_of_this_batch():
        quantized(rows, training=True)


@contextlib.contextmanager
def _as_if_trained(quantized: Any) -> Iterator[None]:
    """Has BatchNormalization use its statistics and Dropout drop nothing, though `training` is True."""
    library = tfmot.tf_keras()
    inner = [getattr(layer, "layer", layer) for layer in quantized.layers]
    frozen = [each for each in inner if isinstance(each, library.layers.BatchNormalization) and each.trainable]
    rates = [(each, each.rate) for each in inner if hasattr(each, "rate")]
    try:
        for each in frozen:
            each.trainable = False
        for each, _ in rates:
            each.rate = 0.0
        yield
    finally:
        for each in frozen:
            each.trainable = True
        for each, rate in rates:
            each.rate = rate


@contextlib.contextmanager
def _ranges_of_this_batch() -> Iterator[None]:
    """Lets TFMOT's moving average, whose decay is fixed at 0.999, forget what was before."""
    module = tfmot.quant_ops()
    moving = module.MovingAvgQuantize

    def forgetful(*args: Any, **kwargs: Any) -> Any:
        return moving(*args, **{**kwargs, "ema_decay": 0.0})

    module.MovingAvgQuantize = forgetful
    try:
        yield
    finally:
        module.MovingAvgQuantize = moving


def _bring_back(bridge: Bridge, quantized: Any) -> bool:
    """Sets the Keras 3 model's weights to the trained ones; False, and nothing set, where one has no counterpart."""
    inside = {each.name: each for each in quantized.layers}
    values = [
        _trained(bridge.legacy.get_layer(layer.name), inside.get(_PREFIX + layer.name)) for layer, _ in bridge.layers
    ]
    if any(each is None for each in values):
        return False
    for (layer, _), found in zip(bridge.layers, values):
        layer.set_weights(found)
    return True


def _trained(twin: Any, wrapper: Any) -> list[Any] | None:
    """A layer's weights from TFMOT's wrapper, which keeps the kernel outside of the layer that it wraps."""
    trained = {_last_name(each): each.numpy() for each in getattr(wrapper, "weights", ())}
    found = [trained.get(_last_name(each)) for each in twin.weights]
    whole = all(each is not None and each.shape == mine.shape for each, mine in zip(found, twin.weights))
    return found if whole else None


def _last_name(variable: Any) -> str:
    return str(variable.name).rpartition("/")[2]


def _compared(model: Any, path: Path, rows: Any) -> Fidelity:
    file = LiteRT(path)
    found = fidelity([np.asarray(predict(model, rows))], [np.asarray(file(rows))], file.output_steps)
    if found.far:
        raise VerificationError(f"the int8 file does not compute what model {model.name!r} does: {found}")
    return found

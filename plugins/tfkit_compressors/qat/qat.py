"""Quantization-aware training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tfkit import Compressed, Data, ParameterError, VerificationError
from tfkit.attach.training import train
from tfkit.formats.conversion import convert
from tfkit.formats.fidelity import fidelity
from tfkit.formats.litert import LiteRT
from tfkit.formats.named_model import NamedModel
from tfkit.formats.precisions import precision
from tfkit.models import require_built, require_compiled
from tfkit.nests import leaves, map_leaves
from tfkit_compressors import schemas
from tfkit_compressors.qat.agreement import decided_alike
from tfkit_compressors.qat.callback import QatCallback
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.mixed import within_drop
from tfkit_compressors.qat.statistics import read_statistics

# Rows that ranges are first read from, rows that the file is compared on, and the share that must decide alike.
_CALIBRATED, _CHECKED, _AGREEING = 256, 1000, 0.995
_BATCH = 64
# Batches of the train part that BatchNormalization's statistics are read from after a training in 4 bits.
_READ = 64


class QuantizationAwareTraining:
    """Trains a model that computes with quantized weights and activations, and writes it as a LiteRT file.

    The layers stay the model's own: a model of any nesting trains, with the optimizer, loss, metrics and
    training step that it has. Weights of 8 or 4 bits are symmetric, with a scale for each output channel;
    activations of 8 bits are quantized after each operation, with ranges that follow their moving
    least and greatest values, and not inside what LiteRT fuses (BatchNormalization, ReLU). Of attention the scores
    and their softmax are quantized too, except masked ones: these, the inside of a LayerNormalization and the sums of
    an AdditiveAttention are computed in float, in the file as in the model. 16-bit activations are not simulated,
    since they change the outputs by some 1e-4.

    With 4 bits, kernels of fewer than 1024 values and those of operations without 4-bit weights in LiteRT keep 8:
    depthwise, transposed and 3-D convolutions, embeddings, and with 8-bit activations all but Dense and Conv2D.
    Layers of Keras's that hold no kernel by a known name, custom ones among them, stay in float. After a training
    in 4 bits BatchNormalization's statistics are read anew, from 64 batches of the train part.

    Ranges are read from 256 rows before the training, so that epochs=0 is quantization after training. The
    model that comes out is a plain Keras model whose kernels have the quantized values.

    Source: Quantization and training of neural networks for efficient integer-arithmetic-only inference,
    Jacob et al. 2018.

    Args:
        bits: Bits of the weights.
        activations: Bits of the activations; None for float, as for recurrent and subclassed models.
        layers: Bits of single layers, by name or type, such as {"head": 8}.
        exclude: Layers that are trained in float, by name or type; the file has their weights in 8 bits.
        max_drop: With bits=4, the loss of the metric, before training, within which kernels get 4 bits and
            not 8; the least sensitive ones get them first. None for 4 bits in all.
        metric: Metric plugin that max_drop is measured by.
        preserve_sparsity: Whether zeros stay zeros, in kernels of which 5% or more are zeros.
        preserve_clusters: Whether weights that share a value go on sharing one, in kernels of at most 256 values;
            these have one scale.
        timeout: Seconds that the converter, in a process of its own, may take.

    Raises:
        ParameterError: Bits other than 4 and 8, or parameters that do not go together.

    Example:
        >>> QuantizationAwareTraining(bits=4, activations=None).label
        'qat-int4'
    """

    def __init__(
        self,
        *,
        bits: Literal[4, 8] = 8,
        activations: Literal[8, 16] | None = 8,
        layers: Mapping[str, int] | None = None,
        exclude: Sequence[str] = (),
        max_drop: float | None = None,
        metric: str = "accuracy",
        preserve_sparsity: bool = True,
        preserve_clusters: bool = True,
        timeout: float = 600.0,
    ) -> None:
        self.settings = schemas.Qat(
            bits=bits,
            activations=activations,
            layers=None if layers is None else dict(layers),
            exclude=tuple(exclude),
            max_drop=max_drop,
            metric=metric,
            preserve_sparsity=preserve_sparsity,
            preserve_clusters=preserve_clusters,
            timeout=timeout,
        )
        _check(self.settings)
        self.label = f"qat-{precision(bits, activations)}"

    def callback(self) -> QatCallback:
        """The Keras callback that trains under fake quantization within one `fit`; it writes no file."""
        if self.settings.max_drop is not None:
            raise _refusal("max_drop", "None in a callback, which has no data to measure it on", self.settings.max_drop)
        return QatCallback(self.settings)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Trains a model under fake quantization, and converts it.

        Args:
            model: A built model, compiled where epochs is not 0; its weights become the quantized ones.
            data: The train part is fitted; ranges are read from it. The validation part checks the file.
            epochs: Epochs of training; 0 quantizes as it is.
            directory: Where the file goes, named after the precision.

        Raises:
            ModelError: The model is not built or compiled, has nothing to quantize, is subclassed, or has
                recurrent layers where activations is 8.
            ConversionError: The converter refuses the model, crashes or takes too long.
            VerificationError: The file decides otherwise than the fake-quantized model.
        """
        settings = self.settings
        own = {} if settings.max_drop is None else within_drop(require_built(model), data, settings)
        fake = FakeQuantization(model, settings, own)
        fake.calibrate(_batches(data.drawn("train", _CALIBRATED)))
        if epochs:
            self._train(fake, data, epochs)
        else:
            fake.bake()
        path = directory / f"{self.label}.tflite"
        note = self._write(fake, data, path)
        return Compressed(model, {"litert": path}, (note, *_stored(fake)))

    def _train(self, fake: FakeQuantization, data: Data, epochs: int) -> None:
        train(require_compiled(fake.model), data, epochs, [QatCallback(self.settings, fake)])
        if any(kernel.grid.bits == 4 for kernel in fake.kernels):
            read_statistics(fake, (x for x, *_ in data.dataset("train").take(_READ)))

    def _write(self, fake: FakeQuantization, data: Data, path: Path) -> str:
        """Writes the file, or nothing, and tells how it compares with the fake-quantized model."""
        rows = data.drawn(data.choosing, _CHECKED)
        with fake.installed():
            expected = _outputs(fake.model, rows)
        self._convert(fake, data, path, rows)
        return _verified(fake, path, rows, expected)

    def _convert(self, fake: FakeQuantization, data: Data, path: Path, rows: Any) -> None:
        shared: dict[str, Any] = {"check": rows, "timeout": self.settings.timeout, "label": self.label}
        if self.settings.activations == 8:
            with fake.exported():
                convert(fake.model, path, bits=8, **shared)
            return
        bits = min(kernel.grid.bits for kernel in fake.kernels)
        convert(
            fake.model,
            path,
            bits=bits,
            activations=self.settings.activations,
            calibration=None if self.settings.activations is None else data.drawn("train", _CALIBRATED),
            exclude=_at_eight_bits(fake) if bits == 4 else (),
            **shared,
        )


def _outputs(model: keras.Model, rows: Any) -> list[Any]:
    """A model's outputs, each an array, in the order that its files have them."""
    named = NamedModel(model, sample=rows)
    batches = [[each.numpy() for each in named(batch).values()] for batch in _batches(named.arrange(rows))]
    return [np.concatenate(column) for column in zip(*batches)]


def _verified(fake: FakeQuantization, path: Path, rows: Any, expected: list[Any]) -> str:
    """A sentence on how the file compares with the fake-quantized model; too far a one is removed and refused."""
    name, file = fake.model.name, LiteRT(path)
    outputs = leaves(file(NamedModel(fake.model, sample=rows).arrange(rows)))
    found = fidelity(expected, outputs, file.output_steps)
    if found.far:
        path.unlink()
        raise VerificationError(f"the file does not compute what the fake-quantized model {name!r} does: {found}")
    told = f"against the fake-quantized model: {found}"
    if len(expected) > 1 or found.agreement is None:
        return told
    # Each of two outputs may be a step off, since integers round where the model computes in float.
    share = decided_alike(expected[0], outputs[0], 2 * file.output_steps[0], 2 * fake.score_step)
    if share is not None and share < _AGREEING and found.rows * (1 - share) > 1.5:
        path.unlink()
        raise VerificationError(
            f"the file decides as the fake-quantized model {name!r} does on {share:.2%} of {found.rows} rows, "
            f"{_AGREEING:.1%} are wanted: activations=16 or None is closer"
        )
    return told


def _batches(rows: Any) -> Iterator[Any]:
    count = len(leaves(rows)[0])
    for start in range(0, count, _BATCH):
        yield map_leaves(itemgetter(slice(start, start + _BATCH)), rows)


def _at_eight_bits(fake: FakeQuantization) -> list[Any]:
    """The variables that are not trained in 4 bits: several kernels of one layer may differ, and names may repeat."""
    four = {id(kernel.variable) for kernel in fake.kernels if kernel.grid.bits == 4}
    return [each for each in fake.model.weights if id(each) not in four]


def _stored(fake: FakeQuantization) -> tuple[str, ...]:
    four = [kernel.variable.path for kernel in fake.kernels if kernel.grid.bits == 4]
    if not four and fake.settings.bits == 8:
        return ()
    return (f"4 bits in {len(four)} of {len(fake.kernels)} kernels: {', '.join(four) or 'none'}",)


def _check(settings: schemas.Qat) -> None:
    if settings.bits not in (4, 8):
        raise _refusal("bits", "4 or 8", settings.bits)
    if settings.activations not in (8, 16, None):
        raise _refusal("activations", "8, 16 or None", settings.activations)
    bad = {name: bits for name, bits in (settings.layers or {}).items() if bits not in (4, 8)}
    if bad:
        raise _refusal("layers", "4 or 8 for each layer", bad)
    if settings.max_drop is not None and settings.bits != 4:
        raise _refusal(
            "max_drop", f"None where bits is {settings.bits}, since it chooses between 4 and 8 bits", settings.max_drop
        )


def _refusal(name: str, wanted: str, value: Any) -> ParameterError:
    return ParameterError(f"the parameter {name!r} of compressor 'qat' must be {wanted}; got {value!r}")

"""Quantization-aware training against quantization after training, in 4 bits, and against TFMOT's in 8.

A CNN is trained, then copies of it for as many epochs more, with the same falling rate: in float and quantized
after that, and with `qat`. Prints the test accuracy of the LiteRT files for each seed, and their means; beside them
that of weights rounded to 4 bits after training with BatchNormalization's statistics read anew, which tells what of
the gain is theirs. With --steps the time of a training step and the accuracy of `qat` on Keras 3 beside TFMOT's own
on tf_keras, each against plain training.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit.formats.precisions import PRECISIONS
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.statistics import read_statistics
from tfkit_compressors.schemas import Qat

PAIRS = {name: pair for pair, name in PRECISIONS.items() if name in ("int4", "int8x4", "int8")}
STRIDES = (2, 1, 2, 1, 1, 1, 1, 1, 1)
FASHION = Path("/usr/share/datasets/fashion-mnist")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="epochs of float training, and as many after it")
    parser.add_argument("--rows", type=int, default=12000, help="rows of Fashion-MNIST to train on")
    parser.add_argument("--precisions", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--steps", action="store_true", help="time training steps beside TFMOT's instead")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    data = fashion(arguments.rows)
    if arguments.steps:
        beside_tfmot(data)
        return
    pairs = [PAIRS[each] for each in arguments.precisions]
    rows = [one_seed(seed, arguments.epochs, data, pairs) for seed in range(arguments.seeds)]
    for name in rows[0]:
        print(f"mean of {len(rows)} seeds  {name:<34} {statistics.mean(row[name] for row in rows):.4f}")


def one_seed(seed: int, epochs: int, data: tfkit.Data, pairs: list[tuple[int, int | None]]) -> dict[str, float]:
    """Test accuracy by what was done."""
    keras.utils.set_random_seed(seed)
    model = fresh(cnn())
    model.fit(*data.train, batch_size=64, epochs=epochs, verbose=0)
    start, steps = model.get_weights(), epochs * math.ceil(len(data.train[0]) / 64)
    found = {"float": accuracy(model, data)}
    fresh(model, steps)
    model.fit(*data.train, batch_size=64, epochs=epochs, verbose=0)
    more = model.get_weights()
    found["float, the same epochs more"] = accuracy(model, data)
    found["4 bits and statistics after them"] = with_statistics(model, data)
    for bits, activations in pairs:
        model.set_weights(more)
        made = compressed("quantize", model, data, 0, bits=bits, activations=activations)
        found[f"quantize({bits}, {activations}) after them"] = made
        model.set_weights(start)
        fresh(model, steps)
        found[f"qat({bits}, {activations}) in them"] = compressed(
            "qat", model, data, epochs, bits=bits, activations=activations
        )
    for name, value in found.items():
        print(f"seed {seed}  {name:<40} {value:.4f}", flush=True)
    return found


def with_statistics(model: Any, data: tfkit.Data) -> float:
    """Test accuracy of a model with weights of 4 bits, and statistics read anew; no training."""
    fake = FakeQuantization(model, Qat(bits=4, activations=None))
    read_statistics(fake, (x for x, *_ in data.dataset("train").take(64)))
    fake.bake()
    return accuracy(model, data)


def compressed(name: str, model: Any, data: tfkit.Data, epochs: int, **params: Any) -> float:
    with tempfile.TemporaryDirectory() as folder:
        made = tfkit.create("compressor", name, **params).compress(model, data, epochs=epochs, directory=Path(folder))
        return accuracy(LiteRT(made.artifacts["litert"]), data)


def accuracy(model: Any, data: tfkit.Data) -> float:
    return float(tfkit.evaluate(model, data, ["accuracy"])["accuracy"])


def cnn() -> Any:
    """Narrow and deep, so that 4 bits hurt."""
    layers = [keras.Input((28, 28, 1))]
    for stride in STRIDES:
        layers += [keras.layers.Conv2D(12, 3, strides=stride, padding="same", use_bias=False)]
        layers += [keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])


def fresh(model: Any, steps: int | None = None) -> Any:
    """Compiled anew, with a rate that falls to 0 in so many steps, or stays."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = 1e-3 if steps is None else tfkit.create("schedule", "cosine", initial=1e-3, steps=steps)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def fashion(rows: int) -> tfkit.Data:
    x, y = images("train-images-idx3-ubyte.gz"), labels("train-labels-idx1-ubyte.gz")
    test = images("t10k-images-idx3-ubyte.gz"), labels("t10k-labels-idx1-ubyte.gz")
    return tfkit.Data((x[:rows], y[:rows]), (x[-2000:], y[-2000:]), test, batch_size=64)


def images(name: str) -> np.ndarray:
    content = gzip.decompress(found(name).read_bytes())
    return np.frombuffer(content, "uint8", offset=16).reshape(-1, 28, 28, 1).astype("float32") / 255


def labels(name: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(found(name).read_bytes()), "uint8", offset=8).astype("int64")


def found(name: str) -> Path:
    if (FASHION / name).exists():
        return FASHION / name
    raise SystemExit(f"{FASHION / name} is not there: apt-get install dataset-fashion-mnist")


def beside_tfmot(data: tfkit.Data) -> None:
    """Seconds of an epoch: plain and qat on Keras 3, plain and TFMOT's on tf_keras."""
    keras.utils.set_random_seed(0)
    model = fresh(cnn())
    plain = seconds(model, data)
    quantized = seconds(model, data, tfkit.callback("compressor", "qat"))
    print(f"tfkit   {quantized / plain:.2f} of plain training's {plain:.2f} s an epoch", flush=True)
    plain, quantized, reached = tfmot(data)
    print(f"TFMOT   {quantized / plain:.2f} of plain training's {plain:.2f} s an epoch; accuracy {reached:.4f}")


def seconds(model: Any, data: tfkit.Data, *callbacks: Any) -> float:
    """Of the quicker of the last two of three epochs, the first traces."""
    clock = Clock()
    callbacks = (*callbacks, clock)
    model.fit(*data.train, batch_size=64, epochs=3, verbose=0, callbacks=list(callbacks))
    return min(clock.epochs[1:])


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(time.perf_counter() - self._begun)


def tfmot(data: tfkit.Data) -> tuple[float, float, float]:
    import tf_keras

    from tfkit_compressors import tfmot as upstream

    quantize_model = upstream.api().quantization.keras.quantize_model
    layers = [tf_keras.layers.InputLayer((28, 28, 1))]
    for stride in STRIDES:
        layers += [tf_keras.layers.Conv2D(12, 3, strides=stride, padding="same", use_bias=False)]
        layers += [tf_keras.layers.BatchNormalization(momentum=0.9), tf_keras.layers.ReLU()]
    model = tf_keras.Sequential([*layers, tf_keras.layers.GlobalAveragePooling2D(), tf_keras.layers.Dense(10)])
    times = []
    for each in (model, quantize_model(model)):
        loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        each.compile(tf_keras.optimizers.legacy.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=True)
        begun = []
        for _ in range(3):
            now = time.perf_counter()
            each.fit(*data.train, batch_size=64, verbose=0)
            begun.append(time.perf_counter() - now)
        times.append(min(begun[1:]))
    return times[0], times[1], float(each.evaluate(*data.test, verbose=0)[1])


if __name__ == "__main__":
    main()

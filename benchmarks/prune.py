"""What pruning costs: training with tfkit's callback on Keras 3, and with TFMOT's wrapper on tf_keras, against plain.

All train in turn, 100 steps each at a time, so that what else the machine does meets all alike. In each turn masks
are updated once. Prints, for an MLP and a CNN, the ratio of the medians of their times, pruned / plain.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

import tfkit
from tfkit_compressors import tfmot

PRUNING = {"sparsity": 0.8, "frequency": 100}
STEPS = 100
BATCH = 64
# Label, library, whether it is compiled by XLA.
TRAINERS = (
    ("tfkit", keras, False),
    ("tfkit, jit_compile", keras, True),
    ("TFMOT's wrapper", tf_keras, False),
    ("TFMOT's wrapper, jit_compile", tf_keras, True),
)
Layers = Callable[[Any], list[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12)
    turns = parser.parse_args().turns
    warnings.simplefilter("ignore")
    for name, layers, shape in (("MLP", mlp, (784,)), ("CNN", cnn, (28, 28, 1))):
        for (label, *_), (plain, pruned) in zip(TRAINERS, medians(layers, shape, turns)):
            print(f"{name}  {label:<28} {pruned / plain:.3f} of plain training's {plain * 1e3:.0f} ms", flush=True)


def mlp(layers: Any) -> list[Any]:
    return [layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu"), layers.Dense(10)]


def cnn(layers: Any) -> list[Any]:
    convolutions = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(32, 3)]
    return [*convolutions, layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)]


def medians(layers: Layers, shape: tuple[int, ...], turns: int) -> list[tuple[float, float]]:
    """Seconds of the median turn, plain and pruned, of each of TRAINERS; the first turn traces and is left out."""
    trainers = [
        Trainer(library, layers, shape, jit=jit, pruned=pruned, turns=turns)
        for _, library, jit in TRAINERS
        for pruned in (False, True)
    ]
    seconds = [[trainer.turn(number) for trainer in trainers] for number in range(turns)][1:]
    found = [statistics.median(times) for times in zip(*seconds)]
    return list(zip(found[::2], found[1::2]))


class Trainer:
    """The inside of one fit, an epoch at a time."""

    def __init__(
        self, library: Any, layers: Layers, shape: tuple[int, ...], *, jit: bool, pruned: bool, turns: int
    ) -> None:
        self.model = library.Sequential([library.layers.InputLayer(shape), *layers(library.layers)])
        callbacks: list[Any] = []
        if pruned:
            self.model, callbacks = (wrapped if library is tf_keras else with_callback)(self.model, turns)
        loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(library.optimizers.Adam(1e-3), loss, jit_compile=jit)
        self.callbacks = library.callbacks.CallbackList(callbacks, model=self.model, epochs=turns, steps=STEPS)
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.make_train_function()
        self.callbacks.on_train_begin()
        self.batches = iter(batches(shape))

    def turn(self, number: int) -> float:
        """Seconds of one epoch."""
        begun = time.perf_counter()
        self.callbacks.on_epoch_begin(number)
        for _ in range(STEPS):
            self.model.train_function(self.batches)
        self.callbacks.on_epoch_end(number)
        return time.perf_counter() - begun


def with_callback(model: Any, turns: int) -> tuple[Any, list[Any]]:
    return model, [tfkit.callback("compressor", "prune", **PRUNING)]


def wrapped(model: Any, turns: int) -> tuple[Any, list[Any]]:
    schedule = tfmot.pruning()[1].PolynomialDecay(0.0, PRUNING["sparsity"], 0, turns * STEPS, frequency=100)
    from tensorflow_model_optimization.python.core.sparsity.keras import prune, pruning_callbacks

    return prune.prune_low_magnitude(model, pruning_schedule=schedule), [pruning_callbacks.UpdatePruningStep()]


def batches(shape: tuple[int, ...]) -> tf.data.Dataset:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(8 * BATCH, *shape)).astype("float32"), random.integers(0, 10, 8 * BATCH)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH).cache().repeat()


if __name__ == "__main__":
    main()

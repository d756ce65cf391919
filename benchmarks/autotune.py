"""What the settings of tfkit.autotune gain over `model.fit(x, y)` on arrays.

For each repetition the model is tuned anew; then fits by default and by the settings take turns, each for some epochs
of which the first, that traces the graph, does not count. Prints the ratio of the median times of an epoch, the
speedup that autotune promised, and the least ratio of all.

python benchmarks/autotune.py --repetitions 10
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfkit

CLASSES, ROUNDS = 10, 3
RNG = np.random.default_rng(0)


class EpochTimes(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def mlp() -> keras.Model:
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input((64,)), *layers])


def cnn() -> keras.Model:
    layers = [
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(CLASSES),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    for build, rows in ((mlp, 20000), (cnn, 4000)):
        ratios = []
        for repetition in range(options.repetitions):
            ratio, found = gain(build, rows, options.seconds)
            ratios.append(ratio)
            print(f"{build.__name__} {repetition}: {ratio:.2f}, promised {found.speedup:.2f}, {found.way}", flush=True)
        print(f"{build.__name__}: median {statistics.median(ratios):.2f}, least {min(ratios):.2f}", flush=True)


def gain(build: Any, rows: int, seconds: float) -> tuple[float, Any]:
    """The time of an epoch by default over that by the settings, and what autotune found."""
    model = build()
    shape = model.input_shape[1:]
    x, y = RNG.normal(size=(rows, *shape)).astype("float32"), RNG.integers(CLASSES, size=rows)
    compiled(model)
    found = tfkit.autotune(model, (x, y), seconds=seconds)
    plain, tuned = [], []
    for _ in range(ROUNDS):
        plain += epochs(model, {}, {"x": x, "y": y, "batch_size": 32})
        tuned += epochs(model, found.settings["compile"], found.settings["fit"])
    return statistics.median(plain) / statistics.median(tuned), found


def compiled(model: keras.Model, **settings: Any) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **settings)


def epochs(model: keras.Model, settings: dict[str, Any], fit: dict[str, Any]) -> list[float]:
    """Seconds of epochs after the first."""
    compiled(model, **settings)
    times = EpochTimes()
    model.fit(**fit, epochs=4, callbacks=[times], verbose=0)
    return times.seconds[1:]


if __name__ == "__main__":
    main()

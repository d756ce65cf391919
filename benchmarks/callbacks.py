"""What tfkit's callbacks cost a fit of a tiny MLP, beside plain Keras.

Fits of both take turns. Prints for each pair the median over the turns of the ratio of their median times of an epoch,
with the interval that holds it in 95 of 100 resamplings of the turns; the first epoch of a fit, which traces the graph,
does not count. The first pair is one fit twice: what its interval is, is noise.

python benchmarks/callbacks.py --repeats 25
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfkit

ROWS, FEATURES, CLASSES, BATCH = 6400, 20, 10, 32
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, FEATURES)).astype("float32")
Y = RNG.integers(CLASSES, size=ROWS)
HELD_OUT = X[: ROWS // 5], Y[: ROWS // 5]
STEPS = ROWS // BATCH
EPOCHS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        for title, plain, ours, bound in pairs(Path(folder)):
            compare(title, plain, ours, bound, repeats)


def pairs(folder: Path) -> list[tuple[str, Callable[[], Any], Callable[[], Any], float]]:
    """What is compared: a title, a fit of plain Keras and one with tfkit, and the bound of their ratio."""

    def scheduled() -> Any:
        return tfkit.callback("schedule", "cosine", initial=0.01, steps=EPOCHS * STEPS)

    def reduced() -> Any:
        return tfkit.create("callback", "reduce-lr-on-plateau", monitor="loss")

    def keras_set() -> list[Any]:
        stop = keras.callbacks.EarlyStopping("loss", patience=9)
        return [stop, keras.callbacks.CSVLogger(str(folder / "keras.csv"))]

    def our_set() -> list[Any]:
        stop = tfkit.create("callback", "early-stopping", monitor="loss", patience=9)
        log = tfkit.create("callback", "jsonl-log", path=str(folder / "log.jsonl"))
        return [scheduled(), tfkit.callback("regularizer", "l2", l2=1e-4), stop, log]

    def validating_set() -> list[Any]:
        metrics = ["accuracy", ("f1", {"average": "macro"})]
        return [*our_set(), tfkit.create("callback", "validation-metrics", data=HELD_OUT, metrics=metrics)]

    cosine = keras.optimizers.schedules.CosineDecay
    penalty = keras.regularizers.L2(1e-4)
    return [
        ("a plain rate twice (noise)", lambda: epochs(), lambda: epochs(), 1.02),
        ("a plain rate, a schedule callback", lambda: epochs(), lambda: epochs([scheduled()]), 1.02),
        ("keras CosineDecay, a schedule callback", lambda: epochs(rate=cosine(0.01, EPOCHS * STEPS)),
         lambda: epochs([scheduled()]), 1.02),
        ("a schedule callback, with reduce-lr-on-plateau", lambda: epochs([scheduled()]),
         lambda: epochs([scheduled(), reduced()]), 1.02),
        ("schedule, l2, early stopping, log: keras, tfkit",
         lambda: epochs(keras_set(), rate=cosine(0.01, EPOCHS * STEPS), regularizer=penalty),
         lambda: epochs(our_set()), 1.05),
        ("these and validation of 1280 rows: keras, tfkit",
         lambda: epochs(keras_set(), rate=cosine(0.01, EPOCHS * STEPS), regularizer=penalty, validation_data=HELD_OUT),
         lambda: epochs(validating_set()), 1.05),
        ("a plain rate, all of these of tfkit", lambda: epochs(), lambda: epochs(validating_set()), 1.05),
        ("l2 alone, the usual set of tfkit", lambda: epochs(regularizer=penalty), lambda: epochs(our_set()), 1.05),
    ]  # fmt: skip


def epochs(callbacks: Any = (), rate: Any = 0.01, regularizer: Any = None, **fitted: Any) -> list[float]:
    """Seconds of each epoch of a fit but the first."""
    layers = [keras.layers.Dense(units, "relu", kernel_regularizer=regularizer) for units in (32, 32)]
    outputs = keras.layers.Dense(CLASSES, "softmax", kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((FEATURES,)), *layers, outputs])
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    ends: list[float] = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    model.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[*callbacks, watch], **fitted)
    return [later - earlier for earlier, later in itertools.pairwise(ends)]


def compare(title: str, plain: Callable[[], Any], ours: Callable[[], Any], bound: float, repeats: int) -> None:
    """Prints the ratio of two fits that take turns."""
    steps, ratios = [], []
    for number in range(repeats):
        fits = (plain, ours) if number % 2 else (ours, plain)
        medians = [statistics.median(fit()) for fit in fits]
        one, other = medians if number % 2 else medians[::-1]
        steps.append(1e6 * one / STEPS)
        ratios.append(other / one)
    drawn = RNG.choice(ratios, (2000, repeats))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    print(
        f"{title}: {statistics.median(steps):.0f} us a step, ratio {statistics.median(ratios):.3f} "
        f"({low:.3f} to {high:.3f}; at most {bound})",
        flush=True,
    )


if __name__ == "__main__":
    main()

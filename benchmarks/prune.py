"""What pruning costs: a fit with tfkit's callback on Keras 3, and one with TFMOT's wrapper on tf_keras, against plain.

The fits run in turn, one epoch each at a time, so that what else the machine does meets all alike. Prints, for an
MLP and a CNN, the ratio of median epoch times, pruned / plain. The first epoch, which traces the graph, is left out.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import tfkit

# Masks are updated once in an epoch of 100 steps: no epoch is spared it.
PRUNING = {"sparsity": 0.8, "frequency": 100}
# Label, library, whether it is compiled by XLA, whether it is pruned.
FITS = (
    ("tfkit", "keras", False, False),
    ("tfkit", "keras", False, True),
    ("tfkit, jit_compile", "keras", True, False),
    ("tfkit, jit_compile", "keras", True, True),
    ("TFMOT's wrapper", "tf_keras", False, False),
    ("TFMOT's wrapper", "tf_keras", False, True),
    ("TFMOT's wrapper, jit_compile", "tf_keras", True, False),
    ("TFMOT's wrapper, jit_compile", "tf_keras", True, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=100, help="batches in an epoch")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, layers, shape in (("MLP", mlp, (784,)), ("CNN", cnn, (28, 28, 1))):
        data = batches(shape, arguments.steps)
        seconds = epoch_times(layers, shape, data, arguments.epochs)
        for (label, *_, pruned), plain_times, times in zip(FITS, [[], *seconds], seconds):
            if pruned:
                median, plain = statistics.median(times), statistics.median(plain_times)
                print(f"{name}  {label:<28} {median / plain:.3f} of a plain fit's {plain * 1e3:.0f} ms", flush=True)


def mlp(layers: Any) -> list[Any]:
    return [layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu"), layers.Dense(10)]


def cnn(layers: Any) -> list[Any]:
    convolutions = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(32, 3)]
    return [*convolutions, layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)]


def batches(shape: tuple[int, ...], steps: int, batch: int = 64) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.normal(size=(steps * batch, *shape)).astype("float32")
    return x, random.integers(0, 10, steps * batch)


def epoch_times(
    layers: Callable[[Any], list[Any]], shape: tuple[int, ...], data: tuple[Any, Any], epochs: int
) -> list[list[float]]:
    """Seconds of each epoch but the first, for each of FITS."""
    turns = Turns(len(FITS))
    seconds: list[list[float]] = [[] for _ in FITS]

    def fit(number: int) -> None:
        _, library, jit, pruned = FITS[number]
        turns.wait(number)
        model, callbacks = begin(library, layers, shape, jit, pruned, epochs * len(data[0]) // 64)
        watch = watcher(library, turns, number, seconds[number])
        model.fit(*data, batch_size=64, epochs=epochs, verbose=0, callbacks=[*callbacks, watch])
        turns.leave(number)

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(len(FITS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [times[1:] for times in seconds]


class Turns:
    """Lets one of several threads go on at a time, in a circle."""

    def __init__(self, count: int) -> None:
        self.order = list(range(count))
        self.condition = threading.Condition()

    def wait(self, number: int) -> None:
        with self.condition:
            self.condition.wait_for(lambda: self.order[0] == number)

    def next(self, number: int) -> None:
        with self.condition:
            self.order.append(self.order.pop(0))
            self.condition.notify_all()
        self.wait(number)

    def leave(self, number: int) -> None:
        with self.condition:
            self.order.remove(number)
            self.condition.notify_all()


def begin(
    library: str, layers: Callable[[Any], list[Any]], shape: tuple[int, ...], jit: bool, pruned: bool, steps: int
) -> tuple[Any, Sequence[Any]]:
    """A compiled model and the callbacks that its fit needs."""
    if library == "keras":
        model = compiled(keras, keras.Sequential([keras.Input(shape), *layers(keras.layers)]), jit)
        return model, [tfkit.callback("compressor", "prune", **PRUNING)] if pruned else []

    import tf_keras
    from tensorflow_model_optimization.python.core.sparsity.keras import prune, pruning_callbacks, pruning_schedule

    model = tf_keras.Sequential([tf_keras.Input(shape), *layers(tf_keras.layers)])
    if not pruned:
        return compiled(tf_keras, model, jit), []
    schedule = pruning_schedule.PolynomialDecay(0.0, PRUNING["sparsity"], 0, steps, frequency=PRUNING["frequency"])
    wrapped = prune.prune_low_magnitude(model, pruning_schedule=schedule)
    return compiled(tf_keras, wrapped, jit), [pruning_callbacks.UpdatePruningStep()]


def compiled(library: Any, model: Any, jit: bool) -> Any:
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.Adam(1e-3), loss, jit_compile=jit)
    return model


def watcher(library: str, turns: Turns, number: int, seconds: list[float]) -> Any:
    """A callback that times each epoch and then waits for the other fits to do theirs."""
    module = keras if library == "keras" else __import__(library)

    def end(epoch: int, logs: Any) -> None:
        seconds.append(time.perf_counter() - seconds.pop())
        turns.next(number)

    return module.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seconds.append(time.perf_counter()), on_epoch_end=end
    )


if __name__ == "__main__":
    main()

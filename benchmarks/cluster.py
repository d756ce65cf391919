"""Weight clustering of one trained model: tfkit's in Keras 3 against TFMOT's cluster_weights on tf_keras.

Both begin from the same weights of a dense model of digits and train as many epochs with the same optimizer and
batches. Prints, for each number of clusters, the accuracy on the rows that none has seen (median of the seeds), with
that of no training in brackets, and the seconds of an epoch over those of plain training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits

import tfkit
from tfkit_compressors.bridge.cluster import TfmotCluster

X, Y = (load_digits().data / 16).astype("float32"), load_digits().target
DATA = tfkit.Data((X[:1200], Y[:1200]))
PEERS: tuple[tuple[str, Callable[[int], Any]], ...] = (
    ("tfkit", lambda clusters: tfkit.create("compressor", "cluster", clusters=clusters)),
    ("TFMOT's cluster_weights", TfmotCluster),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sources = [trained(seed) for seed in range(options.seeds)]
    plain = statistics.median(seconds(copy(source), options.epochs) for source in sources)
    print(f"float  accuracy {statistics.median(map(accuracy, sources)):.4f}")
    for clusters in (4, 8, 16):
        for label, make in PEERS:
            found = [result(source, make(clusters), options.epochs) for source in sources]
            untrained, reached, ratio = (statistics.median(column) for column in zip(*found))
            print(
                f"{clusters:>2} clusters  {label:<24} {reached:.4f} ({untrained:.4f})  {ratio / plain:.2f} x",
                flush=True,
            )


def trained(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X[:1200], Y[:1200], epochs=15, verbose=0)
    return model


def copy(source: keras.Model) -> keras.Model:
    model = keras.models.clone_model(source)
    model.set_weights(source.get_weights())
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def accuracy(model: keras.Model) -> float:
    return float(np.mean(model.predict(X[1200:], verbose=0).argmax(-1) == Y[1200:]))


def result(source: keras.Model, compressor: Any, epochs: int) -> tuple[float, float, float]:
    """Accuracy without and with training, and the seconds of an epoch."""
    untrained, model = copy(source), copy(source)
    compressor.compress(untrained, DATA, epochs=0, directory=Path())
    begun = time.perf_counter()
    compressor.compress(model, DATA, epochs=epochs, directory=Path())
    spent = time.perf_counter() - begun
    begun = time.perf_counter()
    compressor.compress(copy(source), DATA, epochs=1, directory=Path())
    once = time.perf_counter() - begun
    return accuracy(untrained), accuracy(model), (spent - once) / (epochs - 1)


def seconds(model: keras.Model, epochs: int) -> float:
    """Seconds of an epoch of plain training, the first, which traces, left out."""
    model.fit(DATA.dataset("train"), verbose=0)
    begun = time.perf_counter()
    model.fit(DATA.dataset("train"), epochs=epochs, verbose=0)
    return (time.perf_counter() - begun) / epochs


if __name__ == "__main__":
    main()

"""What ending bad trials saves: the same search with and without it, on Fashion-MNIST.

Both searches try the same values, drawn at random, with the same seeds. Prints for each seed the best validation
accuracy of both, and the share of epochs that the second needed.

python benchmarks/asha.py --folder /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfkit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rule", default="asha")
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"no {options.folder}: apt-get install dataset-fashion-mnist")
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    differences, shares = [], []
    for seed in range(options.first, options.first + options.seeds):
        data = fashion(options.folder, options.rows, seed)
        (full, all_epochs), (best, epochs) = (
            searched(data, options.trials, options.epochs, seed, rule) for rule in (None, options.rule)
        )
        differences.append(best - full)
        shares.append(epochs / all_epochs)
        print(
            f"seed {seed}: {all_epochs} epochs, best {full:.4f}; {options.rule}: {epochs} epochs "
            f"({shares[-1]:.2f}), best {best:.4f} ({differences[-1]:+.4f})",
            flush=True,
        )
    print(f"mean of {options.seeds}: {statistics.mean(shares):.2f} of the epochs, {statistics.mean(differences):+.4f}")


def searched(data: tfkit.Data, trials: int, epochs: int, seed: int, rule: str | None) -> tuple[float, int]:
    """The best score, and the epochs that all trials took together."""
    result = tfkit.search(
        build,
        data,
        searcher="random",
        objective="val_accuracy",
        trials=trials,
        epochs=epochs,
        seed=seed,
        stop_early=rule,
    )
    return result.best_score, sum(len(trial.history["val_accuracy"]) for trial in result.trials)


def build(hp) -> keras.Model:
    layers = []
    for block in range(hp.Int("blocks", 1, 3)):
        layers += [keras.layers.Conv2D(hp.Choice("filters", [8, 16, 32]) * 2**block, 3, padding="same")]
        layers += [keras.layers.ReLU(), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dropout(hp.Float("dropout", 0.0, 0.6)), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    optimizer = keras.optimizers.get(hp.Choice("optimizer", ["adam", "sgd"]))
    optimizer.learning_rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def fashion(folder: Path, rows: int, seed: int) -> tfkit.Data:
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1).astype("float32") / 255
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8).astype("int32")
    order = np.random.default_rng(seed).permutation(len(y))
    train, validation = order[:rows], order[-2000:]
    return tfkit.Data((x[train], y[train]), (x[validation], y[validation]), batch_size=64, seed=seed)


if __name__ == "__main__":
    main()

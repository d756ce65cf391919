"""What distillation brings: a student of at most a tenth of its teacher's size, taught, against the same one alone.

Both begin with the same weights and see the same batches, equally many; a seed changes weights and batches. The
temperature and alpha are those with the best validation accuracy of a seed that does not count. Prints the accuracies
on the test part, and the mean of the paired differences with its 95% interval (Student's t).

python benchmarks/distill.py --data digits --mixup
python benchmarks/distill.py --data fashion --folder /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfkit
from tfkit_compressors.distillation.student import student

GRID = [(temperature, alpha) for temperature in (1.0, 2.0, 4.0) for alpha in (0.1, 0.5)]
CHOOSING_SEED = 100
T_975 = {5: 2.776, 10: 2.262, 20: 2.093}  # Student's t of so many differences, two-sided 95%.


@dataclass(frozen=True)
class Task:
    """What is learned: data, the teacher, and how much smaller and for how long its student."""

    data: tfkit.Data
    teacher: Callable[[], keras.Model]
    teacher_epochs: int
    width: float
    epochs: int
    rows: int | None = None  # Of the train part, that the student sees; None for all.
    mixup: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("digits", "fashion"), default="digits")
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--rows", type=int, default=4000, help="rows of fashion to train on")
    parser.add_argument("--student-rows", type=int, help="rows that the student sees, of those that the teacher saw")
    parser.add_argument("--mixup", action="store_true", help="students see mixtures of two rows, labels mixed alike")
    parser.add_argument("--split", type=int, default=0, help="seed of the split of digits")
    parser.add_argument("--seeds", type=int, choices=sorted(T_975), default=5)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    task = digits(options.split) if options.data == "digits" else fashion(options.folder, options.rows)
    run(dataclasses.replace(task, rows=options.student_rows, mixup=options.mixup), options.seeds)


def run(task: Task, seeds: int) -> None:
    begun = time.perf_counter()
    teacher = trained_teacher(task)
    small = student(teacher, task.width, dropout=0.0)
    sizes = teacher.count_params(), small.count_params()
    assert 10 * sizes[1] <= sizes[0], "the student must be at most a tenth of the teacher"
    print(
        f"teacher {sizes[0]} parameters, validation {accuracy(teacher, task, 'validation'):.4f}, test "
        f"{accuracy(teacher, task, 'test'):.4f}; student {sizes[1]} ({sizes[0] / sizes[1]:.1f} times smaller)",
        flush=True,
    )
    temperature, alpha = chosen(task, teacher)
    differences = []
    for seed in range(seeds):
        pair = [fitted(task, teacher, seed, params) for params in (None, (temperature, alpha))]
        alone, taught = (accuracy(model, task, "test") for model in pair)
        differences.append(taught - alone)
        print(f"seed {seed}: alone {alone:.4f}, taught {taught:.4f}, {differences[-1]:+.4f}", flush=True)
    mean, spread = statistics.mean(differences), statistics.stdev(differences)
    half = T_975[seeds] * spread / seeds**0.5
    print(f"difference {mean:+.4f}, 95% interval {mean - half:+.4f} to {mean + half:+.4f}, {seeds} seeds")
    print(f"{time.perf_counter() - begun:.0f} s")


def chosen(task: Task, teacher: keras.Model) -> tuple[float, float]:
    scores = {}
    for params in (None, *GRID):
        scores[params] = accuracy(fitted(task, teacher, CHOOSING_SEED, params), task, "validation")
        told = "alone" if params is None else f"temperature {params[0]:g}, alpha {params[1]:g}"
        print(f"  validation: {told}: {scores[params]:.4f}", flush=True)
    best = max(GRID, key=lambda params: scores[params])
    print(f"chosen: temperature {best[0]:g}, alpha {best[1]:g}", flush=True)
    return best


def trained_teacher(task: Task) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = task.teacher()
    compile_for(model, task, task.teacher_epochs)
    x, y = task.data.part("train")
    data = dataclasses.replace(task.data, train=(x, np.eye(10, dtype="float32")[y]), validation=None, test=None)
    model.fit(data.dataset("train"), epochs=task.teacher_epochs, shuffle=False, verbose=0)
    return model


def fitted(task: Task, teacher: keras.Model, seed: int, params: tuple[float, float] | None) -> keras.Model:
    """A student after training: alone where params is None, else taught with (temperature, alpha)."""
    keras.utils.set_random_seed(seed)
    model = student(teacher, task.width, dropout=0.0)
    compile_for(model, task, task.epochs, task.rows)
    x, y = task.data.arrays("train", task.rows)
    data = tfkit.Data((x, np.eye(10, dtype="float32")[y]), batch_size=task.data.batch_size, seed=seed)
    if task.mixup:
        data = tfkit.Data(mixed(data.dataset("train"), seed))
    if params is None:
        model.fit(data.dataset("train"), epochs=task.epochs, shuffle=False, verbose=0)
        return model
    distill = tfkit.create("compressor", "distill", teacher=teacher, temperature=params[0], alpha=params[1])
    return distill.compress(model, data, epochs=task.epochs, directory=Path()).model


def mixed(batches: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Each row with another of its batch, in a share between 0 and 1 (mixup, Zhang and others 2018)."""
    shares = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)

    def mix(batch: Any, number: Any) -> Any:
        share = tf.cast(number % 1000, tf.float32) / 999
        return tuple(share * each + (1 - share) * each[::-1] for each in batch)

    return tf.data.Dataset.zip(batches, shares).map(mix)


def compile_for(model: keras.Model, task: Task, epochs: int, rows: int | None = None) -> None:
    steps = epochs * -(-len(task.data.arrays("train", rows)[0]) // task.data.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=False)


def accuracy(model: keras.Model, task: Task, part: Any) -> float:
    x, y = task.data.part(part)
    return float((model.predict(x, batch_size=500, verbose=0).argmax(axis=1) == y).mean())


def digits(split: int) -> Task:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(split).permutation(len(y))
    x, y = x[order].astype("float32") / 16, y[order]
    parts = [(x[rows], y[rows]) for rows in (slice(0, 600), slice(600, 900), slice(900, None))]
    data = tfkit.Data(parts[0], validation=parts[1], test=parts[2], batch_size=32)

    def teacher() -> keras.Model:
        hidden = [keras.layers.Dense(256, "relu"), keras.layers.Dropout(0.5)]
        return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(128, "relu"), keras.layers.Dense(10)])

    return Task(data, teacher, teacher_epochs=40, width=0.16, epochs=100)


def fashion(folder: Path, rows: int) -> Task:
    x, y = images(folder, "train")
    order = np.random.default_rng(0).permutation(len(y))
    train, validation = order[:rows], order[-5000:]
    data = tfkit.Data(
        (x[train], y[train]), validation=(x[validation], y[validation]), test=images(folder, "t10k"), batch_size=64
    )

    def teacher() -> keras.Model:
        layers: list[Any] = []
        for filters in (32, 64, 128):
            layers += [keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)]
            layers += [keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.MaxPooling2D()]
        layers += [keras.layers.Flatten(), keras.layers.Dropout(0.4), keras.layers.Dense(128, "relu")]
        return keras.Sequential([keras.Input((28, 28, 1)), *layers, keras.layers.Dropout(0.4), keras.layers.Dense(10)])

    return Task(data, teacher, teacher_epochs=12, width=0.25, epochs=10)


def images(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1).astype("float32") / 255
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        return x, np.frombuffer(file.read(), np.uint8, offset=8).astype("int32")


if __name__ == "__main__":
    main()

"""What a metric costs beside scikit-learn or scipy: the same rows, ratio of the medians of their times.

Both take turns, of three calls each, so that what else the machine does meets both alike; the first call of a turn,
which finds the caches full of the other's data, is a figure of its own. tfkit's time is one update with all rows and
the result.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import scipy.stats
import sklearn.metrics as sk
import tensorflow as tf

import tfkit

ROWS, CALLS = 1_000_000, 3
# Scores of 1,000,000 rows and 1000 classes would fill the memory; to rank them takes seconds.
SCORED_ROWS, RANKED_ROWS = {10: ROWS, 1000: 100_000}, {10: ROWS, 1000: 20_000}
Case = tuple[str, dict[str, Any], tuple[Any, ...], Callable[[], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="", help="names with commas between")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    only = set(filter(None, options.only.split(",")))
    print("ratio of the times of calls in a row, their time, ratio of first calls")
    for label, cases in (
        ("10 classes", of_classes(10)),
        ("1000 classes", of_classes(1000)),
        ("numbers", of_numbers()),
    ):
        for case in cases:
            if not only or case[0] in only:
                print(f"{label:<13}{line(case, options.turns)}", flush=True)


def line(case: Case, turns: int) -> str:
    name, params, columns, theirs = case
    metric = tfkit.create("metric", name, dtype="float64", **params)
    tensors = tuple(map(tf.convert_to_tensor, columns))

    def ours() -> Any:
        metric.update_state(*tensors)
        return np.asarray(metric.result())

    np.testing.assert_allclose(ours(), theirs(), rtol=1e-6, atol=1e-6, err_msg=name)  # and both are warm
    mine, other = [], []
    for _ in range(turns):
        mine.append(seconds(ours, metric.reset_state))
        other.append(seconds(theirs, lambda: None))
    first, mine = statistics.median(each[0] for each in mine), median(mine)
    ratio, cold = mine / median(other), first / statistics.median(each[0] for each in other)
    return f"{name:<20}{ratio:.3f} of {median(other) * 1e3:.0f} ms, first calls {cold:.3f}; {len(columns[1])} rows"


def seconds(function: Callable[[], Any], before: Callable[[], Any]) -> list[float]:
    """Times of the calls of a turn; what comes before each does not count."""
    times = []
    for _ in range(CALLS):
        before()
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return times


def median(turns: list[list[float]]) -> float:
    """The median time of all calls but the first of each turn."""
    return statistics.median(each for turn in turns for each in turn[1:])


def of_classes(classes: int) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    ids, predicted = rng.integers(0, classes, (2, ROWS))
    known = {"num_classes": classes}
    averaged = {"average": "macro", "zero_division": 0.0}
    for name, function in {
        "accuracy": sk.accuracy_score,
        "balanced-accuracy": sk.balanced_accuracy_score,
        "confusion-matrix": sk.confusion_matrix,
        "mcc": sk.matthews_corrcoef,
        "cohen-kappa": sk.cohen_kappa_score,
        "precision": partial(sk.precision_score, **averaged),
        "recall": partial(sk.recall_score, **averaged),
        "f1": partial(sk.f1_score, **averaged),
        "jaccard": partial(sk.jaccard_score, **averaged),
    }.items():
        yield name, known, (ids, predicted), partial(function, ids, predicted)
    rows = SCORED_ROWS[classes]
    ids = np.concatenate([np.arange(classes), ids[: rows - classes]])
    scores = rng.random((rows, classes), dtype="float32")
    scores /= scores.sum(1, keepdims=True)
    labels = np.arange(classes)
    for name, params, function in (
        ("top-k-accuracy", {"k": 5}, partial(sk.top_k_accuracy_score, k=5, labels=labels)),
        ("log-loss", {}, partial(sk.log_loss, labels=labels)),
        ("brier", {}, partial(sk.brier_score_loss, labels=labels)),
    ):
        yield name, params, (ids, scores), partial(function, ids, scores)
    ids, scores = ids[: RANKED_ROWS[classes]], scores[: RANKED_ROWS[classes]]
    for name, params, function in (
        ("roc-auc", {}, partial(sk.roc_auc_score, multi_class="ovr")),
        ("average-precision", {}, sk.average_precision_score),
    ):
        yield name, params, (ids, scores), partial(function, ids, scores)


def of_numbers() -> Iterator[Case]:
    x, noise = np.random.default_rng(0).normal(size=(2, ROWS))
    y = x + noise
    for name, function in {
        "mae": sk.mean_absolute_error,
        "mse": sk.mean_squared_error,
        "rmse": sk.root_mean_squared_error,
        "r2": sk.r2_score,
        "pearson": lambda x, y: scipy.stats.pearsonr(x, y).statistic,
        "spearman": lambda x, y: scipy.stats.spearmanr(x, y).statistic,
    }.items():
        yield name, {}, (x, y), partial(function, x, y)


if __name__ == "__main__":
    main()

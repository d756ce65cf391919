"""Problems added to those of the facts, to choose variants on."""

from __future__ import annotations

import math

import keras_tuner
import numpy as np
from search_problems.problem import Problem, Values, floats


def _array(values: Values, count: int) -> np.ndarray:
    return np.array([values[f"x{each}"] for each in range(count)])


_SHEKEL_C = np.array([0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5])
_SHEKEL_A = np.array(
    [
        *([4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7]),
        *([2, 9, 2, 9], [5, 5, 3, 3], [8, 1, 8, 1], [6, 2, 6, 2], [7, 3.6, 7, 3.6]),
    ]
)


def shekel(values: Values) -> float:
    """Ten narrow holes."""
    distances = ((_array(values, 4) - _SHEKEL_A) ** 2).sum(1)
    return -float((1 / (distances + _SHEKEL_C)).sum())


_HILLS = np.random.default_rng(6)
_HILLS_A = 10 ** _HILLS.uniform(0.0, 1.4, (5, 5))
_HILLS_P = _HILLS.uniform(0.1, 0.9, (5, 5))


def hills(values: Values) -> float:
    """Five broad holes of about the same depth, each long in some directions."""
    inner = (_HILLS_A * (_array(values, 5) - _HILLS_P) ** 2).sum(1)
    return -float(np.array([1.0, 1.3, 2.0, 2.2, 2.4]) @ np.exp(-inner))


def styblinski(values: Values) -> float:
    x = _array(values, 4)
    return float(0.5 * (x**4 - 16 * x**2 + 5 * x).sum())


def few_of_many(values: Values) -> float:
    """Three of sixteen count."""
    x, y, z = (values[f"x{each}"] for each in (2, 7, 11))
    return (x - 0.31) ** 2 * 4 + abs(y - 0.83) + (z - 0.5 * x - 0.4) ** 2 * 6 + 0.3 * math.sin(9 * x * y) ** 2


def families_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("family", ["linear", "trees", "network"])
    hp.Float("share", 0.1, 1.0)
    with hp.conditional_scope("family", ["linear"]):
        hp.Float("penalty", 1e-5, 10.0, sampling="log")
        hp.Float("mix", 0.0, 1.0)
    with hp.conditional_scope("family", ["trees"]):
        hp.Int("depth", 1, 12)
        hp.Float("shrinkage", 1e-3, 1.0, sampling="log")
        hp.Int("trees", 10, 1000, sampling="log")
    with hp.conditional_scope("family", ["network"]):
        hp.Float("rate", 1e-5, 1e-1, sampling="log")
        hp.Int("units", 4, 512, sampling="log")
        hp.Choice("solver", ["sgd", "adam"])


def families(values: Values) -> float:
    """Three families of models, each with hyperparameters of its own; a network is best by little."""
    share = 0.2 * (values["share"] - 0.7) ** 2
    if values["family"] == "linear":
        return 0.30 + share + 0.01 * (math.log10(values["penalty"]) + 2) ** 2 + 0.05 * (values["mix"] - 0.2) ** 2
    if values["family"] == "trees":
        steps = math.log10(values["shrinkage"] * values["trees"]) - 1.3
        return 0.14 + share + 0.004 * (values["depth"] - 5) ** 2 + 0.1 * steps**2
    best = {"sgd": -1.7, "adam": -3.2}[values["solver"]]
    rate = math.log10(values["rate"]) - best - 0.3 * math.log10(values["units"] / 64)
    size = math.log10(values["units"] / 160)
    return 0.10 + share + 0.15 * min(rate**2, 3.0) + 0.12 * size**2 + (0.02 if values["solver"] == "sgd" else 0.0)


def layers_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Int("layers", 1, 4)
    for layer in range(4):
        with hp.conditional_scope("layers", list(range(layer + 1, 5))):
            hp.Int(f"units{layer}", 8, 256, sampling="log")
            hp.Float(f"dropout{layer}", 0.0, 0.5, step=0.1)
    hp.Float("rate", 1e-5, 1e-1, sampling="log")


def layers(values: Values) -> float:
    """Each layer with its width and its dropout; three are best, wide and then narrower."""
    found = 0.15 * (math.log10(values["rate"]) + 2.6 + 0.15 * values["layers"]) ** 2
    found += (0.5, 0.15, 0.0, 0.12)[values["layers"] - 1]
    for layer, best in zip(range(values["layers"]), (160, 90, 40, 20)):
        found += 0.08 * math.log2(values[f"units{layer}"] / best) ** 2 / (layer + 1)
        found += (values[f"dropout{layer}"] - 0.1 * (layer + 1)) ** 2
    return found


def network_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
    hp.Float("rate", 1e-5, 1.0, sampling="log")
    hp.Int("units", 8, 512, sampling="log")
    hp.Choice("batch", [16, 32, 64, 128, 256])
    hp.Float("dropout", 0.0, 0.6, step=0.1)
    hp.Float("decay", 1e-7, 1e-2, sampling="log")
    hp.Choice("activation", ["relu", "tanh", "gelu", "elu"])
    hp.Boolean("norm")


def network(values: Values) -> float:
    """A loss as of a network: it diverges at rates that are too high, and shows NaN far beyond."""
    best = {"sgd": -0.5, "momentum": -1.5, "adam": -2.8, "rmsprop": -3.1}[values["optimizer"]]
    over = math.log10(values["rate"]) - best - 0.5 * math.log10(values["batch"] / 64) - 0.3 * values["norm"]
    if over > 1.5:
        return math.nan
    if over > 0.9:
        return 10 ** (3 * over)
    loss = 0.25 + 0.12 * over**2 + 0.05 * (math.log2(values["units"] / 200) / 2) ** 2
    loss += 0.4 * (values["dropout"] - 0.2 - 0.1 * (values["units"] > 256)) ** 2
    loss += (
        0.008 * (math.log10(values["decay"]) + 4.5) ** 2
        + {16: 0.01, 32: 0, 64: 0.01, 128: 0.03, 256: 0.07}[values["batch"]]
    )
    loss += {"relu": 0.01, "tanh": 0.06, "gelu": 0.0, "elu": 0.02}[values["activation"]] + 0.03 * (not values["norm"])
    return loss + {"sgd": 0.05, "momentum": 0.01, "adam": 0.0, "rmsprop": 0.02}[values["optimizer"]]


def counts_space(hp: keras_tuner.HyperParameters) -> None:
    for each in range(5):
        hp.Int(f"x{each}", -8, 8)
    hp.Choice("kind", ["a", "b", "c", "d", "e"])


def counts(values: Values) -> float:
    """Whole numbers that go together, and a choice that moves where they are best."""
    x = _array(values, 5) - {"a": 0, "b": 2, "c": -3, "d": 5, "e": -1}[values["kind"]]
    rest = {"a": 3.0, "b": 0.0, "c": 1.0, "d": 0.5, "e": 2.0}[values["kind"]]
    return float((x**2).sum() + 4 * (x[1:] - x[:-1]) @ (x[1:] - x[:-1]) / 4 + rest + 3 * (1 - np.cos(x)).mean())


def griewank_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("a", -40.0, 60.0)
    hp.Float("b", -60.0, 40.0)
    hp.Float("c", 1e-6, 1.0, sampling="log")
    hp.Choice("d", [1, 2, 4, 8, 16])
    hp.Choice("e", ["p", "q", "r"])


def griewank(values: Values) -> float:
    x = np.array(
        [values["a"] - 7, values["b"] + 11, 8 * (math.log10(values["c"]) + 2.2), 6 * math.log2(values["d"] / 4)]
    )
    plain = float((x**2).sum() / 400 - np.prod(np.cos(x / np.sqrt(np.arange(1, 5)))) + 1)
    return plain + {"p": 0.6, "q": 0.0, "r": 1.5}[values["e"]]


def ridge(values: Values) -> float:
    """A curved, narrow valley on a large scale, with an outlier's heights at its ends."""
    x = _array(values, 3)
    return float(1e3 * (x[1] - math.sin(3 * x[0])) ** 4 + 30 * (x[2] - x[0] * x[1]) ** 2 + (x[0] - 0.6) ** 2)


ADDED = (
    Problem("Shekel4", floats(*(f"x{each}" for each in range(4)), high=10.0), shekel, -10.536409816692),
    Problem(
        "Styblinski4 noisy",
        floats(*(f"x{each}" for each in range(4)), low=-5.0, high=5.0),
        styblinski,
        -156.66466281508,
        4.0,
    ),
    Problem("Hills5", floats(*(f"x{each}" for each in range(5))), hills, -3.68937025649585),
    Problem("Few of many", floats(*(f"x{each}" for each in range(16))), few_of_many, 0.0393992104257669),
    Problem("Families", families_space, families, 0.10),
    Problem("Layers", layers_space, layers),
    Problem("Network", network_space, network, 0.25),
    Problem("Counts", counts_space, counts),
    Problem("Griewank mixed", griewank_space, griewank),
    Problem("Ridge", floats(*(f"x{each}" for each in range(3)), low=-2.0, high=2.0), ridge),
)

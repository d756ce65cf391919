"""The six problems of the measured facts: three closed forms, two of them made mixed, and a table of real trainings."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import keras_tuner
import numpy as np
from search_problems.problem import Problem, Values, floats


def branin(values: Values) -> float:
    x, y = values["x"], values["y"]
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def branin_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("x", -5.0, 10.0)
    hp.Float("y", 0.0, 15.0)


_HARTMANN6_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN6_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(values: Values) -> float:
    x = np.array([values[f"x{each}"] for each in range(6)])
    inner = (_HARTMANN6_A * (x - _HARTMANN6_P) ** 2).sum(1)
    return -float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner))


def ackley(x: np.ndarray) -> float:
    return float(
        20 + math.e - 20 * math.exp(-0.2 * math.sqrt(np.mean(x**2))) - math.exp(np.mean(np.cos(2 * math.pi * x)))
    )


def ackley5_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("a", -20.0, 30.0)
    hp.Float("b", -30.0, 20.0)
    hp.Float("c", 1e-4, 1.0, sampling="log")  # best at 10 ** -2.5
    hp.Int("d", -16, 32)
    hp.Choice("e", ["p", "q", "r", "s"])


def ackley5(values: Values) -> float:
    c = 10 * (math.log10(values["c"]) + 2.5)
    e = {"p": 6.0, "q": 0.0, "r": -3.0, "s": 12.0}[values["e"]]
    return ackley(np.array([values["a"] - 3.3, values["b"] + 7.7, c, values["d"] - 5, e]))


def rosenbrock4(values: Values) -> float:
    x = np.array([values[f"x{each}"] for each in range(4)])
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def levy4_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("a", -10.0, 10.0)
    hp.Float("b", 1e-3, 1e2, sampling="log")  # best at 1
    hp.Int("c", -10, 10)
    hp.Choice("d", ["p", "q", "r"])


def levy4(values: Values) -> float:
    d = {"p": 4.0, "q": 1.0, "r": -5.0}[values["d"]]
    w = 1 + (np.array([values["a"], 4 * math.log10(values["b"]) + 1, values["c"], d]) - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    ends = math.sin(math.pi * w[0]) ** 2 + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return float(middle + ends)


def digits_space(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("lr", 1e-4, 1e-1, sampling="log")
    hp.Int("hidden", 4, 128, sampling="log")
    hp.Float("alpha", 1e-6, 10.0, sampling="log")
    hp.Int("batch", 16, 256, sampling="log")
    hp.Choice("activation", ["relu", "tanh", "logistic"])


def digits(path: Path) -> Problem:
    """Error of scikit-learn's MLPClassifier on its digits: a table, linear between its points in the logarithms."""
    from scipy.interpolate import RegularGridInterpolator

    table = np.load(path)
    errors = table["err"]
    activations = [str(each) for each in table["act"]]

    @cache
    def surface(activation: str) -> RegularGridInterpolator:
        axes = [np.log(table[each]) for each in ("lr", "hid", "alpha", "batch")]
        return RegularGridInterpolator(
            axes, errors[..., activations.index(activation)], bounds_error=False, fill_value=None
        )

    def value(values: Values) -> float:
        point = [math.log(values[each]) for each in ("lr", "hidden", "alpha", "batch")]
        return float(surface(values["activation"])(point)[0])

    return Problem("Digits", digits_space, value, float(errors.min()))


CLOSED = (
    Problem("Branin", branin_space, branin, 0.39788735772973816),
    Problem("Hartmann6", floats(*(f"x{each}" for each in range(6))), hartmann6, -3.322368011415515),
    Problem("Ackley5 mixed", ackley5_space, ackley5),
    Problem("Rosenbrock4", floats(*(f"x{each}" for each in range(4)), low=-5.0, high=10.0), rosenbrock4),
    Problem("Levy4 mixed", levy4_space, levy4),
)

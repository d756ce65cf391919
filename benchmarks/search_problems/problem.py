"""What a problem is: a space, a function over it, and the best that can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner
import numpy as np

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something to be minimized.

    Attributes:
        name: For the tables.
        declare: Declares the hyperparameters, as a build function does.
        value: The function, NaN where a trial fails; without its noise.
        optimum: Its least value.
        noise: Standard deviation of what is added to each measurement.
    """

    name: str
    declare: Callable[[keras_tuner.HyperParameters], None]
    value: Callable[[Values], float]
    optimum: float = 0.0
    noise: float = 0.0

    def space(self) -> keras_tuner.HyperParameters:
        hp = keras_tuner.HyperParameters()
        self.declare(hp)
        return hp

    def measured(self, values: Values, generator: np.random.Generator) -> float:
        return self.value(values) + self.noise * float(generator.standard_normal())


def floats(*names: str, low: float = 0.0, high: float = 1.0) -> Callable[[keras_tuner.HyperParameters], None]:
    """Declares floats of one range."""

    def declare(hp: keras_tuner.HyperParameters) -> None:
        for name in names:
            hp.Float(name, low, high)

    return declare

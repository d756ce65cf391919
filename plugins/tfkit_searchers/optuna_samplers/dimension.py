"""One hyperparameter as Optuna takes it."""

from __future__ import annotations

from typing import Any

import optuna
from keras_tuner.engine.hyperparameters import Float, Int
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tfkit_searchers.axes import Axis
from tfkit_searchers.levels import levels

_MOST_LEVELS = 1000  # among more, a value is not looked for


class Dimension:
    """A hyperparameter's name, distribution and values as Optuna takes them.

    What has steps or an order is an index to Optuna, which has no steps of logarithms and no order of choices; what
    is sampled as reverse_log, or has very many steps, is a position from 0 to 1.

    Args:
        parameter: The hyperparameter.
        name: One that no other has: in different scopes KerasTuner's may be the same.

    Example:
        >>> dimension = Dimension(Int("units", 4, 256, step=4, sampling="log"), "units")
        >>> dimension.distribution, dimension.inner(64), dimension.value(2)
        (IntDistribution(high=3, log=False, low=0, step=1), 2, 64)
    """

    def __init__(self, parameter: Any, name: str) -> None:
        self.name = name
        self._parameter = parameter
        self._axis = Axis(parameter)
        self._levels = levels(parameter)
        self._kind, self.distribution = self._distribution()

    def suggested(self, trial: optuna.Trial) -> Any:
        """The value that a trial's sampler chooses."""
        found = self.distribution
        if isinstance(found, CategoricalDistribution):
            return self.value(trial.suggest_categorical(self.name, found.choices))
        if isinstance(found, FloatDistribution):
            return self.value(trial.suggest_float(self.name, found.low, found.high, log=found.log))
        assert isinstance(found, IntDistribution)
        return self.value(trial.suggest_int(self.name, found.low, found.high, log=found.log))

    def value(self, inner: Any) -> Any:
        """The hyperparameter's value for Optuna's."""
        if self._kind == "index":
            assert self._levels is not None
            return self._levels[inner]
        return self._axis.value(inner) if self._kind == "position" else inner

    def inner(self, value: Any) -> Any:
        """Optuna's value for the hyperparameter's."""
        if self._kind == "index":
            assert self._levels is not None
            # What was enqueued may lie between two steps.
            return self._levels.index(self._axis.value(self._axis.coordinate(value)))
        return self._axis.coordinate(value) if self._kind == "position" else value

    def _distribution(self) -> tuple[str, BaseDistribution]:
        parameter = self._parameter
        if self._axis.is_category:
            return "same", CategoricalDistribution(self._levels)
        if not isinstance(parameter, (Int, Float)) or parameter.step is not None or self._is_one():
            assert self._levels is not None
            if isinstance(self._levels, range) or len(self._levels) <= _MOST_LEVELS:
                return "index", IntDistribution(0, len(self._levels) - 1)
            return "position", FloatDistribution(0.0, 1.0)
        if parameter.sampling == "reverse_log":
            return "position", FloatDistribution(0.0, 1.0)
        make = IntDistribution if isinstance(parameter, Int) else FloatDistribution
        return "same", make(parameter.min_value, parameter.max_value, log=parameter.sampling == "log")

    def _is_one(self) -> bool:
        return bool(self._parameter.min_value == self._parameter.max_value)

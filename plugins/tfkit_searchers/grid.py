"""Grid search."""

from __future__ import annotations

from collections.abc import Iterator

from tfkit_searchers import space
from tfkit_searchers.levels import grid_levels
from tfkit_searchers.oracle import DurableOracle


class GridSearch(DurableOracle):
    """Every combination of values in turn: the defaults first, the last hyperparameter changing fastest.

    A range of floats without a step, and a logarithmic range of more than ten ints without one, count as
    ten values, as in KerasTuner. Nothing is computed ahead, so the grid may be larger than memory.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("units", [8, 16]), hp.Boolean("bias")
        >>> oracle = GridSearch("val_loss", hyperparameters=hp)
        >>> oracle.verbose = 0
        >>> [oracle.create_trial(f"tuner{n}").hyperparameters.values for n in range(2)]
        [{'units': 8, 'bias': False}, {'units': 8, 'bias': True}]
    """

    _walk: Iterator[space.Values] = iter(())
    _walked = -1  # the size of the space that the walk goes through

    def propose(self, number: int) -> space.Values | None:
        parameters = self.hyperparameters.space
        if self._walked != len(parameters):
            self._walked = len(parameters)
            self._walk = space.combinations(tuple(parameters), grid_levels)
        return next((values for values in self._walk if not self.is_tried(values)), None)

    def _forget(self) -> None:
        super()._forget()
        self._walked = -1

"""find_learning_rate: rates that a model can be trained with, from one short fit that leaves it as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.data import Data
from tfkit.errors import ModelError, ParameterError
from tfkit.models import require_compiled


@dataclass(frozen=True)
class LearningRates:
    """What `find_learning_rate` saw.

    Attributes:
        suggested: The rate where the loss falls fastest: to begin with, or as the peak of a one-cycle.
        rates: The rate of each batch.
        losses: The loss of each batch before its update.
        smoothed: The losses, smoothed.
    """

    suggested: float
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]


def find_learning_rate(
    model: Any, data: Any, *, low: float = 1e-6, high: float = 10.0, steps: int = 100
) -> LearningRates:
    """Trains on a batch after another while the rate rises from `low` to `high`, and looks how the loss takes it.

    The learning-rate range test of Smith (2017) with the losses smoothed, and the steepest fall suggested, as fastai
    does. It ends early when the loss runs away or is not finite. The model is left as it was: weights, the optimizer
    with its count of steps, the state of random numbers. A schedule of the optimizer plays no part.

    Args:
        model: A built and compiled model.
        data: A Data, of which the train part is taken, or such a part; too few batches are gone through again.
        low: The first rate.
        high: The last rate.
        steps: Batches.

    Raises:
        ParameterError: The rates do not rise from above 0, or there are fewer than 10 steps.
        ModelError: The model is not built or not compiled, or the loss falls at no rate.

    Example:
        >>> import keras, numpy as np, tfkit
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> rows = np.linspace(-1, 1, 32)[:, None]
        >>> found = find_learning_rate(model, (rows, 3 * rows), steps=50)
        >>> bool(1e-3 < found.suggested < 10), int(model.optimizer.iterations)
        (True, 0)
    """
    from tfkit.attach.range_test import RangeTest, left_as_it_was

    if not 0 < low < high or steps < 10:
        raise ParameterError(
            f"find_learning_rate needs 0 < low < high and steps >= 10; got low={low}, high={high}, steps={steps}"
        )
    batches = (data if isinstance(data, Data) else Data(data)).dataset("train").repeat()
    test = RangeTest(low, high, steps)
    with left_as_it_was(require_compiled(model)):
        # A batch an epoch: the losses of single batches, whatever the model counts in an epoch.
        model.steps_per_execution = 1
        model.fit(batches, epochs=steps, steps_per_epoch=1, shuffle=False, callbacks=[test], verbose=0)
    return _result(test.rates, test.losses)


def _result(rates: Sequence[float], losses: Sequence[float]) -> LearningRates:
    from tfkit.attach.range_test import Smoothed

    average = Smoothed()
    smoothed = [average.add(loss) for loss in losses]
    return LearningRates(_steepest(rates, smoothed), tuple(rates), tuple(losses), tuple(smoothed))


def _steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate of the steepest fall over the logarithm of the rate, of those before the least loss."""
    import numpy as np

    # Batches whose gradients make one update have one rate: the last of them counts.
    by_rate = dict(zip(rates, smoothed))
    rates, smoothed = list(by_rate), list(by_rate.values())
    least = int(np.argmin(smoothed)) if smoothed else 0
    if least < 2:
        told = f"it was {smoothed[0]:.4g} at {rates[0]:.2g}" if smoothed else "it is not finite"
        raise ModelError(
            f"the loss falls at no learning rate: {told}; pass a lower low= or more steps=, or look at model and data"
        )
    slopes = np.gradient(np.asarray(smoothed[: least + 1]), np.log(rates[: least + 1]))
    return float(rates[int(np.argmin(slopes))])

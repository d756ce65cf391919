"""Stochastic depth: residual branches that are left out at random."""

from __future__ import annotations

from typing import Literal

import keras

import tfkit
from tfkit.attach.attached import Attached
from tfkit.models import require_compiled
from tfkit_callbacks.noise.inserted import InsertedLayers
from tfkit_callbacks.noise.residuals import Residual, residuals


class StochasticDepth(Attached):
    """Leaves the residual branches of a model out at random while it trains, the deeper the more often.

    Of L residual additions the branch of the l-th is left out with probability rate · l / L, as in Huang et al. 2016,
    "Deep networks with stochastic depth". There a branch counts by its probability at inference; here what is left
    counts 1 / (1 − that) in training, as in torchvision and timm: the expectation is the same, and the model infers
    as ever and needs nothing after the fit.

    Args:
        rate: How often the last branch is left out, in (0, 1).
        mode: "row" draws for each row, "batch" for a whole batch (on each replica), as in the paper.
        seed: Of what is random.

    Attributes:
        rates: Once a fit has begun: the rate of each addition, by its name.

    Raises:
        ModelError: When the fit begins, if the model is not compiled, not built or subclassed, or has no residual
            addition: a sum of two summands, one of which the other began from, as it is or through one layer.

    Example:
        >>> import numpy as np
        >>> x = keras.Input((4,))
        >>> once = keras.layers.Add(name="once")([x, keras.layers.Dense(4)(x)])
        >>> model = keras.Model(x, keras.layers.Add(name="twice")([once, keras.layers.Dense(4)(once)]))
        >>> model.compile("sgd", "mse")
        >>> depth = StochasticDepth(rate=0.2)
        >>> history = model.fit(np.ones((4, 4)), np.ones((4, 4)), callbacks=[depth], verbose=0)
        >>> depth.rates
        {'once': 0.1, 'twice': 0.2}
    """

    def __init__(self, *, rate: float, mode: Literal["row", "batch"] = "row", seed: int = 0) -> None:
        super().__init__()
        self.rate = rate
        self.mode = mode
        self.seed = seed
        self.rates: dict[str, float] = {}
        self._inserted = InsertedLayers()

    def install(self, model: keras.Model) -> None:
        found, others = residuals(require_compiled(model))
        if not found:
            told = f"its additions, {', '.join(others[:5])}, are none" if others else "it adds nothing"
            raise tfkit.ModelError(
                f"stochastic-depth leaves out residual branches, and model {model.name!r} has none: {told}"
            )
        self.rates = {}
        with model.distribute_strategy.scope():
            for number, residual in enumerate(found, 1):
                self._add(residual, self.rate * number / len(found))
        self.random_states = self._inserted.states

    def uninstall(self, model: keras.Model) -> None:
        self._inserted.remove()
        self.random_states = ()

    def _add(self, residual: Residual, rate: float) -> None:
        self.rates[residual.operation.name] = rate
        axes = len(residual.branch.shape) - 1
        shape = (None if self.mode == "row" else 1, *[1] * axes)
        seed = self.seed + len(self._inserted.states)
        # Of the dtype that the addition has, whatever that is.
        dropped = keras.layers.Dropout(rate, noise_shape=shape, seed=seed, dtype=residual.branch.dtype, autocast=False)
        self._inserted.add(residual.operation, dropped, residual.which)

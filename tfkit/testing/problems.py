"""Labels and predictions of the usual forms, for probing metrics."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

ROWS = 40


@dataclass(frozen=True)
class Problem:
    """Labels and predictions.

    Attributes:
        name: What it is called in a failure's text.
        y_true: Labels, ROWS rows; each half holds every class.
        y_pred: Predictions, ROWS rows of float32.
        loss: A loss that takes both, for models.
    """

    name: str
    y_true: Any
    y_pred: Any
    loss: str

    def rows(self, begin: int, end: int) -> Problem:
        """The rows from begin to end."""
        return replace(self, y_true=self.y_true[begin:end], y_pred=self.y_pred[begin:end])

    def reversed(self) -> Problem:
        """The same labels with the predictions of other rows."""
        return replace(self, y_pred=self.y_pred[::-1])

    def model(self, metric: keras.metrics.Metric) -> keras.Model:
        """A compiled model whose output is its input, so that `evaluate(y_pred, y_true)` measures the problem."""
        import keras

        layers = [keras.Input(self.y_pred.shape[1:]), keras.layers.Activation("linear")]
        model = keras.Sequential(layers)
        model.compile(loss=self.loss, metrics=[metric])
        return model


@functools.cache
def problems() -> tuple[Problem, ...]:
    """The usual problems, the most particular first: class ids, two classes, several labels, numbers."""
    import numpy as np

    random = np.random.default_rng(0)

    def ids(classes: int) -> Any:
        half: Any = np.arange(ROWS // 2) % classes
        return np.concatenate([random.permutation(half), random.permutation(half)])

    def shares(classes: int) -> Any:
        return random.dirichlet(np.ones(classes), ROWS).astype("float32")

    def chances(*shape: int) -> Any:
        return random.uniform(0.01, 0.99, (ROWS, *shape)).astype("float32")

    numbers = random.normal(size=ROWS).astype("float32")
    noise = random.normal(scale=0.5, size=ROWS).astype("float32")
    entropy = "sparse_categorical_crossentropy"
    return (
        Problem("three classes", ids(3), shares(3), entropy),
        Problem("two classes", ids(2), chances(1), "binary_crossentropy"),
        Problem("ten classes", ids(10), shares(10), entropy),
        Problem("two classes by softmax", ids(2), shares(2), entropy),
        Problem("three labels", np.stack([ids(2) for _ in range(3)], 1), chances(3), "binary_crossentropy"),
        Problem("numbers", numbers, numbers + noise, "mse"),
        Problem("numbers in a column", numbers[:, None], (numbers + noise)[:, None], "mse"),
    )

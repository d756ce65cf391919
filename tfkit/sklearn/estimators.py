"""KerasClassifier and KerasRegressor: `build(hp)` with its values, as scikit-learn's estimators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# This package is scikit-learn's face, and imported by nothing else: its classes are subclasses of scikit-learn's.
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: TID253
from sklearn.utils.multiclass import check_classification_targets  # noqa: TID253
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data  # noqa: TID253

from tfkit.errors import ModelError
from tfkit.pipeline.space import Build, built


class _KerasEstimator(BaseEstimator):
    """What both have in common.

    Args:
        build: Function of KerasTuner's `hp` that returns a compiled Keras model.
        values: Values of its hyperparameters; those left out keep their defaults.
        epochs: Epochs of a fit.
        batch_size: Rows in a batch.
        random_state: Seed of Python, numpy and TensorFlow, set when a fit begins; None sets none.
        callbacks: Keras callbacks, copied for each fit; or a function that makes them.
    """

    def __init__(
        self,
        build: Build,
        values: Mapping[str, Any] | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        random_state: int | None = 0,
        callbacks: Sequence[Any] | Callable[[], Sequence[Any]] = (),
    ) -> None:
        self.build = build
        self.values = values
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.callbacks = callbacks

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Builds the model and trains it.

        Args:
            X: Rows, an array of two axes or more.
            y: Targets.
            sample_weight: Weights of the rows.

        Raises:
            ModelError: `build` returns no compiled model.
        """
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True)
        y = self._encoded(y)
        self.model_ = self._new_model()
        callbacks = self.callbacks() if callable(self.callbacks) else copy.deepcopy(list(self.callbacks))
        fitted = self.model_.fit(
            X,
            y,
            sample_weight=sample_weight,
            epochs=self.epochs,
            batch_size=self.batch_size,
            verbose=0,
            callbacks=list(callbacks),
        )
        self.history_ = fitted.history
        return self

    def _encoded(self, y: Any) -> Any:
        return y

    def _new_model(self) -> Any:
        import keras
        import keras_tuner

        if self.random_state is not None:
            keras.utils.set_random_seed(self.random_state)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(self.values or {})
        return built(self.build, hp)

    def _outputs(self, X: Any) -> Any:
        """The model's outputs as an array of shape (rows, outputs)."""
        from tfkit.pipeline.predictions import check_outputs, predict, single_output

        check_is_fitted(self)
        X = validate_data(self, X, reset=False, allow_nd=True)
        outputs = single_output(predict(self.model_, X))
        check_outputs(outputs)
        return outputs


class KerasClassifier(ClassifierMixin, _KerasEstimator):
    """A Keras classifier as scikit-learn's estimator.

    The labels may be anything; the model is given their place in `classes_`, as ids from 0 on: its loss is
    "sparse_categorical_crossentropy" with an output for each class, or "binary_crossentropy" with one output.

    Attributes:
        classes_: The labels, sorted.
        model_: The Keras model.
        history_: What Keras logged in each epoch.

    Example:
        >>> import keras, numpy as np
        >>> def build(hp):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
        ...     model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy", run_eagerly=True)
        ...     return model
        >>> x, y = np.array([[0.0, 1], [1, 0]] * 16), np.array(["no", "yes"] * 16)
        >>> KerasClassifier(build, epochs=9).fit(x, y).score(x, y)
        1.0
    """

    def _encoded(self, y: Any) -> Any:
        import numpy as np

        check_classification_targets(y)
        if np.ndim(y) == 2 and np.shape(y)[1] == 1:
            y = column_or_1d(y, warn=True)
        if np.ndim(y) != 1:
            raise ValueError(f"KerasClassifier takes one label a row; got y of shape {np.shape(y)}")
        self.classes_, ids = np.unique(y, return_inverse=True)
        return ids

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes, in the order of `classes_`: an array of shape (rows, classes).

        Raises:
            ModelError: The model's outputs do not fit the number of classes.
        """
        import numpy as np

        outputs = _probabilities(self.model_, self._outputs(X))
        if outputs.ndim != 2 or outputs.shape[1] not in {1, len(self.classes_)}:
            raise ModelError(
                f"the model answers with shape {outputs.shape} where there are {len(self.classes_)} classes: its last "
                "layer must have an output for each, or one with a sigmoid for two"
            )
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def predict(self, X: Any) -> Any:
        """The label with the largest probability of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class KerasRegressor(RegressorMixin, _KerasEstimator):
    """A Keras regression as scikit-learn's estimator; `model_` and `history_` as for `KerasClassifier`."""

    def predict(self, X: Any) -> Any:
        """The model's outputs: of shape (rows,) where there is one, else (rows, outputs)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs


def _probabilities(model: Any, outputs: Any) -> Any:
    """The outputs, after the sigmoid or softmax where the loss says that it takes what comes before."""
    import keras
    import numpy as np

    if not getattr(model.loss, "from_logits", False):
        return outputs
    return np.asarray(keras.ops.sigmoid(outputs) if outputs.shape[1] == 1 else keras.ops.softmax(outputs))

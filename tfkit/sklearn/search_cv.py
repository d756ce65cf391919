"""KerasSearchCV: a search over cross-validation, with the face of scikit-learn's RandomizedSearchCV."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# This package is scikit-learn's face, and imported by nothing else: its classes are subclasses of scikit-learn's.
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone  # noqa: TID253
from sklearn.exceptions import FitFailedWarning  # noqa: TID253
from sklearn.metrics import check_scoring  # noqa: TID253
from sklearn.model_selection import check_cv, cross_validate  # noqa: TID253
from sklearn.utils.metaestimators import available_if  # noqa: TID253
from sklearn.utils.multiclass import type_of_target  # noqa: TID253
from sklearn.utils.validation import check_is_fitted  # noqa: TID253

from tfkit.errors import ParameterError, SearchError
from tfkit.pipeline.folds import digest
from tfkit.pipeline.space import Build
from tfkit.recipe import Step
from tfkit.sklearn.cv_results import Table, cv_results
from tfkit.sklearn.estimators import KerasClassifier, KerasRegressor
from tfkit.sklearn.trials import Scores, adopt, new_oracle, run_trials, search_folder

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

_KINDS = {"classification": KerasClassifier, "regression": KerasRegressor}


def _refitted(search: KerasSearchCV) -> bool:
    return bool(search.refit)


def _classifies(search: KerasSearchCV) -> bool:
    return _refitted(search) and hasattr(getattr(search, "best_estimator_", None), "predict_proba")


class KerasSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Searches the hyperparameters of `build(hp)`, each trial's score the mean over scikit-learn's splits.

    An estimator: it may stand in a Pipeline or in `cross_val_score`. All trials are scored on the same splits.

    Args:
        build: Function of KerasTuner's `hp` that returns a compiled Keras model. For a classification see
            `KerasClassifier`: it is given ids from 0 on.
        searcher: A searcher plugin: name or (name, params).
        n_iter: Trials in all; None goes on until the searcher has tried everything.
        scoring: As for `sklearn.model_selection.cross_validate`; None is the accuracy, or r² of a regression.
            Of several metrics `refit` names the one that is searched for.
        cv: A number of folds, a splitter or an iterable of splits; None for five folds.
        refit: Whether the best trial's model is trained on all rows in the end; of several metrics, a name.
        epochs: Epochs of a fit.
        batch_size: Rows in a batch.
        callbacks: Keras callbacks, copied for each fit; or a function that makes them.
        task: "classification" or "regression"; "auto" asks `sklearn.utils.multiclass.type_of_target(y)`, to which
            whole numbers are classes.
        random_state: Seed of the search and of each fit.
        error_score: Score of a trial that fails, or "raise".
        return_train_score: Whether the scores on the train splits are told too.
        directory: Where the search is kept, to go on with after an interruption (of the same rows and splits), and to
            look at with `tfkit search show`; None keeps nothing.

    Attributes:
        best_params_: Hyperparameters of the best trial.
        best_score_: Its mean score.
        best_index_: Its place in `cv_results_`.
        best_estimator_: A `KerasClassifier` or `KerasRegressor`, trained on all rows.
        cv_results_: Dict of arrays, as RandomizedSearchCV's: params, param_…, split0_test_score, mean_test_score,
            std_test_score, rank_test_score, mean_fit_time, …
        scorer_: Scorer or scorers.
        n_splits_: Number of splits.
        refit_time_: Seconds of the last fit.

    Example:
        >>> import keras, numpy as np
        >>> def build(hp):
        ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        ...     model.compile(keras.optimizers.SGD(hp.Choice("rate", [1e-6, 0.1])), "mse", run_eagerly=True)
        ...     return model
        >>> x = np.random.default_rng(0).normal(size=(30, 1))
        >>> KerasSearchCV(build, searcher="grid", cv=2, epochs=5, refit=False).fit(x, 2 * x[:, 0]).best_params_
        {'rate': 0.1}
    """

    def __init__(
        self,
        build: Build,
        *,
        searcher: Step = "bayesian",
        n_iter: int | None = 10,
        scoring: Any = None,
        cv: Any = None,
        refit: bool | str = True,
        epochs: int = 1,
        batch_size: int = 32,
        callbacks: Sequence[Any] | Callable[[], Sequence[Any]] = (),
        task: Literal["auto", "classification", "regression"] = "auto",
        random_state: int | None = 0,
        error_score: float | Literal["raise"] = float("nan"),
        return_train_score: bool = False,
        directory: str | Path | None = None,
    ) -> None:
        self.build = build
        self.searcher = searcher
        self.n_iter = n_iter
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.epochs = epochs
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.task = task
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.directory = directory

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> KerasSearchCV:
        """Runs the trials, and trains the best on all rows.

        Args:
            X: Rows.
            y: Targets.
            groups: Groups of the rows, for splitters such as GroupKFold.
            sample_weight: Weights of the rows in the fits; scores are not weighted.

        Raises:
            ModelError: With the defaults, `build` raises or returns no compiled model.
            ParameterError: The searcher trains trials further, or `refit` names no metric.
            SearchError: No trial was completed, too many in a row have failed, or the directory is of another search.
        """
        estimator = self._estimator(y)
        splits = list(check_cv(self.cv, y, classifier=isinstance(estimator, KerasClassifier)).split(X, y, groups))
        self.n_splits_ = len(splits)
        self.multimetric_ = isinstance(self.scoring, (list, tuple, set, dict))
        if self.multimetric_:
            self._check_refit(self.scoring)
        self.scorer_ = check_scoring(estimator, scoring=self.scoring)
        weights = None if sample_weight is None else {"sample_weight": sample_weight}

        def scores(values: dict[str, Any]) -> dict[str, Any]:
            return cross_validate(
                clone(estimator).set_params(values=values),
                X,
                y,
                scoring=self.scoring,
                cv=splits,
                params=weights,
                return_train_score=self.return_train_score,
                error_score="raise",
            )

        facts = {"epochs": self.epochs, "batch_size": self.batch_size, "scoring": str(self.scoring)}
        facts["rows"] = digest([X, y, sample_weight, splits])
        self._set_results(self._searched(scores, facts))
        if self.refit:
            self._fit_best(estimator, X, y, sample_weight)
        return self

    @available_if(_refitted)  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> Any:
        """What the best model predicts."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(_classifies)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes by the best model, in the order of `classes_`."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_refitted)  # type: ignore[untyped-decorator]
    def score(self, X: Any, y: Any) -> float:
        """The best model's score, by the metric that was searched for."""
        check_is_fitted(self)
        found = self.scorer_(self.best_estimator_, X, y)
        return float(found[self.refit] if isinstance(found, dict) else found)

    @property
    def classes_(self) -> Any:
        """The labels of a classification, sorted."""
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of columns that fit was given."""
        return int(self.best_estimator_.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.task in _KINDS:
            return _KINDS[self.task](self.build).__sklearn_tags__()
        return tags

    def _estimator(self, y: Any) -> Any:
        task = self.task
        if task == "auto":
            task = "classification" if type_of_target(y) in ("binary", "multiclass") else "regression"
        if task not in _KINDS:
            raise ParameterError(
                f"the parameter 'task' of KerasSearchCV must be 'auto', {_either(_KINDS)}; got {task!r}"
            )
        options = {name: getattr(self, name) for name in ("epochs", "batch_size", "random_state", "callbacks")}
        return _KINDS[task](self.build, **options)

    def _check_refit(self, metrics: Collection[str]) -> None:
        if self.refit not in metrics:
            raise ParameterError(
                f"the parameter 'refit' of KerasSearchCV must name the metric to search for, {_either(metrics)}; "
                f"got {self.refit!r}"
            )

    def _metric(self, names: Iterable[str]) -> str:
        """Which of the scores is searched for, by their names: whether a function gives several is seen only then."""
        metrics = [name.removeprefix("test_") for name in names if name.startswith("test_")]
        self.multimetric_ = self.multimetric_ or metrics != ["score"]
        if not self.multimetric_:
            return "test_score"
        self._check_refit(metrics)
        return f"test_{self.refit}"

    def _searched(self, scores: Scores, facts: dict[str, Any]) -> list[Trial]:
        """Runs the trials that are missing; returns all that have ended."""
        oracle = new_oracle(self.searcher, self.build, self.n_iter, self.random_state)
        with search_folder(self.directory) as folder:
            adopt(folder, facts, self.searcher, self.n_iter)
            return run_trials(oracle, folder, scores, self._metric, fail=self.error_score == "raise")

    def _set_results(self, trials: Sequence[Trial]) -> None:
        told = [(trial.message or "").strip() for trial in trials if trial.status != "COMPLETED"]
        failed = f"{len(told)} of {len(trials)} trials have failed"
        if told:
            failed += f", the last with {told[-1].splitlines()[-1]}"
        if len(told) == len(trials):
            raise SearchError(failed)
        if told:
            warnings.warn(f"{failed}; they score {self.error_score}", FitFailedWarning, stacklevel=3)
        self.cv_results_: Table = cv_results(trials, self.n_splits_, self.error_score)
        metric = self._metric(name.removeprefix("mean_") for name in self.cv_results_)
        self.best_index_ = int(self.cv_results_[f"rank_{metric}"].argmin())
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        self.best_score_ = float(self.cv_results_[f"mean_{metric}"][self.best_index_])

    def _fit_best(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        begun = time.perf_counter()
        best = clone(estimator).set_params(values=self.best_params_)
        self.best_estimator_ = best.fit(X, y, sample_weight=sample_weight)
        self.refit_time_ = time.perf_counter() - begun


def _either(names: Any) -> str:
    return " or ".join(repr(name) for name in names)

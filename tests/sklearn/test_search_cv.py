"""KerasSearchCV against scikit-learn's own search on a model that computes the same; its manners as an estimator."""

import contextlib
import importlib
import sys

import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import DataConversionWarning, FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tfkit
from tfkit.pipeline.search_folder import open_search
from tfkit.sklearn import KerasClassifier, KerasRegressor, KerasSearchCV

RATES = [0.01, 0.1]
EPOCHS = 2
ONE_SPLIT = [(np.arange(40), np.arange(40, 60))]


class GradientDescent(RegressorMixin, BaseEstimator):
    """Linear regression by full-batch gradient descent from zero, in numpy."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def fit(self, X, y):
        self.kernel_, self.bias_ = np.zeros(X.shape[1]), 0.0
        for _ in range(EPOCHS):
            error = 2 * (X @ self.kernel_ + self.bias_ - y) / len(y)
            self.kernel_, self.bias_ = self.kernel_ - self.rate * X.T @ error, self.bias_ - self.rate * error.sum()
        return self

    def predict(self, X):
        return X @ self.kernel_ + self.bias_


def linear(hp):
    """The same in Keras."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", RATES)), "mse", run_eagerly=True)
    return model


def classifier(hp):
    layers = [keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer="zeros")]
    model = keras.Sequential(layers)
    model.compile(
        keras.optimizers.SGD(hp.Choice("rate", [0.5, 1e-4])), "sparse_categorical_crossentropy", run_eagerly=True
    )
    return model


def searched(build=linear, **options):
    return KerasSearchCV(build, **{"searcher": "grid", "cv": 2, "epochs": EPOCHS, "batch_size": 999, **options})


@pytest.fixture(scope="module")
def rows():
    return make_regression(60, 3, noise=5.0, random_state=0)


@pytest.fixture(scope="module")
def whole(rows):
    return searched(return_train_score=True).fit(*rows)


@pytest.fixture(scope="module")
def letters():
    x, y = make_classification(90, 4, n_classes=3, n_informative=4, n_redundant=0, random_state=0)
    return x, np.array(["a", "b", "c"])[y]


def test_it_finds_what_scikit_learns_grid_search_finds(rows, whole):
    (x, y), ours = rows, whole
    theirs = GridSearchCV(GradientDescent(), {"rate": RATES}, cv=2, return_train_score=True).fit(x, y)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name, column in theirs.cv_results_.items():
        if name.endswith(("_score", "_train")) and not name.startswith("rank"):
            assert ours.cv_results_[name] == pytest.approx(column, rel=1e-3, abs=1e-4), name
    assert list(ours.cv_results_["rank_test_score"]) == list(theirs.cv_results_["rank_test_score"])
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert list(ours.cv_results_["param_rate"]) == list(theirs.cv_results_["param_rate"])
    assert (ours.best_params_, ours.best_index_) == (theirs.best_params_, theirs.best_index_)
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-3)
    assert ours.predict(x) == pytest.approx(theirs.predict(x), rel=1e-3, abs=1e-3)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y), rel=1e-3)
    assert (ours.n_splits_, ours.n_features_in_) == (2, 3)
    assert min(ours.cv_results_["mean_fit_time"]) > 0 < ours.refit_time_


def test_scorers_splitters_and_several_metrics(rows):
    x, y = rows
    scoring = ["neg_mean_absolute_error", "r2"]
    splits, groups = GroupKFold(2), np.arange(60) % 4
    ours = searched(scoring=scoring, cv=splits, refit="r2", n_iter=1).fit(x, y, groups=groups)
    theirs = GridSearchCV(GradientDescent(), {"rate": RATES[:1]}, scoring=scoring, cv=splits, refit="r2")
    theirs.fit(x, y, groups=groups)
    for name in scoring:
        for column in (f"split1_test_{name}", f"mean_test_{name}", f"std_test_{name}"):
            assert ours.cv_results_[column] == pytest.approx(theirs.cv_results_[column], rel=1e-3)
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-3)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y), rel=1e-3)


def test_one_metric_is_no_several_whatever_refit_says(rows):
    x, y = rows
    ours = searched(scoring="r2", refit="r2", n_iter=1, cv=ONE_SPLIT).fit(x, y)
    assert (ours.multimetric_, "mean_test_score" in ours.cv_results_) == (False, True)
    assert ours.score(x, y) == pytest.approx(ours.best_estimator_.score(x, y))


def several(estimator, x, y):
    return {"size": float(len(y)), "r2": estimator.score(x, y)}


def test_a_function_that_gives_several_metrics(rows):
    x, y = rows
    ours = searched(scoring=several, refit="r2", cv=ONE_SPLIT).fit(x, y)
    assert ours.multimetric_
    assert list(ours.cv_results_["mean_test_size"]) == [20.0, 20.0]
    assert ours.best_score_ == max(ours.cv_results_["mean_test_r2"])
    assert ours.score(x, y) == pytest.approx(ours.best_estimator_.score(x, y))
    with pytest.raises(tfkit.ParameterError, match=r"must name the metric to search for, .*'size'.*; got True"):
        searched(scoring=several, cv=ONE_SPLIT).fit(x, y)


def test_labels_in_a_column(letters):
    x, y = letters
    fitted = []
    for labels in (y, y[:, None]):
        with contextlib.nullcontext() if labels.ndim == 1 else pytest.warns(DataConversionWarning):
            fitted.append(KerasClassifier(classifier).fit(x, labels))
    assert fitted[1].predict_proba(x) == pytest.approx(fitted[0].predict_proba(x))
    with pytest.raises(ValueError, match=r"one label a row|multioutput"):
        KerasClassifier(classifier).fit(x, np.stack([y, y], axis=1))


def test_a_classification_with_labels_of_any_kind(letters):
    x, y = letters
    found = searched(classifier, cv=StratifiedKFold(2), n_iter=1, scoring="neg_log_loss").fit(x, y)
    assert list(found.classes_) == ["a", "b", "c"]
    assert set(found.predict(x)) <= {"a", "b", "c"}
    probabilities = found.predict_proba(x)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(90), rel=1e-5)
    assert (found.classes_[probabilities.argmax(axis=1)] == found.predict(x)).all()
    assert found.score(x, y) == pytest.approx(
        np.log(probabilities[np.arange(90), np.searchsorted(found.classes_, y)]).mean()
    )
    assert isinstance(found.best_estimator_, KerasClassifier)


def test_a_sigmoid_and_logits_give_the_probabilities_of_two_classes():
    def build(hp, activation=None):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation, kernel_initializer="ones")])
        loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
        model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
        return model

    x, y = np.array([[0.0, 1], [2, 0], [0, -3]]), np.array([0, 1, 0])
    expected = 1 / (1 + np.exp(-x.sum(axis=1)))
    for made in (build, lambda hp: build(hp, "sigmoid")):
        found = KerasClassifier(made).fit(x, y).predict_proba(x)
        assert found[:, 1] == pytest.approx(expected, rel=1e-5)
        assert found.sum(axis=1) == pytest.approx([1, 1, 1])
    with pytest.raises(tfkit.ModelError, match="must have an output for each, or one with a sigmoid"):
        KerasClassifier(classifier).fit(np.zeros((4, 4)), [0, 1, 0, 1]).predict(np.zeros((1, 4)))


def test_it_is_an_estimator(rows):
    x, y = rows
    search = searched(n_iter=2, task="regression")
    copied = clone(search)
    assert copied.get_params() == search.get_params()
    assert copied.set_params(n_iter=1, cv=2).n_iter == 1
    assert is_regressor(search)
    assert is_classifier(searched(classifier, task="classification"))
    with pytest.raises(NotFittedError):
        search.predict(x)
    assert not hasattr(searched(refit=False), "predict")
    assert not hasattr(search, "predict_proba")
    pipeline = make_pipeline(StandardScaler(), copied)
    expected = make_pipeline(StandardScaler(), GradientDescent(RATES[0])).fit(x, y).predict(x)
    assert pipeline.fit(x, y).predict(x) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.nightly
def test_it_is_cross_validated(rows):
    x, y = rows
    nested = cross_val_score(searched(n_iter=1), x, y, cv=KFold(2))
    assert nested == pytest.approx(cross_val_score(GradientDescent(RATES[0]), x, y, cv=KFold(2)), rel=1e-3, abs=1e-4)


def test_trials_that_fail_score_the_error_score(rows):
    x, y = rows

    def failing(hp):
        rate = hp.Choice("rate", RATES)
        if rate == RATES[1]:
            raise ZeroDivisionError("no such rate")
        return linear(hp)

    with pytest.warns(FitFailedWarning, match="1 of 2 trials have failed, the last with ZeroDivisionError: no such"):
        found = searched(failing, refit=False, cv=ONE_SPLIT).fit(x, y)
    assert list(np.isnan(found.cv_results_["mean_test_score"])) == [False, True]
    assert found.cv_results_["rank_test_score"][1] == 2
    with pytest.raises(ZeroDivisionError):
        searched(failing, error_score="raise", refit=False, cv=ONE_SPLIT).fit(x, y)


def test_a_search_in_a_directory_goes_on_and_is_looked_at(rows, whole, tmp_path):
    x, y = rows
    first = searched(n_iter=1, directory=tmp_path, refit=False).fit(x, y)
    both = searched(n_iter=2, directory=tmp_path, refit=False).fit(x, y)
    assert list(both.cv_results_["mean_fit_time"][:1]) == list(first.cv_results_["mean_fit_time"])
    for name in ("split0_test_score", "mean_test_score", "std_test_score"):
        assert list(both.cv_results_[name]) == list(whole.cv_results_[name])
    looked = open_search(tmp_path)
    assert (looked.best.score, looked.best.values) == (both.best_score_, both.best_params_)
    assert looked.about["searcher"] == "grid"
    with pytest.raises(tfkit.SearchError, match="is of other rows or splits: go on as it was begun"):
        searched(directory=tmp_path).fit(x[:50], y[:50])
    with pytest.raises(tfkit.SearchError, match=f"is of epochs={EPOCHS}"):
        searched(directory=tmp_path, epochs=9).fit(x, y)


@pytest.mark.nightly
def test_weights_of_rows_reach_the_fits(rows):
    x, y = rows
    weights = np.where(np.arange(60) < 30, 1.0, 0.0)
    plain, weighted = (searched(n_iter=1, cv=ONE_SPLIT).fit(x, y, sample_weight=each) for each in (None, weights))
    assert not np.allclose(plain.cv_results_["mean_test_score"], weighted.cv_results_["mean_test_score"])
    again = KerasRegressor(linear, {"rate": RATES[0]}, epochs=EPOCHS, batch_size=999).fit(x, y, sample_weight=weights)
    assert weighted.predict(x) == pytest.approx(again.predict(x))
    assert not np.allclose(plain.predict(x), weighted.predict(x))


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"task": "clustering"}, tfkit.ParameterError, "'task' of KerasSearchCV must be 'auto', 'classification' or"),
        ({"scoring": ["r2"]}, tfkit.ParameterError, "'refit' of KerasSearchCV must name the metric .* 'r2'; got True"),
        ({"searcher": "grip"}, tfkit.PluginNotFound, "did you mean 'grid'"),
        ({"build": lambda hp: None}, tfkit.ModelError, "must return a compiled Keras model"),
    ],
)
def test_bad_arguments(rows, options, error, told):
    with pytest.raises(error, match=told):
        searched(**options).fit(*rows)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    for name in [each for each in sys.modules if each.startswith("tfkit.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(tfkit.PluginNotFound, match=r"tfkit.sklearn needs scikit-learn: pip install"):
        importlib.import_module("tfkit.sklearn")

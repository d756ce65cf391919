"""What the tests of the metrics share: their names, and what scikit-learn makes of the same rows."""

import warnings

import numpy as np
import sklearn.metrics as sk

import tfkit

AVERAGED = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "fbeta": sk.fbeta_score,
    "jaccard": sk.jaccard_score,
}
AGREEMENT = {"mcc": sk.matthews_corrcoef, "cohen-kappa": sk.cohen_kappa_score}
ALL = (*AVERAGED, "accuracy", "balanced-accuracy", *AGREEMENT, "confusion-matrix")


def reference(name, y_true, y_pred, weights, classes, average="macro", zero_division=0.0):
    """What scikit-learn makes of ids."""
    labels = range(classes)
    if name == "accuracy":
        return sk.accuracy_score(y_true, y_pred, sample_weight=weights)
    if name == "confusion-matrix":
        return sk.confusion_matrix(y_true, y_pred, labels=labels, sample_weight=weights)
    if name in AGREEMENT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rows that are all of one class
            return np.nan_to_num(AGREEMENT[name](y_true, y_pred, sample_weight=weights))
    if name == "balanced-accuracy":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes that are predicted and never true
            return sk.balanced_accuracy_score(y_true, y_pred, sample_weight=weights)
    given_labels = {"labels": labels} if average is None else {}
    beta = {"beta": 2.0} if name == "fbeta" else {}
    return AVERAGED[name](
        y_true, y_pred, average=average, sample_weight=weights, zero_division=zero_division, **given_labels, **beta
    )


def create(name, /, **params):
    return tfkit.create("metric", name, **({"beta": 2.0} if name == "fbeta" else {}), **params)

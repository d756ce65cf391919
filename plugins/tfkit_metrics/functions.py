"""Each metric as a pure function of arrays: `f1(y_true, y_pred, sample_weight=None, average="micro")`.

A function runs the metric's own code over one batch, in float64, and gives a float, or an array where the metric has
several values. Labels and predictions may have any form that the metric takes.

Example:
    >>> round(f1([0, 1, 2, 2], [0, 1, 2, 1], num_classes=3), 4)
    0.7778
    >>> rmse([1.0, 2.0], [4.0, 5.0])
    3.0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfkit_metrics import accuracy as _accuracy
from tfkit_metrics import agreement, correlation, fscore, precision_recall, ranked, regression, row_means
from tfkit_metrics import jaccard as _jaccard
from tfkit_metrics.calibration import CalibrationError
from tfkit_metrics.confusion_matrix import ConfusionMatrix

Function = Callable[..., "float | np.ndarray"]


def _function(metric: type, name: str) -> Function:
    def function(y_true: Any, y_pred: Any, sample_weight: Any = None, **params: Any) -> float | np.ndarray:
        made = metric(**{"dtype": "float64", **params})
        made.update_state(y_true, y_pred, sample_weight)
        found = made.result().numpy()
        return float(found) if found.ndim == 0 else found

    function.__name__ = function.__qualname__ = name
    first_line = (metric.__doc__ or "").partition("\n")[0]
    function.__doc__ = (
        f"{first_line}\n\n    `{metric.__module__}.{metric.__name__}` of one batch; `params` are its arguments."
    )
    return function


accuracy = _function(_accuracy.Accuracy, "accuracy")
balanced_accuracy = _function(_accuracy.BalancedAccuracy, "balanced_accuracy")
top_k_accuracy = _function(row_means.TopKAccuracy, "top_k_accuracy")
precision = _function(precision_recall.Precision, "precision")
recall = _function(precision_recall.Recall, "recall")
f1 = _function(fscore.F1, "f1")
fbeta = _function(fscore.Fbeta, "fbeta")
jaccard = _function(_jaccard.Jaccard, "jaccard")
confusion_matrix = _function(ConfusionMatrix, "confusion_matrix")
mcc = _function(agreement.Mcc, "mcc")
cohen_kappa = _function(agreement.CohenKappa, "cohen_kappa")
log_loss = _function(row_means.LogLoss, "log_loss")
brier = _function(row_means.Brier, "brier")
calibration_error = _function(CalibrationError, "calibration_error")
roc_auc = _function(ranked.RocAuc, "roc_auc")
average_precision = _function(ranked.AveragePrecision, "average_precision")
mae = _function(regression.Mae, "mae")
mse = _function(regression.Mse, "mse")
rmse = _function(regression.Rmse, "rmse")
r2 = _function(correlation.R2, "r2")
pearson = _function(correlation.Pearson, "pearson")
spearman = _function(correlation.Spearman, "spearman")

"""Streaming metrics that equal scikit-learn: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_metrics import schemas


@tfkit.hookimpl
def tfkit_metrics() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="accuracy",
        summary="Share of rows whose prediction is right.",
        target="tfkit_metrics.accuracy:Accuracy",
        params=schemas.Classification,
        examples=({}, {"num_classes": 3}, {"multi_label": True}),
    )
    yield tfkit.Spec(
        name="balanced-accuracy",
        summary="Mean over the classes of the share of their rows that was found.",
        target="tfkit_metrics.accuracy:BalancedAccuracy",
        params=schemas.BalancedAccuracy,
        examples=({}, {"num_classes": 3}),
    )
    yield tfkit.Spec(
        name="top-k-accuracy",
        summary="Share of rows whose class is among the highest scores.",
        target="tfkit_metrics.row_means:TopKAccuracy",
        params=schemas.TopK,
        examples=({"k": 2}, {}),
    )
    yield tfkit.Spec(
        name="precision",
        summary="Share of what was predicted that is true.",
        target="tfkit_metrics.precision_recall:Precision",
        params=schemas.Averaged,
        examples=({}, {"average": "micro"}, {"average": None, "num_classes": 3}),
    )
    yield tfkit.Spec(
        name="recall",
        summary="Share of what is true that was predicted.",
        target="tfkit_metrics.precision_recall:Recall",
        params=schemas.Averaged,
        examples=({}, {"average": "weighted"}, {"average": None, "num_classes": 3}),
    )
    yield tfkit.Spec(
        name="f1",
        summary="Harmonic mean of precision and recall.",
        target="tfkit_metrics.fscore:F1",
        params=schemas.Averaged,
        examples=({}, {"average": "binary"}, {"multi_label": True, "average": "micro"}),
    )
    yield tfkit.Spec(
        name="fbeta",
        summary="Weighted harmonic mean of precision and recall.",
        target="tfkit_metrics.fscore:Fbeta",
        params=schemas.Fbeta,
        examples=({"beta": 2.0}, {"beta": 0.5, "average": "weighted"}),
    )
    yield tfkit.Spec(
        name="jaccard",
        summary="Intersection of predicted and true over their union.",
        target="tfkit_metrics.jaccard:Jaccard",
        params=schemas.Averaged,
        examples=({}, {"average": None, "num_classes": 3}),
    )
    yield tfkit.Spec(
        name="confusion-matrix",
        summary="Rows of each true class by the class that was predicted.",
        target="tfkit_metrics.confusion_matrix:ConfusionMatrix",
        params=schemas.ConfusionMatrix,
        examples=({"num_classes": 3}, {"normalize": "true"}),
    )
    yield tfkit.Spec(
        name="mcc",
        summary="Correlation of labels and predictions, for any number of classes.",
        target="tfkit_metrics.agreement:Mcc",
        params=schemas.Agreement,
        examples=({}, {"num_classes": 3}),
    )
    yield tfkit.Spec(
        name="cohen-kappa",
        summary="Agreement of labels and predictions beyond chance.",
        target="tfkit_metrics.agreement:CohenKappa",
        params=schemas.Agreement,
        examples=({}, {"num_classes": 3}),
    )
    yield tfkit.Spec(
        name="log-loss",
        summary="Cross-entropy of labels and probabilities.",
        target="tfkit_metrics.row_means:LogLoss",
        params=schemas.Classification,
        examples=({}, {"multi_label": True}),
    )
    yield tfkit.Spec(
        name="brier",
        summary="Squared distance of probabilities from the truth.",
        target="tfkit_metrics.row_means:Brier",
        params=schemas.Classification,
        examples=({}, {"multi_label": True}),
    )
    yield tfkit.Spec(
        name="calibration-error",
        summary="How far confidence is from accuracy.",
        target="tfkit_metrics.calibration:CalibrationError",
        params=schemas.CalibrationError,
        examples=({}, {"bins": 5, "multi_label": True}),
    )
    yield tfkit.Spec(
        name="roc-auc",
        summary="How likely a row of a class scores higher than another row.",
        target="tfkit_metrics.ranked:RocAuc",
        params=schemas.Ranked,
        examples=({}, {"average": None}, {"multi_label": True, "average": "micro"}, {"bins": 1000}),
    )
    yield tfkit.Spec(
        name="average-precision",
        summary="Mean precision over the rows of a class, from the highest score on.",
        target="tfkit_metrics.ranked:AveragePrecision",
        params=schemas.Ranked,
        examples=({}, {"average": "weighted"}, {"bins": 1000, "average": "micro"}),
    )
    yield tfkit.Spec(
        name="mae",
        summary="Mean absolute error.",
        target="tfkit_metrics.regression:Mae",
        params=schemas.Regression,
        examples=({},),
    )
    yield tfkit.Spec(
        name="mse",
        summary="Mean squared error.",
        target="tfkit_metrics.regression:Mse",
        params=schemas.Regression,
        examples=({},),
    )
    yield tfkit.Spec(
        name="rmse",
        summary="Root of the mean squared error.",
        target="tfkit_metrics.regression:Rmse",
        params=schemas.Regression,
        examples=({},),
    )
    yield tfkit.Spec(
        name="r2",
        summary="Share of the labels' variance that predictions explain.",
        target="tfkit_metrics.correlation:R2",
        params=schemas.Regression,
        examples=({},),
    )
    yield tfkit.Spec(
        name="pearson",
        summary="Correlation of labels and predictions.",
        target="tfkit_metrics.correlation:Pearson",
        params=schemas.Regression,
        examples=({},),
    )
    yield tfkit.Spec(
        name="spearman",
        summary="Correlation of the ranks of labels and predictions.",
        target="tfkit_metrics.correlation:Spearman",
        params=schemas.Regression,
        examples=({},),
    )

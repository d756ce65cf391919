"""Streaming classification metrics that equal scikit-learn: the table of the package."""

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

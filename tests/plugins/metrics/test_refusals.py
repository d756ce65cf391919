"""Metrics refuse batches and parameters that cannot be counted, and a NaN shows."""

import numpy as np
import pytest
from reference_scores import AVERAGED, create

import tfkit


@pytest.mark.parametrize(
    ("params", "labels", "scores", "text"),
    [
        (
            {},
            [0, 3],
            np.eye(3)[:2],
            "labels must be whole numbers from 0 to 2 (num_classes=3); row 1 of the batch has 3",
        ),
        ({}, [0, -1], np.eye(3)[:2], "row 1 of the batch has -1"),
        ({}, [0.0, 1.5], np.eye(3)[:2], "row 1 of the batch has 1.5"),
        ({}, [0, 2], [0.1, 0.9], "row 1 of the batch has 2"),
        ({"num_classes": 4}, [0, 1], np.array([0, 4]), "predictions must be whole numbers from 0 to 3"),
        ({}, np.eye(4)[:2], np.eye(3)[:2], "(2, 4) and predictions (2, 3); give ids"),
        ({}, [0, 1, 1], np.eye(3)[:2], "their rows differ"),
        ({}, [[1, 1, 0], [0, 0, 1]], np.eye(3)[:2], "pass multi_label=True"),
        ({"multi_label": True}, [0, 1], np.eye(3)[:2], "multi_label=True takes both of shape (n, labels)"),
        ({"multi_label": True}, 2 * np.eye(3), np.eye(3), "labels must be from 0 to 1"),
        ({}, ["a", "b"], np.eye(3)[:2], "are strings"),
        ({}, 1, 0.5, "need a first axis"),
    ],
)
def test_bad_batches_are_refused(params, labels, scores, text):
    with pytest.raises(tfkit.DataError) as error:
        create("f1", **params).update_state(labels, scores)
    assert text in str(error.value)
    assert str(error.value).startswith("metric 'f1': ")


def test_a_weight_of_another_length_is_refused():
    with pytest.raises(tfkit.DataError, match="give one weight for each row"):
        create("f1").update_state([0, 1], np.eye(3)[:2], [1.0])


@pytest.mark.parametrize(
    ("name", "params", "scores", "text"),
    [
        ("f1", {}, np.array([0, 1]), "are class ids; pass num_classes"),
        ("f1", {"num_classes": 4}, np.eye(3)[:2], "do not have num_classes=4 columns"),
        ("f1", {"average": "binary"}, np.eye(3)[:2], "num_classes=2"),
        ("f1", {"average": "binary", "multi_label": True}, None, "take another average"),
        ("f1", {"average": "binary", "num_classes": 3}, None, "needs two classes"),
        ("f1", {"average": "samples"}, None, "the parameter 'average' of metric 'f1'"),
        ("f1", {"threshold": 1.5}, None, "the parameter 'threshold'"),
        ("balanced-accuracy", {"multi_label": True}, None, "must be False"),
        ("confusion-matrix", {"normalize": "rows"}, None, "the parameter 'normalize'"),
    ],
)
def test_bad_parameters_are_refused(name, params, scores, text):
    with pytest.raises(tfkit.ParameterError) as error:
        tfkit.create("metric", name, **params).update_state([0, 1], scores)
    assert text in str(error.value)


def test_classes_refuse_what_no_schema_checked():
    from tfkit_metrics.confusion_matrix import ConfusionMatrix
    from tfkit_metrics.fscore import F1

    with pytest.raises(tfkit.ParameterError, match="average must be one of"):
        F1(average="Macro")
    with pytest.raises(tfkit.ParameterError, match="normalize must be None"):
        ConfusionMatrix(normalize="rows")


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", "binary", None])
def test_a_prediction_that_is_nan_shows(average):
    """A diverged model must not score like one that predicts class 0."""
    for name in AVERAGED:
        found = create(name, average=average)([0, 1, 1], [[0.2], [np.nan], [0.9]])
        assert np.isnan(found).all(), name
    assert np.isnan(create("accuracy")([0, 1], [[0.2], [np.nan]]))

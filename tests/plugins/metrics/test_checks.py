"""The quick look at a batch: what it passes is right, and what it does not is looked at again."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import confusion_matrix

import tfkit
from tfkit_metrics.checks import surely_within


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_ids_of_every_integer_dtype_are_counted_and_those_beyond_are_refused(dtype):
    ids = np.array([0, 1, 2, 99], dtype)
    accuracy = tfkit.create("metric", "accuracy", num_classes=100)
    assert float(accuracy(ids, np.array([0, 2, 2, 99], "int64"))) == 0.75
    with pytest.raises(tfkit.DataError, match=r"from 0 to 99 .*row 1 of the batch has 100"):
        accuracy(np.array([5, 100], dtype), np.array([5, 5]))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_only_numbers_from_0_to_the_bound_are_within(dtype):
    def within(*values):
        return surely_within(tf.constant(values, dtype), 1.0)

    assert within(0.0, 0.25, 1.0)
    assert within()
    for wrong in (-1e-3, 1.01, np.nan, -np.nan, np.inf, -np.inf):
        assert not within(0.5, wrong), wrong


def test_a_negative_zero_and_what_lies_within_rounding_are_probabilities():
    scores = np.array([[-0.0, 1.0], [1.000001, -0.000001]], "float32")
    assert float(tfkit.create("metric", "brier")(np.array([1, 0]), scores)) == pytest.approx(0.0, abs=1e-6)


def test_a_negative_id_is_refused():
    with pytest.raises(tfkit.DataError, match="row 2 of the batch has -1"):
        tfkit.create("metric", "accuracy", num_classes=3)(np.array([0, 1, -1]), np.array([0, 1, 2]))


@pytest.mark.parametrize("spread", [0.01, 30.0])
def test_brier_is_the_same_eager_in_a_graph_and_with_weights_of_1(spread):
    rng = np.random.default_rng(0)
    scores = np.exp(spread * rng.random((500, 7))).astype("float32")
    scores /= scores.sum(1, keepdims=True)
    ids = scores.argmax(1) if spread > 1 else rng.integers(0, 7, 500)
    wanted = np.square(scores.astype("float64") - np.eye(7)[ids]).sum(1).mean()
    eager = tfkit.create("metric", "brier", dtype="float64")(ids, scores)
    weighed = tfkit.create("metric", "brier", dtype="float64")(ids, scores, np.ones(500))
    metric = tfkit.create("metric", "brier", dtype="float64", num_classes=7)
    tf.function(metric.update_state)(ids, scores)
    np.testing.assert_allclose([eager, weighed, metric.result()], wanted, atol=1e-7)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_a_confusion_matrix_is_the_same_eager_in_a_graph_and_with_weights_of_1(dtype):
    rng = np.random.default_rng(1)
    ids, predicted = rng.integers(0, 50, (2, 400)).astype(dtype)
    wanted = confusion_matrix(ids, predicted, labels=np.arange(50))
    eager = tfkit.create("metric", "confusion-matrix", num_classes=50)(ids, predicted)
    weighed = tfkit.create("metric", "confusion-matrix", num_classes=50)(ids, predicted, np.ones(400))
    metric = tfkit.create("metric", "confusion-matrix", num_classes=50)
    tf.function(metric.update_state)(ids, predicted)
    for found in (eager, weighed, metric.result()):
        np.testing.assert_array_equal(found, wanted)

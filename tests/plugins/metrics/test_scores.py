"""Metrics against scikit-learn: labels, predictions, weights and batches in every form."""

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from random_tasks import ids_of, measured, quick, tasks
from reference_scores import ALL, AVERAGED, create, reference


@pytest.mark.parametrize("name", AVERAGED)
@given(
    task=tasks(),
    form=st.sampled_from(["(n,)", "(n, 1)", "float", "one-hot", "smooth"]),
    average=st.sampled_from(["micro", "macro", "weighted", None]),
    zero_division=st.sampled_from([0.0, 1.0]),
)
@quick
def test_averaged_scores_equal_scikit_learn(name, task, form, average, zero_division):
    classes, ids, scores, weights, cuts = task
    metric = create(name, average=average, zero_division=zero_division)
    found = measured(metric, ids_of(form, ids, classes), scores, weights, cuts)
    wanted = reference(name, ids, scores.argmax(1), weights, classes, average, zero_division)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.shape == ((classes,) if average is None else ())


@pytest.mark.parametrize("name", [name for name in ALL if name not in AVERAGED])
@given(task=tasks(), form=st.sampled_from(["(n,)", "(n, 1)", "float", "one-hot", "smooth"]))
@quick
def test_counted_scores_equal_scikit_learn(name, task, form):
    classes, ids, scores, weights, cuts = task
    found = measured(create(name), ids_of(form, ids, classes), scores, weights, cuts)
    np.testing.assert_allclose(found, reference(name, ids, scores.argmax(1), weights, classes), atol=1e-6)


@pytest.mark.parametrize("name", ALL)
@given(task=tasks(most=2), column=st.booleans(), threshold=st.sampled_from([0.5, 0.3, 0.9]), data=st.data())
@quick
def test_a_sigmoid_output_is_a_task_of_two_classes(name, task, column, threshold, data):
    classes, ids, scores, weights, cuts = task
    logits = scores[:, :1] if column else scores[:, 0]
    from_logits = data.draw(st.booleans())
    average = data.draw(st.sampled_from(["binary", "macro", "micro", "weighted", None]))
    labels = ids_of(data.draw(st.sampled_from(["(n,)", "(n, 1)", "float", "one-hot"])), ids, classes)
    chosen = {"average": average} if name in AVERAGED else {}
    metric = create(name, threshold=threshold, from_logits=from_logits, **chosen)
    probabilities = 1 / (1 + np.exp(-logits.astype("float64")))
    found = measured(metric, labels, logits if from_logits else probabilities, weights, cuts)
    predicted = (probabilities > threshold).astype(int).ravel()
    np.testing.assert_allclose(found, reference(name, ids, predicted, weights, classes, average), atol=1e-6)


@pytest.mark.parametrize("name", [*AVERAGED, "accuracy", "confusion-matrix"])
@given(task=tasks(), average=st.sampled_from(["micro", "macro", "weighted", None]), from_logits=st.booleans())
@quick
def test_multi_label_tasks_equal_scikit_learn(name, task, average, from_logits):
    classes, ids, scores, weights, cuts = task
    labels = (np.random.default_rng(len(ids)).random((len(ids), classes)) < 0.4).astype("int64")
    labels[:, -1] = 0
    chosen = {"average": average} if name in AVERAGED else {}
    metric = create(name, multi_label=True, threshold=0.4, from_logits=from_logits, **chosen)
    probabilities = 1 / (1 + np.exp(-scores.astype("float64")))
    found = measured(metric, labels, scores if from_logits else probabilities, weights, cuts)
    predicted = (probabilities > 0.4).astype(int)
    if name == "confusion-matrix":
        wanted = sk.multilabel_confusion_matrix(labels, predicted, sample_weight=weights)
    else:
        wanted = reference(name, labels, predicted, weights, classes, average)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@given(task=tasks(), normalize=st.sampled_from(["true", "pred", "all"]))
@quick
def test_normalized_confusion_matrices_equal_scikit_learn(task, normalize):
    classes, ids, scores, weights, cuts = task
    found = measured(create("confusion-matrix", normalize=normalize), ids, scores, weights, cuts)
    wanted = sk.confusion_matrix(
        ids, scores.argmax(1), labels=range(classes), sample_weight=weights, normalize=normalize
    )
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_ids_as_predictions(name, column, dtype):
    rng = np.random.default_rng(0)
    ids, predicted = rng.integers(0, 4, (2, 50))
    given_ids = predicted.astype(dtype)[:, None] if column else predicted.astype(dtype)
    found = create(name, num_classes=4)(ids, given_ids)
    np.testing.assert_allclose(found, reference(name, ids, predicted, None, 4), atol=1e-6)


def test_half_precision_and_boolean_predictions():
    ids, scores = np.array([0, 2, 1, 1]), np.array([[9, 1, 1], [1, 2, 9], [1, 8, 2], [9, 1, 1]])
    for dtype in (tf.bfloat16, tf.float16, tf.int32):
        np.testing.assert_allclose(create("accuracy")(ids, tf.cast(scores, dtype)), 0.75)
    np.testing.assert_allclose(create("f1", average="binary")([1, 0, 1], np.array([True, False, False])), 2 / 3, 1e-6)


def test_steps_of_sequences_are_rows():
    rng = np.random.default_rng(1)
    ids, scores = rng.integers(0, 3, (4, 5)), rng.random((4, 5, 3)).astype("float32")
    per_row, per_step = rng.random(4), rng.random((4, 5))
    flat = (ids.ravel(), scores.argmax(-1).ravel())
    for labels in (ids, ids[..., None], np.eye(3)[ids]):
        np.testing.assert_allclose(
            create("f1")(labels, scores, per_row), reference("f1", *flat, np.repeat(per_row, 5), 3), atol=1e-6
        )
        np.testing.assert_allclose(
            create("f1")(labels, scores, per_step), reference("f1", *flat, per_step.ravel(), 3), atol=1e-6
        )


def test_masked_steps_are_left_out():
    tokens, labels = np.array([[3, 1, 0, 0], [2, 2, 2, 0]]), np.array([[0, 1, -1, -1], [2, 1, 0, -1]])
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Embedding(4, 5, mask_zero=True), keras.layers.Dense(3, activation="softmax")]
    )
    scores = model(tokens)
    seen = tokens != 0
    for name in ALL:
        wanted = reference(name, labels[seen], np.asarray(scores)[seen].argmax(-1), None, 3)
        np.testing.assert_allclose(create(name)(labels, scores), wanted, atol=1e-6)


def test_counts_stay_exact_beyond_two_to_the_24():
    metric = create("confusion-matrix", num_classes=2)
    metric.update_state([0, 1], [0, 0], [2.0**24, 2.0**30])
    for _ in range(3):
        metric.update_state([0, 1], [0, 0])
    assert metric.result().numpy().tolist() == [[2**24 + 3, 0], [2**30 + 3, 0]]


def test_what_no_row_was_counted_for():
    assert [float(create(name).result()) for name in ALL[:-1]] == [0.0] * (len(ALL) - 1)
    assert float(create("f1", zero_division=1.0, average="micro").result()) == 1.0
    assert create("recall", average=None, num_classes=3).result().shape == (3,)


def test_shares_that_round_above_one_leave_a_number():
    """All predictions are class 0: their weight, summed in another order than that of the labels, is the whole."""
    weights = [1.0, 3.7, 3.7, *[0.25] * 3, 3.7, 0, 0.25, 0, 0.25, 3.7, 1, 0.25, 3.7, 1, 3.7, 0, 0.25, 3.7, 3.7]
    weights += [0.25, 0.25, 0.25, 1, 0, 3.7, 0]
    ids = [1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1]
    found = measured(create("mcc"), np.array(ids), np.zeros(28), np.array(weights), [])
    assert found == reference("mcc", np.array(ids), np.zeros(28, int), np.array(weights), 2, None) == 0

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score

import tfkit

ROWS, CLASSES = 200, 4


@pytest.fixture(scope="module")
def task():
    generator = np.random.default_rng(0)
    x = generator.random((ROWS, 6)).astype("float32")
    y = generator.integers(0, CLASSES, ROWS)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(CLASSES, "softmax")])
    return model, x, y


def test_figures_are_scikit_learns(task):
    model, x, y = task
    found = tfkit.evaluate(model, (x, y), ["accuracy", ("f1", {"average": "macro", "name": "f1_macro"})])
    predicted = model.predict(x, verbose=0).argmax(-1)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted), abs=1e-6)
    assert found["f1_macro"] == pytest.approx(f1_score(y, predicted, average="macro"), abs=1e-6)
    assert all(isinstance(value, float) for value in found.values())


def test_sample_weight_counts(task):
    model, x, y = task
    weight = np.linspace(0, 1, ROWS)
    found = tfkit.evaluate(model, (x, y, weight), ["accuracy"])["accuracy"]
    predicted = model.predict(x, verbose=0).argmax(-1)
    assert found == pytest.approx(accuracy_score(y, predicted, sample_weight=weight), abs=1e-6)


def test_the_test_part_comes_before_the_validation_part(task):
    model, x, y = task
    predicted = model.predict(x, verbose=0).argmax(-1)
    right, wrong = (x, predicted), (x, (predicted + 1) % CLASSES)
    assert tfkit.evaluate(model, tfkit.Data((x, y), wrong, right), ["accuracy"])["accuracy"] == 1.0
    assert tfkit.evaluate(model, tfkit.Data((x, y), wrong), ["accuracy"])["accuracy"] == 0.0


def test_a_dataset_gives_the_same_as_arrays(task):
    model, x, y = task
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(7)
    data = tfkit.Data((x, y), None, dataset)
    assert tfkit.evaluate(model, data, ["accuracy"]) == tfkit.evaluate(model, (x, y), ["accuracy"])


def test_a_callable_and_a_file_are_models_too(task, tmp_path):
    model, x, y = task
    expected = tfkit.evaluate(model, (x, y), ["accuracy"])
    model.save(tmp_path / "model.keras")
    assert tfkit.evaluate(tmp_path / "model.keras", (x, y), ["accuracy"]) == expected
    assert tfkit.evaluate(lambda rows: model(rows), (x, y), ["accuracy"]) == expected


def test_a_bootstrap_interval_is_near_the_normal_one(task):
    model, x, y = task
    found = tfkit.evaluate(model, (x, y), ["accuracy"], confidence=0.95)["accuracy"]
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / ROWS)
    assert found.low == pytest.approx(found.value - half, abs=0.02)
    assert found.high == pytest.approx(found.value + half, abs=0.02)


def test_resamples_without_a_score_are_left_out_of_the_interval(task):
    """Rows of one class have no area under the ROC curve; with one row of the other a third of resamples are such."""
    _, x, _ = task
    y = (np.arange(ROWS) == 3).astype(int)
    scores = np.linspace(0, 1, ROWS)
    found = tfkit.evaluate(lambda rows: scores[:, None], (x[:, :1], y), ["roc-auc"], confidence=0.95)["roc-auc"]
    assert 0 <= found.low <= found.value <= found.high < 0.1


def test_a_paired_difference_is_the_bootstrap_of_the_rows_differences(task):
    _, _, y = task
    generator = np.random.default_rng(1)
    outputs = np.eye(CLASSES)[y]
    rows = {"good": outputs.copy(), "bad": outputs.copy()}
    wrong = generator.permutation(ROWS)
    rows["good"][wrong[:40]] = np.roll(outputs[wrong[:40]], 1, axis=1)
    rows["bad"][wrong[:60]] = np.roll(outputs[wrong[:60]], 1, axis=1)  # what is wrong in both cancels out
    index = np.arange(ROWS)[:, None]

    def model(name):
        return lambda batch: rows[name][np.asarray(batch)[:, 0]]

    found = tfkit.compare(model("good"), model("bad"), (index, y), ["accuracy"])
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.other) == (pytest.approx(0.8), pytest.approx(0.7))
    difference = (rows["good"].argmax(1) == y).astype(float) - (rows["bad"].argmax(1) == y)
    half = 1.96 * difference.std() / np.sqrt(ROWS)
    assert accuracy.difference == pytest.approx(0.1)
    assert (accuracy.low, accuracy.high) == (pytest.approx(0.1 - half, abs=0.01), pytest.approx(0.1 + half, abs=0.01))
    assert accuracy.differs
    same = tfkit.compare(model("good"), model("good"), (index, y), [("f1", {"average": None})])["f1"]
    for each in (same.difference, same.low, same.high):
        np.testing.assert_array_equal(each, np.zeros(CLASSES))
    assert not same.differs.any()


def test_compare_refuses_a_level_that_is_none(task):
    model, x, y = task
    with pytest.raises(tfkit.ParameterError, match="'confidence' of compare"):
        tfkit.compare(model, model, (x, y), ["accuracy"], confidence=None)


def test_a_metric_per_class_gives_an_array(task):
    model, x, y = task
    found = tfkit.evaluate(model, (x, y), [("f1", {"average": None})])["f1"]
    expected = f1_score(y, model.predict(x, verbose=0).argmax(-1), average=None, labels=range(CLASSES))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equal_names_are_refused(task):
    model, x, y = task
    with pytest.raises(tfkit.ParameterError, match="two metrics are called 'f1'"):
        tfkit.evaluate(model, (x, y), ["f1", ("f1", {"average": "micro"})])


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_label_out_of_range_is_named_with_its_row(task, label):
    model, x, y = task
    wrong = y.copy()
    wrong[17] = label
    with pytest.raises(tfkit.DataError, match=f"the label {label} in row 17 is out of range: the model has 4 outputs"):
        tfkit.evaluate(model, (x, wrong), ["accuracy"])


def test_rows_of_the_wrong_shape_are_refused_in_a_line(task):
    model, x, y = task
    with pytest.raises(tfkit.ModelError, match=r"cannot predict on rows of shape \(200, 5\)"):
        tfkit.evaluate(model, (x[:, :5], y), ["accuracy"])


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_level_that_is_none_is_refused(task, confidence):
    model, x, y = task
    with pytest.raises(tfkit.ParameterError, match="'confidence'"):
        tfkit.evaluate(model, (x, y), ["accuracy"], confidence=confidence)


def test_two_outputs_are_refused_with_the_way_out(task):
    _, x, y = task
    with pytest.raises(tfkit.ModelError, match="this one has 2"):
        tfkit.evaluate(lambda rows: (rows, rows), (x, y), ["accuracy"])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda x, y: (np.where(x > 0.99, np.nan, x), y), tfkit.DataError, "values that are nan"),
        (lambda x, y: (x[:0], y[:0]), tfkit.DataError, "has no rows"),
        (lambda x, y: (x, y[:-1]), tfkit.DataError, "rows differ"),
        (lambda x, y: (x,), tfkit.DataError, "must be"),
        (lambda x, y: None, tfkit.DataError, "is None"),
        (lambda x, y: (x, y, np.full(len(y), np.nan)), tfkit.DataError, "sample_weight"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)), tfkit.DataError, "in batches"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x * np.nan, y)).batch(9), tfkit.DataError, "first in row 0"),
    ],
)
def test_data_that_cannot_be_used_is_refused(task, change, error, words):
    model, x, y = task
    with pytest.raises(error, match=words):
        tfkit.evaluate(model, change(x, y), ["accuracy"])


def test_a_model_that_gives_nan_has_no_accuracy(task):
    _, x, y = task
    with pytest.raises(tfkit.ModelError, match="outputs are NaN, first in row 3"):
        tfkit.evaluate(lambda rows: np.where(np.arange(len(rows))[:, None] < 3, rows, np.nan), (x, y), ["accuracy"])


@pytest.mark.parametrize("metrics", [None, "accuracy", 3])
def test_metrics_are_a_list(task, metrics):
    model, x, y = task
    with pytest.raises(tfkit.ParameterError, match="must be a list"):
        tfkit.evaluate(model, (x, y), metrics)

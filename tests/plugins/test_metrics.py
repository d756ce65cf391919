"""Metrics against scikit-learn: labels, predictions, weights and batches in every form."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tfkit

AVERAGED = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "fbeta": sk.fbeta_score,
    "jaccard": sk.jaccard_score,
}
ALL = (*AVERAGED, "accuracy", "balanced-accuracy", "confusion-matrix")
quick = settings(max_examples=25, deadline=None)


def ids_of(form, ids, classes):
    """Class ids in one of the forms that labels come in."""
    return {
        "(n,)": ids,
        "(n, 1)": ids[:, None],
        "float": ids.astype("float32"),
        "one-hot": np.eye(classes, dtype="float32")[ids],
        "smooth": np.eye(classes, dtype="float32")[ids] * 0.8 + 0.2 / classes,
    }[form]


@st.composite
def tasks(draw, most=6):
    """Random ids of at most so many classes, scores, weights or None, and where to cut into batches."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, rows = draw(st.integers(2, most)), draw(st.integers(1, 30))
    # Of few classes some are often absent from the labels, the predictions, or both.
    used = rng.integers(1, count + 1)
    ids, scores = rng.integers(0, used, rows), rng.normal(size=(rows, count)).astype("float32")
    weights = rng.choice([0.0, 0.25, 1.0, 3.7], rows) if draw(st.booleans()) else None
    if weights is not None:
        weights[0] = 1.0
    cuts = sorted(draw(st.lists(st.integers(1, rows), max_size=3)))
    return count, ids, scores, weights, cuts


def measured(metric, y_true, y_pred, weights, cuts):
    """The result in one pass and, checked to be the same, batch by batch after a reset."""
    metric.update_state(y_true, y_pred, weights)
    whole = np.asarray(metric.result())
    metric.reset_state()
    for begin, end in zip([0, *cuts], [*cuts, len(y_pred)]):
        if begin < end:
            part = slice(begin, end)
            metric.update_state(y_true[part], y_pred[part], None if weights is None else weights[part])
    np.testing.assert_allclose(metric.result(), whole, rtol=1e-6, atol=1e-9)
    return whole


def reference(name, y_true, y_pred, weights, classes, average="macro", zero_division=0.0):
    """What scikit-learn makes of ids."""
    labels = range(classes)
    if name == "accuracy":
        return sk.accuracy_score(y_true, y_pred, sample_weight=weights)
    if name == "confusion-matrix":
        return sk.confusion_matrix(y_true, y_pred, labels=labels, sample_weight=weights)
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


@pytest.mark.parametrize("name", ["accuracy", "balanced-accuracy", "confusion-matrix"])
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


@pytest.mark.parametrize("name", ALL)
def test_config_makes_the_same_metric(name):
    metric = create(name, num_classes=2, from_logits=True, threshold=0.25, name="mine", dtype="float64")
    config = keras.saving.serialize_keras_object(metric)
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert loaded.get_config() == metric.get_config()
    assert (loaded.name, loaded.dtype) == ("mine", "float64")
    labels, scores = [0, 1, 1, 0], [-2.0, -1.0, 3.0, 0.5]
    np.testing.assert_array_equal(loaded(labels, scores), metric(labels, scores))


def test_names_are_snake_case():
    wanted = [name.replace("-", "_") for name in ALL]
    assert [create(name).name for name in ALL] == wanted


def classifier(metrics, **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics, **compiled)
    return model


def blobs(rows=50):
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)


@pytest.mark.slow
def test_in_compile_fit_and_evaluate(tmp_path):
    x, y = blobs()
    weights = np.linspace(0, 2, len(x))
    names = ("accuracy", "f1", "confusion-matrix")
    model = classifier(
        [create(name) for name in names] + [create("recall", average=None)],
        weighted_metrics=[create("f1", name="weighted_f1")],
        steps_per_execution=2,
    )
    rows = {"sample_weight": weights, "validation_data": (x, y, weights)}
    history = model.fit(x, y, **rows, batch_size=8, epochs=2, verbose=0).history
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=7, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0).argmax(1)
    for name in names:
        wanted = reference(name, y, predicted, None, 3)
        np.testing.assert_allclose(logs[name.replace("-", "_")], wanted, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(logs["recall"], sk.recall_score(y, predicted, average=None), atol=1e-6)
    np.testing.assert_allclose(logs["weighted_f1"], reference("f1", y, predicted, weights, 3), atol=1e-6)
    np.testing.assert_allclose(history["val_f1"][-1], logs["f1"], atol=1e-6)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.evaluate(x, y, sample_weight=weights, batch_size=50, verbose=0, return_dict=True)
    np.testing.assert_allclose(again["weighted_f1"], logs["weighted_f1"], atol=1e-6)


def test_compiled_by_xla():
    x, y = blobs()
    model = classifier([create("f1"), create("confusion-matrix")], jit_compile=True)
    logs = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0).argmax(1)
    np.testing.assert_allclose(logs["f1"], reference("f1", y, predicted, None, 3), atol=1e-6)
    np.testing.assert_allclose(logs["confusion_matrix"], reference("confusion-matrix", y, predicted, None, 3))


def test_a_label_out_of_range_in_a_graph_raises_and_under_jit_is_nan():
    x, y = blobs(8)
    y[5] = 7
    zero = {"loss": lambda true, scores: keras.ops.sum(scores, -1)}
    for jit in (False, True):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile("sgd", **zero, metrics=[create("f1")], jit_compile=jit)
        if jit:
            assert np.isnan(model.evaluate(x, y, verbose=0)[1])
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be whole numbers from 0 to 2"):
                model.evaluate(x, y, verbose=0)


def test_the_stateless_way_equals_the_stateful():
    ids, scores = np.array([0, 2, 1, 1]), np.random.default_rng(0).random((4, 3)).astype("float32")
    metric = create("f1", num_classes=3)
    empty = [tf.convert_to_tensor(each) for each in metric.variables]
    state = metric.stateless_update_state(empty, ids, scores)
    assert float(tf.reduce_sum(metric.variables[0])) == 0
    np.testing.assert_allclose(metric.stateless_result(state), create("f1")(ids, scores))


MIRRORED = """
import json, sys
import keras, numpy as np, tensorflow as tf, tfkit
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
# The last batch holds one row: a replica gets none.
x, y, weights = rng.normal(size=(49, 4)).astype("float32"), rng.integers(0, 3, 49), rng.random(49)
make = lambda *names: [tfkit.create("metric", name) for name in names]
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=make("precision", "recall", "confusion-matrix"),
                  weighted_metrics=make("f1"))
    by_hand = tfkit.create("metric", "f1", num_classes=3)
logs = model.evaluate(x, y, sample_weight=weights, batch_size=12, verbose=0, return_dict=True)
scores = model.predict(x, verbose=0)
dataset = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((y, scores, weights)).batch(12))
step = tf.function(lambda *batch: strategy.run(by_hand.update_state, batch))
for batch in dataset:
    step(*batch)
logs = {name: np.asarray(value).tolist() for name, value in logs.items() if name != "loss"}
print(json.dumps({"logs": logs, "by_hand": float(by_hand.result()), "y": y.tolist(), "weights": weights.tolist(),
                  "predicted": scores.argmax(1).tolist()}))
"""


@pytest.mark.slow
def test_under_a_mirrored_strategy():
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    y, predicted, weights = (np.array(told[key]) for key in ("y", "predicted", "weights"))
    weighted = reference("f1", y, predicted, weights, 3)
    np.testing.assert_allclose([told["by_hand"], told["logs"].pop("f1")], weighted, atol=1e-6)
    assert sorted(told["logs"]) == ["confusion_matrix", "precision", "recall"]
    for name, found in told["logs"].items():
        np.testing.assert_allclose(found, reference(name.replace("_", "-"), y, predicted, None, 3), atol=1e-6)

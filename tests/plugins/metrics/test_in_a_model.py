"""Metrics in a model: by config, in compile and fit, under XLA, stateless and on two devices."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
import tensorflow as tf
from reference_scores import ALL, create, reference


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


@pytest.mark.nightly
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
OF_CLASSES, OF_NUMBERS = json.loads(sys.argv[1])
make = lambda steps: [tfkit.create("metric", name, **params) for name, params in steps]
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=make(OF_CLASSES),
                  weighted_metrics=make([("f1", {})]))
    numbers = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    numbers.compile("sgd", "mse", metrics=make(OF_NUMBERS),
                    weighted_metrics=make([("r2", {"name": "weighted_r2"})]))
    by_hand = tfkit.create("metric", "f1", num_classes=3)
rows = {"sample_weight": weights, "batch_size": 12, "verbose": 0, "return_dict": True}
logs = model.evaluate(x, y, **rows)
scores = np.asarray(model(x))
target = x[:, 0] + 1000
numbers_logs = numbers.evaluate(x, target, **rows)
predicted = np.asarray(numbers(x))
dataset = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((y, scores, weights)).batch(12))
step = tf.function(lambda *batch: strategy.run(by_hand.update_state, batch))
for batch in dataset:
    step(*batch)
alone = lambda metric, *columns: (metric.update_state(*columns), np.asarray(metric.result()).tolist())[1]
wanted = {metric.name: alone(metric, y, scores) for metric in make(OF_CLASSES)}
wanted |= {metric.name: alone(metric, target, predicted) for metric in make(OF_NUMBERS)}
wanted["weighted_r2"] = alone(tfkit.create("metric", "r2"), target, predicted, weights)
logs = {name: np.asarray(value).tolist() for name, value in {**logs, **numbers_logs}.items() if name != "loss"}
print(json.dumps({"logs": logs, "by_hand": float(by_hand.result()), "y": y.tolist(), "weights": weights.tolist(),
                  "predicted": scores.argmax(1).tolist(), "wanted": wanted}))
"""


# One of each sort of state; the others of a sort differ in their last line.
SORTS = (
    [
        ("confusion-matrix", {}),
        ("mcc", {}),
        ("log-loss", {}),
        ("roc-auc", {}),
        ("roc-auc", {"bins": 50, "name": "bins"}),
    ],
    [("rmse", {}), ("r2", {}), ("spearman", {})],
)
OTHERS = (
    [
        *((name, {}) for name in ("precision", "recall", "accuracy", "balanced-accuracy", "jaccard", "cohen-kappa")),
        *((name, {}) for name in ("brier", "calibration-error", "average-precision")),
        ("top-k-accuracy", {"k": 2}),
        ("average-precision", {"bins": 50, "average": "micro", "name": "bins"}),
    ],
    [(name, {}) for name in ("mae", "mse", "pearson")],
)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [SORTS, pytest.param(OTHERS, marks=pytest.mark.nightly)], ids=["sorts", "others"])
def test_under_a_mirrored_strategy(steps):
    """In one process with two devices: as scikit-learn, or as the same metric on all rows in one pass."""
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, json.dumps(steps)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    y, predicted, weights = (np.array(told[key]) for key in ("y", "predicted", "weights"))
    weighted = reference("f1", y, predicted, weights, 3)
    np.testing.assert_allclose([told["by_hand"], told["logs"].pop("f1")], weighted, atol=1e-6)
    assert sorted(told["logs"]) == sorted(told["wanted"])
    for name, found in told["logs"].items():
        np.testing.assert_allclose(found, told["wanted"][name], rtol=2e-6, atol=1e-6, err_msg=name)
    for name in {name for name, _ in steps[0]}.intersection(ALL):
        found = told["logs"][name.replace("-", "_")]
        np.testing.assert_allclose(found, reference(name, y, predicted, None, 3), atol=1e-6, err_msg=name)

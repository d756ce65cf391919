"""Keras's silent errors in training: each test fails when Keras mends one, so that the repair can go."""

import inspect

import keras
import numpy as np
import pytest
import sklearn.metrics as sk

import tfkit

MENDED = "Keras has mended this: strike it off docs/upstream.md, and tfkit's repair where it serves nothing else"

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60)
# Right about half the time; no class ever has a probability above 0.5.
SCORES = 0.15 + 0.1 * RNG.random((60, 4))
SCORES[np.arange(60), np.where(RNG.random(60) < 0.5, LABELS, RNG.integers(0, 4, 60))] += 0.2
SCORES = (SCORES / SCORES.sum(1, keepdims=True)).astype("float32")
PREDICTED = SCORES.argmax(1)


def test_trap_1_f1_of_labels_in_a_column():
    """Keras takes the column for a one-hot matrix of one class and broadcasts it over all."""
    right = sk.f1_score(LABELS, PREDICTED, average="macro")
    wrong = float(keras.metrics.F1Score(average="macro")(LABELS[:, None], SCORES))
    assert abs(wrong - right) > 0.1, MENDED
    for labels in (LABELS, LABELS[:, None]):
        assert float(tfkit.create("metric", "f1")(labels, SCORES)) == pytest.approx(right, abs=1e-6)


def test_trap_1_f1_of_labels_in_a_row_is_refused():
    with pytest.raises(ValueError, match="expects 2D inputs"):
        keras.metrics.F1Score()(LABELS, SCORES)


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_trap_2_precision_and_recall_of_many_classes(name):
    """Keras asks each probability whether it is above 0.5: here none is, and both are 0."""
    theirs = {"precision": keras.metrics.Precision, "recall": keras.metrics.Recall}[name]
    one_hot = np.eye(4)[LABELS]
    assert float(theirs()(one_hot, SCORES)) == 0.0, MENDED
    assert "average" not in inspect.signature(theirs.__init__).parameters, MENDED
    right = {"precision": sk.precision_score, "recall": sk.recall_score}[name]
    for average in ("macro", "micro", "weighted"):
        ours = tfkit.create("metric", name, average=average)(one_hot, SCORES)
        assert float(ours) == pytest.approx(right(LABELS, PREDICTED, average=average), abs=1e-6)


def test_trap_3_auc_of_scores_in_a_small_range():
    """Keras has 200 thresholds between 0 and 1; scores squeezed into [0, 0.01] meet two of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000)
    scores = np.clip(0.004 + 0.0014 * labels + 0.001 * rng.normal(size=2000), 0, 0.01).astype("float32")
    right = sk.roc_auc_score(labels, scores)
    assert abs(float(keras.metrics.AUC()(labels, scores)) - right) > 0.1, MENDED
    assert float(tfkit.create("metric", "roc-auc")(labels, scores)) == pytest.approx(right, abs=1e-6)
    binned = tfkit.create("metric", "roc-auc", bins=10000)
    assert abs(float(binned(labels, scores)) - right) <= binned.error_bound() < 4e-3


def test_trap_4_float32_counts_stop_at_two_to_the_24():
    theirs = keras.metrics.TruePositives()
    ours = tfkit.create("metric", "confusion-matrix", num_classes=2)
    for weight in (2.0**24, 1.0, 1.0, 1.0):
        theirs.update_state([1], [0.9], [weight])
        ours.update_state([1], [0.9], [weight])
    assert float(theirs.result()) == 2**24, MENDED
    assert ours.result().numpy()[1, 1] == 2**24 + 3


def linear():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


X = RNG.normal(size=(16, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class WithoutRetrace(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 0.0)


def moved(callback):
    """How far a fit moves the weights of a model that was trained before, and the rate told while it runs."""
    model = linear()
    model.fit(X, Y, verbose=0)
    before = model.get_weights()[0]
    rates = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    model.fit(X, Y, verbose=0, callbacks=[callback, watch])
    return np.abs(model.get_weights()[0] - before).max(), max(rates)


def test_trap_10_a_schedule_installed_without_a_retrace_is_told_and_not_used():
    distance, rate = moved(WithoutRetrace())
    assert rate == 0
    assert distance > 0.01, MENDED
    distance, rate = moved(tfkit.callback("schedule", "constant", value=1e-12))
    assert rate == pytest.approx(1e-12)
    assert distance < 1e-9


def test_trap_11_a_regularizer_set_on_a_built_layer_has_no_effect():
    plain = linear().evaluate(X, Y, verbose=0)
    model = linear()
    model.layers[0].kernel_regularizer = keras.regularizers.L2(10.0)
    assert model.losses == [], MENDED
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain), MENDED

    model = linear()
    penalty = 10.0 * float(np.square(model.get_weights()[0]).sum())
    history = model.fit(X, Y, verbose=0, callbacks=[tfkit.callback("regularizer", "l2", l2=10.0)]).history
    assert history["loss"][0] == pytest.approx(plain + penalty, rel=1e-5)


class _Reader(keras.Model):
    """Keeps the rows in the order in which it is trained on them."""

    def train_step(self, data):
        self.rows += [int(each) for each in keras.ops.convert_to_numpy(data[0])[:, 0]]
        return {"loss": 0.0}


def _orders(*fit):
    """The order of 40 rows in each of two epochs."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1,))
    model = _Reader(inputs, inputs)
    model.rows = []
    model.compile(run_eagerly=True)
    model.fit(*fit, epochs=2, verbose=0, shuffle=len(fit) > 1)
    assert sorted(model.rows[:40]) == list(range(40))
    return model.rows[:40], model.rows[40:]


def test_trap_56_arrays_come_in_one_order_each_epoch_after_set_random_seed():
    rows = np.arange(40.0)[:, None]
    first, second = _orders(rows, rows)
    assert first != list(range(40))
    assert first == second, MENDED
    first, second = _orders(tfkit.Data((rows, rows)).dataset("train"))
    assert first != second

"""Distillation: the loss is the formula, the student is the one of a hand-written loop."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from distill_models import (
    ALPHA,
    HOT,
    LABELS,
    RNG,
    VALUES,
    WEIGHT,
    T,
    X,
    Y,
    by_hand,
    distill,
    fit,
    hard_classes,
    net,
    same,
    soft_classes,
    sparse,
)
from scipy.special import log_softmax, softmax

from tfkit_compressors.distillation.losses import divergence, softened
from tfkit_compressors.distillation.teachers import logits

# The formula


def test_the_loss_is_hintons():
    teacher, student = RNG.normal(size=(7, 4)) * 5, RNG.normal(size=(7, 4)) * 5
    p = softmax(teacher / T, axis=1)
    expected = T**2 * (p * (np.log(p) - log_softmax(student / T, axis=1))).sum(axis=1)
    found = divergence(softened(teacher, "softmax", T), student, "softmax", T)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_labels_by_themselves_are_classes_of_two():
    teacher, student = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 4))
    pairs = [np.stack([each, np.zeros_like(each)], axis=-1) for each in (teacher, student)]
    expected = divergence(softened(pairs[0], "softmax", T), pairs[1], "softmax", T).numpy().mean(axis=1)
    found = divergence(softened(teacher, "sigmoid", T), student, "sigmoid", T)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_teacher_who_is_certain_gives_finite_gradients():
    logits = tf.Variable([[200.0, -200.0, 0.0]])
    for task in ("softmax", "sigmoid"):
        with tf.GradientTape() as tape:
            loss = divergence(softened([[300.0, -300.0, 0.0]], task, 1.0), logits, task, 1.0)
        assert np.isfinite(loss).all()
        assert np.isfinite(tape.gradient(loss, logits)).all()


@pytest.mark.parametrize("task", ["softmax", "sigmoid"])
def test_probabilities_in_float16_give_finite_losses_and_gradients(task):
    certain = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], tf.float16)
    taught = softened(logits(certain, task, False, "teacher"), task, 1.0)
    np.testing.assert_allclose(taught, certain, atol=2e-4)
    with tf.GradientTape() as tape:
        tape.watch(certain)
        loss = divergence(tf.reverse(taught, [1]), logits(certain, task, False, "student"), task, 1.0)
    assert np.isfinite(loss).all()
    assert (loss[:2].numpy() > 1).all()
    gradient = tape.gradient(loss, certain)
    assert gradient.dtype == tf.float16
    assert np.isfinite(gradient).all()


# The training


@pytest.mark.parametrize("ends", ["logits", "softmax", "softmax layer", "one-hot"])
def test_a_fit_is_the_hand_written_loop(ends):
    teacher = net(9, seed=1, loss=sparse())
    expected = by_hand(net(), teacher, hard_classes, soft_classes)
    end = None if ends in ("logits", "one-hot") else "softmax"
    loss = {"logits": sparse(), "one-hot": keras.losses.CategoricalCrossentropy(from_logits=True)}
    model = net(end=end, loss=loss.get(ends, "sparse_categorical_crossentropy"))
    if ends == "softmax layer":
        inner = net()
        model = keras.Sequential([keras.Input((6,)), inner, keras.layers.Softmax()])
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    fit(model, distill(teacher), y=HOT if ends == "one-hot" else Y)
    same(model.get_weights(), expected)


@pytest.mark.parametrize("end", ["softmax", "softmax, not compiled", "hidden softmax"])
def test_a_teacher_of_probabilities_teaches_what_its_logits_do(end):
    logits = net(9, seed=1, loss=sparse())
    teacher = net(9, seed=1, end="softmax", loss=None if "not" in end else "sparse_categorical_crossentropy")
    if end == "hidden softmax":
        # What Keras notes on a softmax's output is lost behind another operation.
        teacher = keras.Sequential([keras.Input((6,)), *teacher.layers, keras.layers.Reshape((4,))])
        teacher.compile(loss="sparse_categorical_crossentropy")
    for model in (expected := net(loss=sparse()), found := net(loss=sparse())):
        fit(model, distill(logits if model is expected else teacher))
    same(found.get_weights(), expected.get_weights())


def test_labels_and_values_by_hand():
    def hard_labels(y, given):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, given), axis=-1)

    def soft_labels(taught, given):
        p = tf.sigmoid(taught / T)
        cross = tf.nn.sigmoid_cross_entropy_with_logits(p, given / T)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(p, taught / T)
        return T**2 * tf.reduce_mean(cross - entropy, axis=-1)

    def squared(y, given):
        return tf.reduce_mean(tf.square(y - given), axis=-1)

    teacher = net(9, seed=1)
    labels = net(loss="binary_crossentropy", end="sigmoid")
    fit(labels, distill(net(9, seed=1, end="sigmoid", loss="binary_crossentropy")), y=LABELS)
    same(labels.get_weights(), by_hand(net(), teacher, hard_labels, soft_labels, y=LABELS))
    values = net(loss="mse")
    fit(values, distill(teacher), y=VALUES)
    same(values.get_weights(), by_hand(net(), teacher, squared, squared, y=VALUES))


def test_sample_weights_weigh_both_losses():
    teacher = net(9, seed=1, loss=sparse())
    expected = by_hand(net(), teacher, hard_classes, soft_classes, weight=WEIGHT)
    model = net(loss=sparse())
    fit(model, distill(teacher), sample_weight=WEIGHT)
    same(model.get_weights(), expected)
    classes = net(loss=sparse())
    fit(classes, distill(teacher), class_weight={0: 0.5, 1: 2.0, 2: 0.0, 3: 1.0})
    same(classes.get_weights(), by_hand(net(), teacher, hard_classes, soft_classes, weight=np.take([0.5, 2, 0, 1], Y)))


def test_a_reduction_holds_for_both_losses():
    teacher = net(9, seed=1, loss=sparse())
    whole, summed = net(loss=sparse()), net(loss=sparse(reduction="sum"), optimizer=keras.optimizers.SGD(0.1 / 16))
    for model in (whole, summed):
        fit(model, distill(teacher))
    same(whole.get_weights(), summed.get_weights())


def test_a_whole_ensemble_is_the_mean_of_its_softened_answers():
    teachers = [net(9, seed=seed, loss=sparse()) for seed in (1, 2, 3)]

    def soft(taught, outputs):
        p = sum(tf.nn.softmax(each(taught) / T) for each in teachers) / 3
        return T**2 * tf.reduce_sum(p * (tf.math.log(p) - tf.nn.log_softmax(outputs / T)), axis=-1)

    expected = by_hand(net(), lambda x, training: x, hard_classes, soft)
    model = net(loss=sparse())
    fit(model, distill(teachers))
    same(model.get_weights(), expected)


def test_penalties_count_in_full():
    teacher = net(9, seed=1, loss=sparse())

    def regular(loss=None):
        keras.utils.set_random_seed(0)
        out = keras.layers.Dense(
            4, name="out", kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer="l2"
        )
        model = keras.Sequential([keras.Input((6,)), out])
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        return model

    model = regular(sparse())
    fit(model, distill(teacher))
    same(model.get_weights(), by_hand(regular(), teacher, hard_classes, soft_classes))


WAYS = {
    "eager": {"run_eagerly": True},
    "several steps, xla": {"steps_per_execution": 2, "jit_compile": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_however_the_step_runs(way):
    teacher = net(9, seed=1, loss=sparse())
    model = net(loss=sparse(), **WAYS[way])
    fit(model, distill(teacher))
    same(model.get_weights(), by_hand(net(), teacher, hard_classes, soft_classes), atol=1e-5)


def test_mixed_precision_softmax_in_float16():
    teacher = net(9, seed=1, loss=sparse())
    model = net(end="softmax", loss="sparse_categorical_crossentropy", dtype="mixed_float16")
    fit(model, distill(teacher))
    assert model.get_layer("out").compute_dtype == "float16"
    same(model.get_weights(), by_hand(net(), teacher, hard_classes, soft_classes), atol=3e-3)


def test_a_half_precision_teacher():
    teachers = [net(9, seed=1, end="softmax", dtype=dtype) for dtype in (None, "mixed_float16")]
    models = [net(loss=sparse()) for _ in teachers]
    for model, teacher in zip(models, teachers):
        fit(model, distill(teacher))
    same(models[0].get_weights(), models[1].get_weights(), atol=3e-3)


def test_figures_and_the_validation_loss():
    teacher = net(9, seed=1, loss=sparse())
    model = net(loss=sparse(), optimizer=keras.optimizers.SGD(0.0))
    history = fit(model, distill(teacher), epochs=1, validation_data=(X, Y)).history
    outputs, taught = model(X), teacher(X)
    own, soft = np.mean(hard_classes(Y, outputs)), np.mean(soft_classes(taught, outputs))
    assert history["student_loss"] == [pytest.approx(own, rel=1e-5)]
    assert history["distillation_loss"] == [pytest.approx(soft, rel=1e-5)]
    assert history["loss"] == [pytest.approx(ALPHA * own + (1 - ALPHA) * soft, rel=1e-5)]
    assert history["val_loss"] == [pytest.approx(own, rel=1e-5)]


@pytest.mark.slow
@pytest.mark.nightly
def test_two_replicas_learn_what_one_device_does():
    child = Path(__file__).with_name("distill_on_two_devices.py")
    done = subprocess.run([sys.executable, child], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["same"]

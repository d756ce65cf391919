"""Distillation as a step of compression: the teacher answers beforehand, stays as it is, and nothing is left."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from distill_models import ALPHA, WEIGHT, T, X, Y, by_hand, distill, fit, hard_classes, net, same, soft_classes, sparse

import tfkit
from tfkit_compressors.distillation import distill as distill_module
from tfkit_compressors.distillation import lesson
from tfkit_compressors.distillation.distill import Distill
from tfkit_compressors.distillation.losses import divergence, softened

# What stays


def test_the_teacher_answers_in_inference_mode_and_stays_as_it_is():
    keras.utils.set_random_seed(1)
    teacher = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(9), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    )
    teacher.add(keras.layers.Dense(4))
    before, frozen = teacher.get_weights(), [each.trainable for each in teacher.weights]
    model = net(loss=sparse())
    fit(model, distill(teacher))
    same(model.get_weights(), by_hand(net(), teacher, hard_classes, soft_classes))
    same(teacher.get_weights(), before, atol=0)
    assert [each.trainable for each in teacher.weights] == frozen
    assert not teacher.compiled


def test_nothing_is_left_and_the_plain_loss_is_what_it_was():
    teacher = net(9, seed=1, loss=sparse())
    model = net(loss=sparse(), metrics=["accuracy"])
    plain = net(loss=sparse(), metrics=["accuracy"])
    fit(plain, epochs=1)
    fit(model, distill(teacher, features=[("hidden", "hidden")]), epochs=1)
    for one, other in zip((model, *model.layers), (plain, *plain.layers)):
        assert set(vars(one)) == set(vars(other))
    other = net(loss=sparse(), metrics=["accuracy"])
    other.set_weights(model.get_weights())
    assert fit(model, epochs=1).history == fit(other, epochs=1).history
    assert [type(each) for each in model.layers] == [keras.layers.Dense] * 2


# compress


def compress(model, data, teacher, epochs=2, **params):
    params = {"temperature": T, "alpha": ALPHA, **params}
    return Distill(teacher, **params).compress(model, data, epochs=epochs, directory=Path()).model


@pytest.mark.parametrize("weighted", [False, True])
def test_answers_that_are_prepared_teach_the_same(weighted):
    part = (X, Y, WEIGHT) if weighted else (X, Y)
    data = tfkit.Data(part, batch_size=16, seed=3)
    teacher, calls = net(9, seed=1, loss=sparse()), []
    teacher.layers[0].call = lambda x, call=teacher.layers[0].call, **_: calls.append(1) or call(x)
    arrays = compress(net(loss=sparse(), run_eagerly=True), data, teacher, epochs=4)
    assert len(calls) == 1, "in 4 epochs of 3 steps the teacher is traced once, to answer beforehand"
    batches = tfkit.Data(data.dataset("train"))
    same(arrays.get_weights(), compress(net(loss=sparse(), run_eagerly=True), batches, teacher, epochs=4).get_weights())
    assert len(calls) == 1 + 4 * 3


def test_answers_too_large_to_keep_are_given_batch_by_batch(monkeypatch):
    lessons, calls, own = [], [], lesson.Lesson.__init__
    monkeypatch.setattr(lesson.Lesson, "__init__", lambda self, *args: lessons.append(1) or own(self, *args))
    data, teacher = tfkit.Data((X, Y), batch_size=16, seed=3), net(9, seed=1, loss=sparse())
    teacher.layers[0].call = lambda x, call=teacher.layers[0].call, **_: calls.append(1) or call(x)
    size = len(X) * 4 * 4  # rows, classes, bytes of a float
    kept = compress(net(loss=sparse(), run_eagerly=True), data, teacher)
    monkeypatch.setattr(distill_module, "_LARGEST", size)
    compress(net(loss=sparse(), run_eagerly=True), data, teacher)
    assert (len(calls), len(lessons)) == (2, 2), "each time one trace, and one lesson"
    monkeypatch.setattr(distill_module, "_LARGEST", size - 1)
    large = compress(net(loss=sparse(), run_eagerly=True), data, teacher)
    assert (len(calls), len(lessons)) == (2 + 2 * 3, 3)
    same(kept.get_weights(), large.get_weights())


def test_augmented_batches_are_answered_as_they_come():
    noisy = tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x + tf.random.normal((6,)), y)).batch(16)
    teacher = net(9, seed=1, loss=sparse())
    model = compress(net(loss=sparse()), tfkit.Data(noisy), teacher, epochs=30, alpha=0.0, temperature=1.0)
    plain = net(loss=sparse())

    def distance(student):
        return float(np.mean(divergence(softened(teacher(X), "softmax", 1.0), student(X), "softmax", 1.0)))

    assert distance(model) < 0.7 * distance(plain)


def test_source_is_the_model_as_it_was_in_a_fit_and_in_compress():
    keeper = net(seed=4, loss=sparse())
    model = net(seed=4, loss=sparse())
    expected = by_hand(net(seed=4), keeper, hard_classes, soft_classes)
    fit(model, distill("source"))
    same(model.get_weights(), expected)
    itself = net(seed=4, loss=sparse())
    fit(itself, distill(itself))
    same(itself.get_weights(), expected)
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices((X, Y)).batch(16))
    same(compress(net(seed=4, loss=sparse()), data, "source").get_weights(), expected)


def test_pruning_and_self_distillation_in_one_fit():
    model = net(seed=4, loss=sparse())
    prune = tfkit.callback("compressor", "prune", sparsity=0.5, schedule="constant", frequency=1)
    history = fit(model, prune, distill("source")).history
    assert [float((layer.kernel.numpy() == 0).mean()) for layer in model.layers] == [0.5, 0.5]
    assert history["distillation_loss"][0] > 0
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_a_teacher_from_a_file_and_epochs_0(tmp_path):
    teacher = net(9, seed=1, loss=sparse())
    teacher.save(tmp_path / "teacher.keras")
    models = [net(loss=sparse()) for _ in range(2)]
    fit(models[0], distill(teacher))
    fit(models[1], distill(str(tmp_path / "teacher.keras")))
    same(models[0].get_weights(), models[1].get_weights())
    model = net(loss=sparse())
    before = model.get_weights()
    made = Distill(teacher).compress(model, tfkit.Data((X, Y)), epochs=0, directory=tmp_path)
    assert made.notes == ("distill trains nothing in 0 epochs",)
    same(made.model.get_weights(), before, atol=0)


def test_tfkit_compress_after_pruning():
    data = tfkit.Data((X, Y), validation=(X, Y), batch_size=16)
    model = net(9, seed=1, loss=sparse())
    steps = [("prune", {"sparsity": 0.5, "frequency": 1}), ("distill", {"teacher": net(9, seed=2, loss=sparse())})]
    made = tfkit.compress(model, steps, data, epochs=2)
    assert [row["step"] for row in made.table] == ["source", "prune", "distill"]
    assert type(made.model) is keras.Sequential
    assert "compute_loss" not in vars(made.model)

"""Distillation: the loss is the formula, the student is the one of a hand-written loop, the teacher stays as it is."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

import tfkit
from tfkit_compressors.distillation.distill import Distill
from tfkit_compressors.distillation.losses import divergence, softened

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = RNG.integers(0, 4, 48)
WEIGHT = RNG.uniform(0, 2, 48).astype("float32")
HOT = np.eye(4, dtype="float32")[Y]
LABELS = RNG.integers(0, 2, (48, 4)).astype("float32")
VALUES = RNG.normal(size=(48, 4)).astype("float32")
T, ALPHA = 3.0, 0.3


def net(units=5, seed=0, end=None, *, loss=None, name=None, out=4, dtype=None, **compiled):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(units, "relu", name="hidden", dtype=dtype)]
    layers.append(keras.layers.Dense(out, end, name="out", dtype=dtype))
    model = keras.Sequential([keras.Input((6,)), *layers], name=name or f"net{units}")
    if loss is not None:
        optimizer = compiled.pop("optimizer", None) or keras.optimizers.SGD(0.1)
        model.compile(optimizer, loss, **{"jit_compile": False, **compiled})
    return model


def sparse(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def distill(teacher, **params):
    return tfkit.callback("compressor", "distill", teacher=teacher, **{"temperature": T, "alpha": ALPHA, **params})


def fit(model, *callbacks, y=Y, epochs=2, **more):
    return model.fit(X, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def by_hand(model, teacher, hard, soft, *, y=Y, weight=None, epochs=2, batch=16):
    """The same training, written out: plain SGD at 0.1, the mean over rows."""
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            rows = slice(start, start + batch)
            w = 1.0 if weight is None else weight[rows]
            with tf.GradientTape() as tape:
                given = model(X[rows], training=True)
                losses = ALPHA * hard(y[rows], given) + (1 - ALPHA) * soft(teacher(X[rows], training=False), given)
                loss = tf.reduce_mean(w * losses) + sum(model.losses)
            for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables)):
                variable.assign_sub(0.1 * gradient)
    return model.get_weights()


def hard_classes(labels, outputs):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)


def soft_classes(taught, outputs):
    p = tf.nn.softmax(taught / T)
    return T**2 * tf.reduce_sum(p * (tf.nn.log_softmax(taught / T) - tf.nn.log_softmax(outputs / T)), axis=-1)


def same(left, right, atol=2e-6):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


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


# Shapes of models


def test_masked_sequences_leave_the_padding_out():
    tokens = RNG.integers(1, 9, (48, 5))
    tokens[:, 3:] = 0
    y = RNG.integers(0, 4, (48, 5))

    def tagger(units, seed, **compiled):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, 3, mask_zero=True)])
        model.add(keras.layers.GRU(units, return_sequences=True))
        model.add(keras.layers.Dense(4, "softmax", name="out"))
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
        return model

    teacher = tagger(6, 1)
    padded, short = tagger(3, 0), tagger(3, 0)
    padded.fit(tokens, y, epochs=1, shuffle=False, verbose=0, callbacks=[distill(teacher)])
    short.fit(tokens[:, :3], y[:, :3], epochs=1, shuffle=False, verbose=0, callbacks=[distill(teacher)])
    same(padded.get_weights(), short.get_weights())


def test_an_ignored_class_is_not_taught():
    y = Y.copy()
    y[::2] = 255
    teacher = net(9, seed=1, loss=sparse())
    model, half = (net(loss=sparse(ignore_class=255)) for _ in range(2))
    model.fit(X, y, batch_size=48, verbose=0, shuffle=False, callbacks=[distill(teacher, alpha=0.0)])
    half.fit(X[1::2], y[1::2], batch_size=48, verbose=0, shuffle=False, callbacks=[distill(teacher, alpha=0.0)])
    same(model.get_weights(), half.get_weights())


def two_outputs(units, seed, *, as_dict=False, **compiled):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(units, "relu", name="hidden")(inputs)
    kind, value = keras.layers.Dense(4, name="kind")(hidden), keras.layers.Dense(2, name="value")(hidden)
    model = keras.Model(inputs, {"kind": kind, "value": value} if as_dict else [kind, value])
    loss = {"kind": sparse(), "value": "mse"} if as_dict else [sparse(), "mse"]
    weights = {"kind": 1.0, "value": 0.5} if as_dict else [1.0, 0.5]
    model.compile(keras.optimizers.SGD(0.1), loss, loss_weights=weights, jit_compile=False)
    return model


@pytest.mark.parametrize("as_dict", [False, True])
def test_several_outputs_each_by_its_own_loss(as_dict):
    teacher = two_outputs(9, 1, as_dict=as_dict)

    def leaves(outputs):
        return [outputs["kind"], outputs["value"]] if as_dict else outputs

    def hard(y, given):
        kind, value = leaves(given)
        return hard_classes(y, kind) + 0.5 * tf.reduce_mean(tf.square(VALUES[0, :2] - value), axis=-1)

    def soft(taught, given):
        (kind, value), (kinds, values) = leaves(given), leaves(taught)
        return soft_classes(kinds, kind) + 0.5 * tf.reduce_mean(tf.square(values - value), axis=-1)

    expected = by_hand(two_outputs(5, 0, as_dict=as_dict), teacher, hard, soft)
    model, targets = two_outputs(5, 0, as_dict=as_dict), np.tile(VALUES[0, :2], (48, 1))
    fit(model, distill(teacher), y={"kind": Y, "value": targets} if as_dict else [Y, targets])
    same(model.get_weights(), expected)


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A subclassed model, with a step of its own where asked."""

    def __init__(self, units=5, calls=True):
        super().__init__(name="own")
        self.hidden, self.out = keras.layers.Dense(units, "relu"), keras.layers.Dense(4)
        self.calls = calls

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        if self.calls:
            return super().train_step(data)
        return {"loss": tf.reduce_mean(self(data[0]))}


def test_subclassed_student_and_teacher():
    keras.utils.set_random_seed(0)
    teacher, model, copy = Own(9), Own(), Own()
    for each in (teacher, model, copy):
        each.compile(keras.optimizers.SGD(0.1), sparse(), jit_compile=False)
        each(X)
    copy.set_weights(model.get_weights())
    fit(model, distill(teacher))
    same(model.get_weights(), by_hand(copy, lambda x, training: teacher(x), hard_classes, soft_classes))


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


@pytest.mark.slow
def test_two_replicas_learn_what_one_device_does():
    child = Path(__file__).with_name("distill_on_two_devices.py")
    done = subprocess.run([sys.executable, child], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["same"]

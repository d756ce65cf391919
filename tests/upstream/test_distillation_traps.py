"""What goes wrong without a word in keras.distillation: each test fails when upstream mends it."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import tfkit
from tfkit_compressors.distillation.losses import divergence, softened

RNG = np.random.default_rng(0)
TEACHER, STUDENT = (RNG.normal(size=(50, 5)).astype("float32") * 4 for _ in range(2))
T = 3.0


def kl(teacher, student):
    p = softmax(teacher / T, axis=1)
    return float(T**2 * (p * (np.log(p) - log_softmax(student / T, axis=1))).sum(axis=1).mean())


def theirs(teacher, student, **options):
    return float(keras.distillation.LogitsDistillation(temperature=T, **options).compute_loss(teacher, student))


def ours(teacher, student):
    return float(np.mean(divergence(softened(teacher, "softmax", T), student, "softmax", T)))


def test_trap_13_the_default_loss_skips_softmax():
    # A constant added to a row's logits changes no probability, and no divergence of probabilities.
    shifted = STUDENT + RNG.normal(size=(50, 1)).astype("float32")
    assert theirs(TEACHER, STUDENT) != pytest.approx(theirs(TEACHER, shifted), rel=0.01)
    assert theirs(TEACHER, STUDENT) != pytest.approx(kl(TEACHER, STUDENT), rel=0.5)
    assert ours(TEACHER, STUDENT) == pytest.approx(kl(TEACHER, STUDENT), rel=1e-5)
    assert ours(TEACHER, shifted) == pytest.approx(kl(TEACHER, STUDENT), rel=1e-5)


def test_trap_13_the_default_loss_goes_negative():
    # The teacher's logits, clipped to [0, 1], are no distribution: one above 1 makes the logarithm negative.
    teacher, student = np.full((1, 2), 0.5 * T, "float32"), np.full((1, 2), 5 * T, "float32")
    assert theirs(teacher, student) < 0
    assert ours(teacher, student) == pytest.approx(0.0, abs=1e-6)


def test_trap_13_named_as_a_loss_object_it_is_right_and_the_same_as_here():
    assert theirs(TEACHER, STUDENT, loss=keras.losses.KLDivergence()) == pytest.approx(ours(TEACHER, STUDENT), rel=1e-3)


def nets(regularizer=None):
    keras.utils.set_random_seed(0)
    out = keras.layers.Dense(5, kernel_regularizer=regularizer)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)]), keras.Sequential([keras.Input((4,)), out])


X = RNG.normal(size=(16, 4)).astype("float32")
Y = RNG.integers(0, 5, 16)


def fitted(kind, *, regularizer=None, sample_weight=None, alpha=0.5):
    teacher, student = nets(regularizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"verbose": 0, "shuffle": False, "batch_size": 16, "sample_weight": sample_weight}
    if kind == "keras":
        soft = keras.distillation.LogitsDistillation(temperature=T, loss=keras.losses.KLDivergence())
        model = keras.distillation.Distiller(teacher, student, soft, student_loss_weight=alpha)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        model.fit(X, Y, **options)
    else:
        student.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        callback = tfkit.callback("compressor", "distill", teacher=teacher, temperature=T, alpha=alpha)
        student.fit(X, Y, callbacks=[callback], **options)
    return student.get_weights()[0]


def test_where_the_distiller_is_right_it_trains_the_same():
    np.testing.assert_allclose(fitted("keras"), fitted("tfkit"), atol=1e-5)


def test_the_distiller_ignores_sample_weight():
    none = np.zeros(16, "float32")
    start = nets()[1].get_weights()[0]
    np.testing.assert_array_equal(fitted("keras", sample_weight=none), fitted("keras"))
    np.testing.assert_array_equal(fitted("tfkit", sample_weight=none), start)


def test_the_distiller_leaves_out_regularizers():
    heavy = keras.regularizers.L2(0.5)
    np.testing.assert_array_equal(fitted("keras", regularizer=heavy), fitted("keras"))
    # One step of SGD at 0.1 on 0.5 · w² takes a tenth of w.
    start = nets()[1].get_weights()[0]
    np.testing.assert_allclose(fitted("tfkit", regularizer=heavy), fitted("tfkit") - 0.1 * start, atol=1e-6)


def test_the_distiller_takes_probabilities_for_logits():
    def soft(end):
        teacher, student = (keras.Sequential([keras.Input((5,)), keras.layers.Activation(end)]) for _ in range(2))
        return theirs(teacher(TEACHER), student(STUDENT), loss=keras.losses.KLDivergence())

    assert soft("softmax") < 0.2 * soft("linear")
    keras.utils.set_random_seed(0)
    found = []
    for end, from_logits in (("linear", True), ("softmax", False)):
        teacher, student = nets()
        teacher, student = (
            keras.Sequential([keras.Input((4,)), *each.layers, keras.layers.Activation(end)])
            for each in (teacher, student)
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        student.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        callback = tfkit.callback("compressor", "distill", teacher=teacher, temperature=T)
        found.append(student.fit(X, Y, verbose=0, callbacks=[callback]).history["distillation_loss"][0])
    assert found[0] == pytest.approx(found[1], rel=1e-5)

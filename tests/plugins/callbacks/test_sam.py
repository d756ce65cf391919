import keras
import numpy as np
import pytest
import tensorflow as tf
from small_fits import WEIGHT, X, Y, assert_same, fitted, made, small_model


@pytest.fixture(scope="module")
def stepped():
    return fitted(made("sam", rho=0.1))


def test_it_is_the_step_of_the_paper(stepped):
    """Written with moved weights: up to the worst point, the gradient there, back, and an update by that."""
    model = small_model()
    weights = model.trainable_variables

    def gradient(rows):
        with tf.GradientTape() as tape:
            errors = tf.square(model(X[rows], training=True) - Y[rows])[:, 0]
            penalty = 0.01 * (tf.reduce_sum(tf.square(weights[0])) + tf.reduce_sum(tf.square(weights[2])))
            loss = tf.reduce_mean(errors * WEIGHT[rows]) + penalty
        return tape.gradient(loss, [each.value for each in weights])

    for _ in range(2):
        for rows in (slice(0, 20), slice(20, 40), slice(40, 50)):
            first = gradient(rows)
            length = np.sqrt(sum(float(tf.reduce_sum(each**2)) for each in first))
            climb = [0.1 * each / length for each in first]
            for weight, each in zip(weights, climb):
                weight.assign_add(each)
            second = gradient(rows)
            for weight, each in zip(weights, climb):
                weight.assign_sub(each)
            model.optimizer.apply(second, weights)
    wanted = np.concatenate([each.ravel() for each in model.get_weights()])
    np.testing.assert_allclose(stepped[0], wanted, atol=2e-6)
    assert np.abs(stepped[0] - fitted()[0]).max() > 0.005


@pytest.mark.nightly
@pytest.mark.parametrize(
    "compiled", [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}], ids=str
)
def test_every_way_to_run_a_step_is_the_same(stepped, compiled):
    assert_same(fitted(made("sam", rho=0.1), **compiled), stepped)


def test_mixed_precision_comes_near(stepped):
    found = fitted(made("sam", rho=0.1), dtype="mixed_float16")
    np.testing.assert_allclose(found[0], stepped[0], atol=0.01)


def test_statistics_are_updated_once_and_dropout_is_the_same_twice():
    """At a distance of next to nothing both gradients are one, if both see the same dropout."""

    def ended(*callbacks):
        start = keras.initializers.GlorotUniform(seed=1)
        inner = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3)]
        model = keras.Sequential([keras.Input((3,)), *inner, keras.layers.Dense(1, kernel_initializer=start)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(X, Y, batch_size=25, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
        return [np.asarray(each.numpy(), "float64") for each in model.variables]

    for one, other in zip(ended(made("sam", rho=1e-8)), ended()):
        np.testing.assert_allclose(one, other, atol=1e-5)

import keras
import numpy as np
import pytest
from small_fits import X, Y, assert_same, fitted, made, small_model

import tfkit


@pytest.fixture(scope="module")
def whole():
    return fitted()


@pytest.mark.parametrize(
    ("steps", "compiled"),
    [
        (3, {"steps_per_execution": 2}),
        (64, {"run_eagerly": True}),
        pytest.param(3, {"jit_compile": True}, marks=pytest.mark.nightly),
        pytest.param(3, {}, marks=pytest.mark.nightly),
    ],
    ids=["spe-2", "a-row-a-part-eager", "jit", "plain"],
)
def test_the_update_is_that_of_the_whole_batch(whole, steps, compiled):
    """Batches of 20, 20 and 10 rows, none of them a multiple of 3; weights of rows, penalties and metrics."""
    assert_same(fitted(made("micro-batches", steps=steps), **compiled), whole)


class Idle(keras.layers.Layer):
    def build(self, shape):
        self.unused = self.add_weight(shape=(2,), initializer="ones")

    def call(self, x):
        return x


def test_embeddings_and_weights_without_a_gradient():
    def ended(*callbacks):
        start = keras.initializers.RandomUniform(seed=1)
        inputs = keras.Input((4,), dtype="int32")
        embedded = keras.layers.Embedding(9, 3, embeddings_initializer=start)(inputs)
        outputs = keras.layers.Dense(1, kernel_initializer=start)(keras.layers.Flatten()(Idle()(embedded)))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
        ids = np.random.default_rng(0).integers(9, size=(12, 4))
        with pytest.warns(UserWarning, match="Gradients do not exist"):
            model.fit(ids, ids.sum(1), batch_size=6, shuffle=False, verbose=0, callbacks=list(callbacks))
        return np.concatenate([each.ravel() for each in model.get_weights()])

    np.testing.assert_allclose(ended(made("micro-batches", steps=2)), ended(), atol=1e-5)


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    model = OwnStep([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def summed():
    model = small_model()
    model.compile("sgd", keras.losses.MeanSquaredError(reduction="sum"))
    return model


@pytest.mark.parametrize(
    ("model", "others", "told"),
    [
        (own_step, [], "micro-batches replaces the training step, and OwnStep has a train_step of its own"),
        (summed, [], "MeanSquaredError has reduction='sum'"),
        (small_model, ["sam"], "micro-batches and sam both replace the training step"),
    ],
    ids=["own-step", "sum", "two"],
)
def test_what_it_cannot_split_is_refused(model, others, told):
    callbacks = [*(made(name) for name in others), made("micro-batches", steps=2)]
    model = model()
    with pytest.raises(tfkit.ModelError, match=told):
        model.fit(X, Y, verbose=0, callbacks=callbacks)
    assert "train_step" not in vars(model)

"""What shrink refuses, by name."""

import keras
import numpy as np
import pytest
from keras import layers
from shrink_models import DATA, X, mlp, shrink

import tfkit
from tfkit_compressors.shrinking.shrink import Shrink


def test_it_is_no_callback():
    with pytest.raises(tfkit.TfkitError, match="works on a trained model, not inside fit"):
        tfkit.callback("compressor", "shrink", ratio=0.5)


def subclassed():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__(name="hidden")
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Hidden()
    model(X[:1])
    return model


class Closed(layers.Layer):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        return x


def closed():
    hidden = [layers.Dense(4), Closed(object(), name="mine"), layers.Dense(4)]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(2)])


BAD_MODELS = {
    "subclassed": (subclassed, r"'hidden' is a subclassed model \(Hidden\), whose graph .*: build it as a Functional"),
    "not built": (lambda: keras.Sequential([layers.Dense(2)], name="net"), "'net' is not built"),
    "no model": (lambda: layers.Dense(2), "expected a Keras 3 model"),
    "no kernels": (lambda: keras.Sequential([keras.Input((6,)), layers.ReLU()], name="net"), "it has no kernels"),
    "one layer": (
        lambda: keras.Sequential([keras.Input((6,)), layers.Dense(2, name="out")], name="net"),
        "'net' has nothing to shrink: out stays: it is an output of the model",
    ),
    "cannot be cloned": (closed, r"layer 'mine' \(Closed\) cannot be made anew from its config"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_cannot_be_shrunk_are_refused_by_name(name):
    make, text = BAD_MODELS[name]
    with pytest.raises(tfkit.ModelError, match=text):
        Shrink(0.5).compress(make(), DATA, epochs=0, directory=None)


def test_training_and_gradients_need_a_compiled_model():
    plain = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(3)], name="plain")
    for params, epochs in (({"importance": "taylor"}, 0), ({}, 1)):
        with pytest.raises(tfkit.ModelError, match="'plain' is not compiled"):
            shrink(plain, epochs=epochs, **params)


def test_weights_that_are_nan_rank_nothing():
    model = mlp()
    model.get_layer("hidden0").kernel.assign(np.full((6, 8), np.nan))
    with pytest.raises(tfkit.ModelError, match="the weights of hidden0 hold NaN or infinity"):
        shrink(model)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "needs 'ratio'"),
        ({"ratio": 1.0}, "'ratio' of compressor 'shrink' must be a float >= 0 and < 1; got 1.0"),
        ({"ratio": -0.1}, "'ratio' of compressor 'shrink' must be a float >= 0 and < 1; got -0.1"),
        ({"ratio": 0.5, "importance": "size"}, "'importance' of compressor 'shrink' must be 'l2' or 'l1'"),
        ({"ratio": 0.5, "multiple_of": 0}, "'multiple_of' of compressor 'shrink' must be an int >= 1 or 'auto'; got 0"),
        ({"ratio": 0.5, "budget": 1.5}, "'budget' of compressor 'shrink' must be a float > 0 and < 1 or None; got 1.5"),
        ({"ratio": 0.5, "cost": "money"}, "'cost' of compressor 'shrink' must be 'parameters' or 'bytes'"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "shrink", **params)

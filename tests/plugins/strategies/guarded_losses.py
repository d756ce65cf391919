"""Losses and optimizers of fits under Mirrored, each as on one device or refused: two_devices.py runs these."""

import contextlib
import io

import keras
import numpy as np
import pytest

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
# The first half has far fewer words than the other.
WORDS = RNG.integers(1, 7, size=(13, 5))
WORDS[:6, 2:] = 0
TAGS = RNG.normal(size=(13, 5, 1)).astype("float32")
WEIGHTS = np.arange(1.0, 16.0)


def linear(loss="mse", optimizer=lambda: keras.optimizers.SGD(0.05), **compiled):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer(), loss, **compiled)
    return model


def two_taggers():
    words = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Embedding(7, 3, mask_zero=True)(words)
    model = keras.Model(words, [keras.layers.Dense(1, name="a")(hidden), keras.layers.Dense(1, name="b")(hidden)])
    model.compile(keras.optimizers.SGD(0.1, clipnorm=0.1), ["mse", keras.losses.MeanAbsoluteError(reduction="sum")])
    return model


def two_outputs(**compiled):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)])
    model.compile(keras.optimizers.SGD(0.01), ["mse", "mae"], **compiled)
    return model


def tagger(dtype=None, loss="mse"):
    layers = [keras.Input((5,), dtype="int32"), keras.layers.Embedding(7, 3, mask_zero=True)]
    model = keras.Sequential([*layers, keras.layers.Dense(1, dtype=dtype)])
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def fitted(build, data, strategy=None, callbacks=(), **fit):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build()
    options = {"batch_size": 10, "shuffle": False, "verbose": 0, **fit}
    return model, model.fit(*data, callbacks=list(callbacks), **options).history


def guarded(build, data, **fit):
    strategy = tfkit.create("strategy", "mirrored")
    return fitted(build, data, strategy, [tfkit.callback("strategy", "mirrored"), *fit.pop("callbacks", ())], **fit)


def assert_as_on_one(build, data, atol=1e-6, **fit):
    (plain, wanted), (model, history) = fitted(build, data, **fit), guarded(build, data, **fit)
    for found, value in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(found, value, rtol=0, atol=atol)
    assert history.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=max(1e-5, atol), err_msg=name)
    return model


def clipped(**params):
    return lambda: linear(optimizer=lambda: keras.optimizers.SGD(0.1, **params))


def of_a_loss(loss):
    return lambda: linear(loss=loss)


def one_number(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


MSE = keras.losses.MeanSquaredError
REFUSED = [
    (
        "mean_squared_error has reduction='mean_with_sample_weight', and under MirroredStrategy",
        MSE(reduction="mean_with_sample_weight"),
    ),
    ("the loss one_number is one number for all rows", one_number),
    ("the loss dice is one number for all rows", keras.losses.Dice()),
]


def as_on_one_device():
    """Gradients that are clipped, a sum, two outputs and masks, in batches of 10 and 3 rows."""
    model = assert_as_on_one(two_taggers, (WORDS, [TAGS, TAGS]), validation_data=(WORDS[2:], [TAGS[2:], TAGS[2:]]))
    assert "_clip_gradients" not in vars(model.optimizer)
    assert model.test_function is None
    assert model.predict_function is None


def refused():
    for words, loss in REFUSED[:2]:
        with pytest.raises(tfkit.ModelError, match=words):
            guarded(of_a_loss(loss), (X, Y))


def evaluated_anew():
    """What a guarded fit has traced, and what was traced before it, is not what evaluate and predict go by after."""
    strategy = tfkit.create("strategy", "mirrored")
    with strategy.scope():
        model = linear()
    model.evaluate(X, Y, batch_size=2, verbose=0)
    model.predict(X, batch_size=2, verbose=0)
    model.steps_per_execution = 4
    guard = tfkit.callback("strategy", "mirrored")
    data = {"batch_size": 2, "shuffle": False, "verbose": 0}
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=[guard], **data).history
    kernel, bias = model.get_weights()
    wanted = np.mean((X @ kernel + bias - Y) ** 2)
    np.testing.assert_allclose(history["val_loss"], wanted, rtol=1e-5)
    assert model.test_function is None
    assert model.predict_function is None
    model.steps_per_execution = 1
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=2, verbose=0), wanted, rtol=1e-5)


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def more():
    """More of the same, for a nightly run."""
    for params in ({"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.2}):
        assert_as_on_one(clipped(**params), (X[:15], Y[:15]))
    assert_as_on_one(linear, (X[:15], Y[:15]), sample_weight=WEIGHTS)
    assert_as_on_one(two_outputs, (X[:11], [Y[:11], Y[:11]]), validation_data=(X[:13], [Y[:13], Y[:13]]))
    assert_as_on_one(tagger, (WORDS, TAGS))
    for rows in (15, 11):
        assert_as_on_one(of_a_loss(MSE(reduction="sum")), (X[:rows], Y[:rows]), validation_data=(X[:13], Y[:13]))
    assert_as_on_one(two_outputs, (X[:11], [Y[:11], Y[:11]]), sample_weight=[WEIGHTS[:11], WEIGHTS[10::-1]])
    ids = (X.argmax(axis=1)[:15]).astype("int32")
    crossentropy = keras.losses.SparseCategoricalCrossentropy

    def classifier(**loss):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "softmax")])
        model.compile(keras.optimizers.SGD(0.1), crossentropy(**loss))
        return model

    assert_as_on_one(classifier, (X[:15], ids), class_weight={0: 1.0, 1: 5.0, 2: 0.5, 3: 2.0})
    assert_as_on_one(lambda: classifier(ignore_class=1), (X[:15], ids))
    assert_as_on_one(tagger, (WORDS, TAGS), sample_weight=np.arange(65.0).reshape(13, 5))
    for words, loss in REFUSED[2:]:
        with pytest.raises(tfkit.ModelError, match=words):
            guarded(of_a_loss(loss), (X, Y))
    with pytest.raises(tfkit.ModelError, match="are masked, whose mean over several replicas cannot be made within"):
        guarded(tagger, (WORDS, TAGS), callbacks=[tfkit.callback("callback", "micro-batches", steps=2)])
    for policy, atol in (("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)):
        keras.config.set_dtype_policy(policy)
        try:
            assert_as_on_one(clipped(clipnorm=0.5), (X[:15], Y[:15]), atol=atol)
            assert_as_on_one(lambda: tagger("float32"), (WORDS, TAGS), atol=atol)
            if policy == "mixed_bfloat16":
                with pytest.raises(tfkit.ModelError, match="a masked output is of dtype bfloat16"):
                    guarded(tagger, (WORDS, TAGS))
        finally:
            keras.config.set_dtype_policy("float32")


def own_step_told():
    def build():
        inputs = keras.Input((4,))
        model = OwnStep(inputs, keras.layers.Dense(1)(inputs))
        model.compile("sgd", "mse")
        return model

    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        guarded(build, (X, Y))
    assert "strategy: OwnStep has a train_step of its own" in " ".join(told.getvalue().split())

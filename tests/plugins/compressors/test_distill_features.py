"""Distillation on features: pairs of layers, projections, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6, 6, 2)).astype("float32")
Y = RNG.integers(0, 3, 32)


def cnn(filters, seed, *, strides=1, dropout=0.0):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Conv2D(filters, 3, strides, name="conv"),
        keras.layers.BatchNormalization(momentum=0.5, name="norm"),
        keras.layers.Dropout(dropout),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, name="out"),
    ]
    model = keras.Sequential([keras.Input((6, 6, 2)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    return model


def fit(model, teacher, *, epochs=1, weight=None, **params):
    params = {"alpha": 0.5, "temperature": 2.0, "features": [("conv", "conv")], **params}
    callback = tfkit.callback("compressor", "distill", teacher=teacher, **params)
    options = {"batch_size": 8, "epochs": epochs, "shuffle": False, "verbose": 0, "sample_weight": weight}
    return model.fit(X, Y, callbacks=[callback], **options).history


@pytest.mark.parametrize("weighted", [False, True])
def test_features_of_one_shape_by_hand(weighted):
    teacher, model, twin = cnn(4, 1), cnn(4, 0), cnn(4, 0)
    weight = RNG.uniform(0, 2, 32).astype("float32") if weighted else None
    fit(model, teacher, weight=weight, feature_weight=0.7)
    conv, *rest = twin.layers
    for start in range(0, 32, 8):
        rows = slice(start, start + 8)
        w = 1.0 if weight is None else weight[rows]
        with tf.GradientTape() as tape:
            features = outputs = conv(X[rows])
            for layer in rest:
                outputs = layer(outputs, training=True) if layer.name != "out" else layer(outputs)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(Y[rows], outputs)
            taught = teacher(X[rows], training=False)
            p = tf.nn.softmax(taught / 2)
            soft = 4 * tf.reduce_sum(p * (tf.math.log(p) - tf.nn.log_softmax(outputs / 2)), axis=-1)
            squares = tf.reduce_mean((features - teacher.layers[0](X[rows])) ** 2, axis=(1, 2, 3))
            loss = tf.reduce_mean(w * (0.5 * hard + 0.5 * soft + 0.7 * squares))
        for variable, gradient in zip(twin.trainable_variables, tape.gradient(loss, twin.trainable_variables)):
            variable.assign_sub(0.1 * gradient)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=3e-6)


@pytest.mark.parametrize(
    "options", [pytest.param({}, marks=pytest.mark.nightly), {"jit_compile": True, "steps_per_execution": 2}]
)
def test_a_projection_learns_and_is_gone(options):
    teacher, model = cnn(8, 1), cnn(3, 0, dropout=0.2)
    config = {"optimizer": keras.optimizers.SGD(0.1), "loss": model.loss, "jit_compile": False}
    model.compile(**{**config, **options})
    before = [each.path for each in model.variables]
    history = fit(model, teacher, epochs=20, feature_weight=3.0)
    assert history["feature_loss"][-1] < 0.8 * history["feature_loss"][0]
    assert [each.path for each in model.variables if "sgd" not in each.path] == before
    assert len(model.optimizer.variables) == 2, "iterations and learning rate: nothing of the projection"
    assert "call" not in vars(model.layers[0]) | vars(teacher.layers[0])


@pytest.mark.nightly
def test_features_pull_the_student_to_the_teacher():
    teacher, distances = cnn(4, 1), []
    for weight in (0.0, 3.0):
        model = cnn(4, 0)
        fit(model, teacher, epochs=12, feature_weight=weight)
        distances.append(float(np.mean((model.layers[0](X) - teacher.layers[0](X)) ** 2)))
    assert distances[1] < 0.2 * distances[0]


def test_self_distillation_on_features_reads_the_student_before_the_teacher():
    model = cnn(4, 0)
    model.optimizer.learning_rate = 0.0
    assert fit(model, "source")["feature_loss"] == [0.0]


def refused(match, features, teacher=None, model=None):
    model = model or cnn(4, 0)
    with pytest.raises(tfkit.ModelError, match=match):
        fit(model, teacher or cnn(4, 1), features=features)
    assert not any("call" in vars(layer) for layer in model.layers)


def test_refusals():
    refused(r"no layer 'cnov'; did you mean 'conv'\?", [("cnov", "conv")])
    refused(
        r"\(None, 4, 4, 4\) and layer 'conv' of the teacher \(None, 2, 2, 4\)", [("conv", "conv")], cnn(4, 1, strides=2)
    )
    refused("features are those of one teacher; got 2", [("conv", "conv")], [cnn(4, 1), cnn(4, 2)])
    shared = keras.layers.Dense(6, name="twice")
    inputs = keras.Input((6, 6, 2))
    model = keras.Sequential(
        [inputs, keras.layers.Flatten(), keras.layers.Dense(6), shared, shared, keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    refused("'twice' of model .* is used more than once", [("twice", "conv")], model=model)

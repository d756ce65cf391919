"""What TFMOT does wrong with attention: the test fails when upstream mends it."""

import keras
import numpy as np
from keras import layers

import tfkit
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.replay import to_tf_keras

RNG = np.random.default_rng(0)


def test_trap_45_tfmot_leaves_the_weights_of_attention_in_another_order():
    series = keras.Input((4, 6))
    attention = layers.MultiHeadAttention(2, 6, name="attention")
    model = keras.Model(series, layers.Dense(3, name="out")(layers.Flatten()(attention(series, series))))
    api, legacy = tfmot.api().clustering.keras, to_tf_keras(model).legacy
    before = [each.shape for each in legacy.get_layer("attention").get_weights()]
    start = api.CentroidInitialization.KMEANS_PLUS_PLUS
    clone = tfmot.tf_keras().models.clone_model(
        legacy, clone_function=lambda layer: api.cluster_weights(layer, 4, start) if layer.weights else layer
    )
    stripped = api.strip_clustering(clone).get_layer("attention")
    assert [each.shape for each in stripped.get_weights()] != before
    biases = [each.numpy() for each in model.weights if each.name == "bias"]
    data = tfkit.Data((RNG.normal(size=(32, 4, 6)).astype("float32"), np.zeros((32, 3))))
    tfkit.create("compressor", "tfmot-cluster", clusters=4).compress(model, data, epochs=0, directory=None)
    for bias, was in zip((each for each in model.weights if each.name == "bias"), biases, strict=True):
        np.testing.assert_array_equal(bias, was)

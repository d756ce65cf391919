"""Which variables are pruned: those of every layer with a kernel."""

import keras
import numpy as np
import pytest
from prune_models import RNG, fit, mlp, prune, zeros

import tfkit
from tfkit_compressors.kernels import kernels, layer_sparsity


def everything():
    inputs = keras.Input((6, 8))
    shared = keras.layers.Dense(8, name="shared")
    nested = keras.Sequential([keras.Input((6, 8)), keras.layers.Conv1D(8, 3, padding="same", name="conv")], name="in")
    x = nested(shared(shared(inputs)))
    x = keras.layers.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = keras.layers.SeparableConv1D(8, 3, name="separable")(x)
    x = keras.layers.DepthwiseConv1D(3, name="depthwise")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, name="lstm"), name="both")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(x))
    model.compile("adam", "mse", run_eagerly=True)  # a graph of the LSTM takes seconds to trace
    return model


def names(found):
    return {variable.path for variable in found}


def test_kernels_of_all_layers_are_touched():
    model = everything()
    cells = {
        f"both/{way}_lstm/lstm_cell/{kernel}"
        for way in ("forward", "backward")
        for kernel in ("kernel", "recurrent_kernel")
    }
    heads = {f"heads/{part}/kernel" for part in ("query", "key", "value", "attention_output")}
    expected = {"shared/kernel", "in/conv/kernel", "separable/pointwise_kernel", "out/kernel"} | cells | heads
    assert names(kernels(model)) == expected
    depthwise = {"separable/depthwise_kernel", "depthwise/kernel"}
    assert names(kernels(model, depthwise=True)) == expected | depthwise
    assert layer_sparsity(model).keys() == expected | depthwise
    assert names(kernels(model, exclude=("MultiHeadAttention", "in", "LSTM"))) == expected - cells - heads - {
        "in/conv/kernel"
    }


@pytest.mark.slow
def test_all_of_them_are_pruned_exactly_and_no_others():
    model = everything()
    x = RNG.normal(size=(16, 6, 8)).astype("float32")
    model.fit(x, np.ones((16, 2)), batch_size=4, verbose=0, callbacks=[prune(0.5, exclude=("shared",))])
    shares = layer_sparsity(model)
    spared = {"shared/kernel", "separable/depthwise_kernel", "depthwise/kernel"}
    assert {name: share for name, share in shares.items() if share != 0.5} == dict.fromkeys(spared, 0.0)


def test_embeddings_and_a_subclassed_model():
    class Words(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = keras.layers.Embedding(50, 8)
            self.out = keras.layers.Dense(2)

        def call(self, ids):
            return self.out(keras.ops.mean(self.words(ids), axis=1))

    ids, y = RNG.integers(0, 50, (40, 3)), np.ones((40, 2))
    model = Words()
    model.compile("adam", "mse")
    with pytest.raises(tfkit.ModelError, match=r"not built: .* call it once on a batch"):
        model.fit(ids, y, verbose=0, callbacks=[prune(0.5)])
    model(ids[:1])
    model.fit(ids, y, batch_size=4, verbose=0, callbacks=[prune(0.5)])
    assert (model.words.embeddings.numpy() == 0).mean() == 0.5
    assert (model.out.kernel.numpy() == 0).mean() == 0.5


def test_frozen_layers_are_left_alone():
    model = mlp()
    model.get_layer("hidden").trainable = False
    fit(model, prune())
    assert zeros(model) == [0, 80]

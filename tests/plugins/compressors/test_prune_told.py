"""What prune says of a sparsity it missed, and what it refuses."""

import keras
import numpy as np
import pytest
from prune_models import DATA, fit, mlp, prune, refused, zeros

import tfkit
from tfkit_compressors.pruning.prune import Prune


def test_partial_blocks_are_told_with_both_figures():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, name="out")], name="net")
    model.compile("adam", "mse")
    callback = prune(0.8, block_size=(4, 4))
    with pytest.warns(UserWarning, match=r"'net/out/kernel' of shape \(64, 10\) .* 0\.7\d+, 0\.8 was asked for"):
        model.fit(np.ones((8, 64)), np.ones((8, 10)), verbose=0, callbacks=[callback])
    assert len(callback.notes) == 1
    reached = (model.layers[0].kernel.numpy() == 0).mean()
    assert f"a sparsity of {reached:.4g}," in callback.notes[0]


def test_early_stopping_keeps_what_was_reached_and_tells():
    model = mlp()
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)
    with pytest.warns(UserWarning, match=r"'net/hidden/kernel'.*of 0\.\d+, 0\.8 was.*; 'net/out/kernel'"):
        fit(model, prune(), stop, epochs=10)
    reached = 0.8 - 0.8 * (1 - 24 / 120) ** 3
    assert zeros(model)[0] == 320 - round(320 * (1 - reached))
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_begin_after_the_end_of_the_fit_tells():
    model = mlp()
    with pytest.warns(UserWarning, match="of 0, 0.8 was asked for"):
        fit(model, prune(begin=1000))
    assert zeros(model) == [0, 0]


def test_no_warning_where_the_sparsity_is_reached(recwarn):
    fit(mlp(), prune())
    assert not [each for each in recwarn if issubclass(each.category, UserWarning)]


def test_compress_notes_what_was_missed(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, name="first")], name="net")
    made = Prune(0.5, pattern="2:4").compress(model, DATA, epochs=0, directory=tmp_path)
    (note,) = made.notes
    assert note == "'net/first/kernel' of shape (3, 3, 1, 8) has a sparsity of 0, 0.5 was asked for"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"sparsity": 1.0}, r"'sparsity' .*< 1; got 1.0"),
        ({"sparsity": -0.1}, r"'sparsity' .*>= 0"),
        ({"frequency": 0}, "'frequency'"),
        ({"schedule": "linear"}, "'polynomial' or 'constant'; got 'linear'"),
        ({"begin": 10, "end": 5}, "'end' .* at least begin, which is 10; got 5"),
        ({"block_size": (0, 4)}, "'block_size'"),
        ({"pattern": "4"}, "'pattern' .* such as '2:4'; got '4'"),
        ({"pattern": "4:4"}, "'pattern' .*fewer zeros"),
        ({"pattern": "2:4", "block_size": (2, 2)}, "'block_size' .*where there is a pattern"),
        ({"ranking": "global", "pattern": "2:4"}, "'ranking' .*'layer' where there are blocks, a pattern or units"),
        ({"granularity": "unit", "block_size": (2, 2)}, "'granularity' .*'weight' where there are blocks"),
        ({"layers": {"hidden": 1.0}}, r"'layers' .*sparsities in \[0, 1\) by layer; got {'hidden': 1.0}"),
    ],
    ids=str,
)
def test_parameters_out_of_bounds(params, match):
    refused(tfkit.ParameterError, match, tfkit.create, "compressor", "prune", **{"sparsity": 0.5, **params})


def test_a_model_with_nothing_to_prune(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse")
    data = (np.ones((4, 4)), np.ones((4, 4)))
    match = "nothing to prune: .*its trainable variables are: beta, gamma"
    refused(tfkit.ModelError, match, Prune(0.5).compress, model, tfkit.Data(data), epochs=0, directory=tmp_path)
    refused(tfkit.ModelError, match, model.fit, *data, verbose=0, callbacks=[prune()])
    everywhere = r"outside of exclude=\('Dense',\)"
    refused(tfkit.ModelError, everywhere, fit, mlp(), prune(exclude=("Dense",)))


def test_a_model_that_is_not_built_or_not_compiled(tmp_path):
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    refused(tfkit.ModelError, "is not built", Prune(0.5).compress, unbuilt, DATA, epochs=0, directory=tmp_path)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(5)])
    refused(tfkit.ModelError, "is not compiled", Prune(0.5).compress, model, DATA, epochs=1, directory=tmp_path)


@pytest.mark.parametrize(
    ("params", "shape", "layer", "match"),
    [
        ({"pattern": "2:4"}, (8, 4), keras.layers.Conv1D, r"2 or 4 dimensions: .*exclude.*\(3, 4, 8\)"),
        ({"block_size": (2, 2)}, (8, 8, 4), keras.layers.Conv2D, r"2 dimensions: .*exclude.*\(3, 3, 4, 8\)"),
    ],
)
def test_kernels_of_another_shape(params, shape, layer, match, tmp_path):
    model = keras.Sequential([keras.Input(shape), layer(8, 3)])
    refused(tfkit.ModelError, match, Prune(0.5, **params).compress, model, DATA, epochs=0, directory=tmp_path)


def test_blocks_as_large_as_a_kernel(tmp_path):
    match = "more than one block"
    refused(tfkit.ModelError, match, Prune(0.5, block_size=(4, 8)).compress, mlp(), DATA, epochs=0, directory=tmp_path)

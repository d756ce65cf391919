"""Pruning below a magnitude."""

import keras
import numpy as np
import pytest
from prune_models import DATA, fit, mlp, refused

import tfkit


def kernels(model):
    return [layer.kernel.numpy() for layer in model.layers]


def test_weights_below_the_value_become_zero(tmp_path):
    model = mlp()
    before = kernels(model)
    made = tfkit.create("compressor", "threshold", value=0.2).compress(model, DATA, epochs=0, directory=tmp_path)
    for now, was in zip(kernels(model), before):
        np.testing.assert_array_equal(now, np.where(abs(was) < 0.2, 0, was))
    shares = [float((each == 0).mean()) for each in kernels(model)]
    overall = float(np.mean(np.concatenate([each.ravel() == 0 for each in kernels(model)])))
    low, high = min(shares), max(shares)
    assert made.notes == (f"a sparsity of {overall:.4g} was reached, in single kernels {low:.4g} to {high:.4g}",)


@pytest.mark.parametrize(
    "way",
    [
        {"run_eagerly": True},
        {"steps_per_execution": 8},
        pytest.param({}, marks=pytest.mark.nightly),
        pytest.param({"jit_compile": True}, marks=pytest.mark.nightly),
    ],
)
def test_they_stay_zero_in_a_fit_and_no_new_ones_are_small(way):
    model = mlp(keras.optimizers.Adam(0.01), **way)
    before = kernels(model)
    fit(model, tfkit.callback("compressor", "threshold", value=0.2))
    for now, was in zip(kernels(model), before):
        assert not now[abs(was) < 0.2].any()
        assert ((now == 0) | (abs(now) >= 0.2)).all()
        assert (now != was).any()
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_compress_trains(tmp_path):
    model = mlp()
    made = tfkit.create("compressor", "threshold", value=0.1, exclude=("out",)).compress(
        model, DATA, epochs=1, directory=tmp_path
    )
    assert made.model is model
    assert int(model.optimizer.iterations) == 12
    hidden, out = kernels(model)
    assert (hidden == 0).any()
    assert out.all()


def test_what_is_refused(tmp_path):
    refused(tfkit.ParameterError, "'value' .*> 0; got 0", tfkit.create, "compressor", "threshold", value=0.0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    step = tfkit.create("compressor", "threshold", value=0.1)
    refused(tfkit.ModelError, "nothing to prune", step.compress, model, DATA, epochs=0, directory=tmp_path)

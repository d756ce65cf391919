"""Fits under Mirrored that are guarded by the strategy's callback: two_devices.py runs these."""

import contextlib
import io

import keras
import numpy as np
import pytest
from uneven_fit import X, Y, assert_same, fitted, model_of

import tfkit
from tfkit.testing.tiny import carried


def guard():
    return tfkit.callback("strategy", "mirrored")


def all_at_once():
    """What fails or is silently wrong in plain Keras, all in one fit, ends as on one device, and nothing is left."""
    plain = model_of()
    wanted = fitted(plain)
    strategy = tfkit.create("strategy", "mirrored")
    model = model_of(strategy, jit_compile=True, steps_per_execution=2)
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    before = carried(model)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        history = fitted(model, guard())
    assert_same(model, history, plain, wanted)
    assert int(model.optimizer.iterations.numpy()) == 6
    assert carried(model) == before
    assert not model.get_layer("norm").synchronized
    for words in ("norm takes its statistics over all replicas", "jit_compile is off", "2 steps of an execution"):
        assert f"strategy: {words}" in told.getvalue().replace("the 2", "2"), words
    replicas = [np.stack([each.numpy() for each in weight.value.values]) for weight in model.weights]
    assert all((each[0] == each[1]).all() for each in replicas)


def evaluated_without_a_callback():
    """An odd first batch is no matter for evaluate and predict, which take no callback."""
    plain, model = model_of(), model_of(tfkit.create("strategy", "mirrored"))
    np.testing.assert_allclose(
        model.evaluate(X[:11], Y[:11], batch_size=11, verbose=0),
        plain.evaluate(X[:11], Y[:11], batch_size=11, verbose=0),
        rtol=1e-5,
    )


def prevented():
    strategy = tfkit.create("strategy", "mirrored")
    assert tfkit.create("strategy", "mirrored", devices=("CPU:0", "CPU:1")) is strategy
    with pytest.raises(tfkit.ModelError, match=r"was not built in the scope of a MirroredStrategy, and trains on one"):
        fitted(model_of(), guard())
    adam = keras.optimizers.Adam()
    with pytest.raises(tfkit.ModelError, match="the optimizer 'adam' was made outside the strategy's scope"):
        fitted(model_of(strategy, adam), guard())
    with strategy.scope():
        steps = keras.optimizers.SGD(gradient_accumulation_steps=4)
    with pytest.raises(tfkit.ModelError, match=r"gradient_accumulation_steps=4 fails .* 'micro-batches', steps=4\)"):
        fitted(model_of(strategy, steps), guard())
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"], auto_shard_dataset=False)
    )
    try:
        with pytest.raises(tfkit.ModelError, match=r"keras.distribution.DataParallel is set and does nothing on"):
            fitted(model_of(strategy), guard())
    finally:
        keras.distribution.set_distribution(None)

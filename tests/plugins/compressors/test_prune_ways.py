"""Pruning inside a fit: the zeros are as many as asked, however the model trains."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from prune_models import STEPS, X, Y, fit, mlp, prune, zeros

import tfkit

WAYS = {
    "eager": {"run_eagerly": True},
    "graph": {},
    "xla": {"jit_compile": True},
    "several steps": {"steps_per_execution": 8},
    "several steps, xla": {"jit_compile": True, "steps_per_execution": 8},
}
OPTIMIZERS = {
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "average, overwriting": lambda: keras.optimizers.SGD(0.01, use_ema=True, ema_overwrite_frequency=3),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


def mostly_nightly(cases, *always):
    return [each if each in always else pytest.param(each, marks=pytest.mark.nightly) for each in cases]


@pytest.mark.parametrize("way", mostly_nightly(WAYS, "eager", "several steps, xla"))
def test_zeros_are_exact_however_the_step_runs(way):
    model = mlp(**WAYS[way])
    fit(model, prune())
    assert zeros(model) == [256, 80]


@pytest.mark.parametrize("name", mostly_nightly(OPTIMIZERS, "average, overwriting", "accumulation"))
def test_zeros_are_exact_with_any_optimizer(name):
    model = mlp(OPTIMIZERS[name]())
    fit(model, prune(frequency=2))
    assert zeros(model) == [256, 80]


def test_zeros_are_exact_in_mixed_precision():
    model = mlp(dtype="mixed_float16")
    fit(model, prune())
    assert zeros(model) == [256, 80]
    assert model.get_layer("hidden").kernel.dtype == "float32"


def test_all_ways_end_at_the_same_weights():
    found = {}
    for way in ("eager", "graph", "several steps"):
        model = mlp(**WAYS[way])
        fit(model, prune(), epochs=1)
        found[way] = model.get_weights()
    for weights in found.values():
        for left, right in zip(weights, found["graph"]):
            np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.slow
@pytest.mark.nightly
def test_two_replicas_hold_the_same_zeros_as_one_device():
    child = Path(__file__).with_name("prune_on_two_devices.py")
    done = subprocess.run([sys.executable, child], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["graph", "eager", "scaled"]


def test_skipped_updates_do_not_cost_the_last_one():
    """A loss scale that is too high skips updates: the optimizer counts fewer than there are batches."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=3e38)
    model = mlp(scaled)
    model.fit(100 * X, Y, batch_size=8, verbose=0, callbacks=[prune()])
    assert int(scaled.iterations) < STEPS
    assert zeros(model) == [256, 80]


def test_it_goes_with_other_parts_of_a_fit():
    model = mlp()
    fit(model, tfkit.callback("regularizer", "l2", l2=0.1), prune(), tfkit.callback("schedule", "constant", value=0.01))
    assert zeros(model) == [256, 80]
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]

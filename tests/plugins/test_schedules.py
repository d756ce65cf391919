"""Schedules against their formulas in numpy: eagerly, in graphs, and at every step of a real fit."""

import json
import math
from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tfkit

FORMULAS = {
    "constant": lambda step, value: np.full_like(step, value),
    "inverse-time": lambda step, initial, decay, steps_per_epoch=1: (
        initial / (1 + decay * np.floor(step / steps_per_epoch))
    ),
    "exponential": lambda step, initial, gamma, steps=1: initial * gamma ** (step / steps),
    "cosine": lambda step, initial, steps, final=0.0: (
        final + (initial - final) * (1 + np.cos(np.pi * np.minimum(step / steps, 1))) / 2
    ),
    "inverse-sqrt": lambda step, initial, beta: initial / np.sqrt(1 + beta * step),
    "cosine-restarts": lambda step, **params: np.vectorize(lambda each: restarted(each, **params))(step),
    "polynomial": lambda step, initial, steps, final=0.0, power=1.0: (
        (initial - final) * (1 - np.minimum(step, steps) / steps) ** power + final
    ),
    "piecewise": lambda step, boundaries, values: np.asarray(values)[np.searchsorted(boundaries, step)],
    "one-cycle": lambda step, **params: np.vectorize(lambda each: cycled(each, **params))(step),
    "warmup-stable-decay": lambda step, peak, stable, decay, final=0.0: np.interp(
        step, [stable, stable + decay], [peak, final]
    ),
}


def restarted(step, initial, steps, final=0.0, factor=2.0):
    """One period after another in exact numbers."""
    step, length = Fraction(int(step)), Fraction(steps)
    while step >= length:
        step, length = step - length, length * Fraction(str(factor))
    return final + (initial - final) * (1 + math.cos(math.pi * step / length)) / 2


def cycled(step, peak, steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """fastai's combined half cosines."""
    top, first = pct_start * steps, peak / div_factor
    if step < top:
        return first + (1 + math.cos(math.pi * (1 - step / top))) * (peak - first) / 2
    last = first / final_div_factor
    return peak + (1 + math.cos(math.pi * (1 - min(step - top, steps - top) / (steps - top)))) * (last - peak) / 2


CASES = [
    ("constant", {"value": 0.03}),
    ("inverse-time", {"initial": 0.5, "decay": 0.7}),
    ("inverse-time", {"initial": 0.5, "decay": 0.7, "steps_per_epoch": 3, "warmup": 4}),
    ("exponential", {"initial": 0.5, "gamma": 0.9}),
    ("exponential", {"initial": 0.5, "gamma": 0.5, "steps": 5, "warmup": 3}),
    ("cosine", {"initial": 0.5, "steps": 15}),
    ("cosine", {"initial": 0.5, "steps": 10, "final": 0.01, "warmup": 5}),
    ("inverse-sqrt", {"initial": 0.5, "beta": 0.3}),
    ("inverse-sqrt", {"initial": 0.5, "beta": 0.3, "warmup": 6}),
    ("cosine-restarts", {"initial": 0.5, "steps": 3, "final": 0.01, "warmup": 2}),
    ("polynomial", {"initial": 0.5, "steps": 11, "final": 0.01, "power": 0.5, "warmup": 2}),
    ("piecewise", {"boundaries": (3, 9), "values": (0.5, 0.1, 0.3), "warmup": 2}),
    ("one-cycle", {"peak": 0.5, "steps": 20}),
    ("warmup-stable-decay", {"peak": 0.5, "warmup": 4, "stable": 5, "decay": 9, "final": 0.01}),
]
EVERY = pytest.mark.parametrize(("name", "params"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])

rates = st.floats(1e-4, 10.0)
PARAMETERS = {
    "constant": st.fixed_dictionaries({"value": rates}),
    "inverse-time": st.fixed_dictionaries(
        {"initial": rates, "decay": st.floats(0, 5)}, optional={"steps_per_epoch": st.integers(1, 200)}
    ),
    "exponential": st.fixed_dictionaries(
        {"initial": rates, "gamma": st.floats(0.9, 1.1)}, optional={"steps": st.integers(1, 100)}
    ),
    "cosine": st.fixed_dictionaries({"initial": rates, "steps": st.integers(1, 500)}, optional={"final": rates}),
    "inverse-sqrt": st.fixed_dictionaries({"initial": rates, "beta": st.floats(0, 5)}),
    "cosine-restarts": st.fixed_dictionaries(
        {"initial": rates, "steps": st.integers(1, 100)},
        optional={"final": rates, "factor": st.sampled_from([1.0, 1.1, 1.3, 1.5, 2.0, 3.0])},
    ),
    "polynomial": st.fixed_dictionaries(
        {"initial": rates, "steps": st.integers(1, 500)}, optional={"final": rates, "power": st.floats(0.3, 4)}
    ),
    "piecewise": st.integers(1, 4).flatmap(
        lambda n: st.fixed_dictionaries(
            {
                "boundaries": st.lists(st.integers(0, 300), min_size=n, max_size=n, unique=True).map(sorted),
                "values": st.lists(rates, min_size=n + 1, max_size=n + 1),
            }
        )
    ),
    "one-cycle": st.fixed_dictionaries(
        {"peak": rates, "steps": st.integers(1, 400)}, optional={"pct_start": st.floats(0.05, 0.95)}
    ),
    "warmup-stable-decay": st.fixed_dictionaries(
        {"peak": rates, "stable": st.integers(0, 200), "decay": st.integers(1, 200)}, optional={"final": rates}
    ),
}


def formula(name, params, steps):
    """The rate at each step by the definition in float64, warm-up before it."""
    steps = np.asarray(steps, "float64")
    own = {key: value for key, value in params.items() if key != "warmup"}
    warmup = params.get("warmup", 0)
    rate = FORMULAS[name]
    if not warmup:
        return rate(steps, **own)
    rising = rate(np.zeros_like(steps), **own) * (steps + 1) / warmup
    return np.where(steps < warmup, rising, rate(np.maximum(steps - warmup, 0), **own))


@pytest.mark.parametrize("name", FORMULAS)
@given(data=st.data(), first=st.integers(0, 300))
@settings(max_examples=40, deadline=None)
def test_any_parameters_give_the_formula(name, data, first):
    params = data.draw(PARAMETERS[name])
    if name != "constant":
        params["warmup"] = data.draw(st.integers(0, 50))
    steps = np.arange(first, first + 60)
    found = np.asarray(tfkit.create("schedule", name, **params)(steps))
    wanted = np.broadcast_to(formula(name, params, steps), found.shape or steps.shape)
    largest = max(*(params.get(key, 0) for key in ("value", "initial", "final", "peak")), *params.get("values", (0,)))
    np.testing.assert_allclose(np.broadcast_to(found, steps.shape), wanted, rtol=3e-5, atol=1e-6 * largest)


def test_restarts_by_a_factor_that_float32_rounds():
    params = {"initial": 8.0, "steps": 1, "final": 0.0625, "factor": 1.1}
    steps = np.arange(60)
    found = np.asarray(tfkit.create("schedule", "cosine-restarts", **params)(steps))
    np.testing.assert_allclose(found, formula("cosine-restarts", params, steps), atol=1e-6)


@keras.saving.register_keras_serializable(package="test_schedules")
def the_prediction(true, predicted):
    return predicted


def rates_of_fit(callback=None, *, learning_rate=9.0, steps=24, fits=1, accumulation=None, **compiled):
    """The rate that every batch of a fit used, read from the weights, and the model.

    Batch i holds row i of the unit matrix and the loss is the prediction: weight i falls by the rate at
    step i and no other, so it holds that rate as SGD applied it, to the last bit.
    """
    model = keras.Sequential([keras.Input((steps,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = keras.optimizers.SGD(learning_rate, gradient_accumulation_steps=accumulation)
    model.compile(optimizer, loss=the_prediction, **compiled)
    rows = np.eye(steps, dtype="float32")
    for part in np.split(np.arange(steps), fits):
        callbacks = [] if callback is None else [callback]
        model.fit(rows[part], rows[part], batch_size=1, shuffle=False, verbose=0, callbacks=callbacks)
    return -model.get_weights()[0][:, 0] * (accumulation or 1), model


@EVERY
def test_every_step_of_a_fit_uses_the_formula(name, params):
    executed = 1 if name in ("constant", "inverse-time", "exponential", "cosine", "inverse-sqrt") else 8
    found, model = rates_of_fit(tfkit.callback("schedule", name, **params), steps_per_execution=executed)
    np.testing.assert_allclose(found, formula(name, params, np.arange(24)), rtol=1e-5, atol=1e-7)
    assert float(model.optimizer.learning_rate) == 9.0


@pytest.mark.parametrize(
    "compiled",
    [{"steps_per_execution": 8}, {"steps_per_execution": 5, "jit_compile": True}, {"run_eagerly": True}],
    ids=["spe-8", "spe-5-jit", "eager"],
)
def test_every_way_to_run_a_step_uses_the_formula(compiled):
    name, params = "inverse-time", {"initial": 0.5, "decay": 0.7, "steps_per_epoch": 3, "warmup": 4}
    found, _ = rates_of_fit(tfkit.callback("schedule", name, **params), **compiled)
    np.testing.assert_allclose(found, formula(name, params, np.arange(24)), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "params", "theirs"),
    [
        (
            "cosine-restarts",
            {"initial": 0.5, "steps": 7, "final": 0.05, "factor": 2.0},
            lambda: keras.optimizers.schedules.CosineDecayRestarts(0.5, 7, t_mul=2.0, alpha=0.1),
        ),
        (
            "polynomial",
            {"initial": 0.5, "steps": 30, "final": 0.05, "power": 1.5},
            lambda: keras.optimizers.schedules.PolynomialDecay(0.5, 30, 0.05, 1.5),
        ),
        (
            "piecewise",
            {"boundaries": (3, 9), "values": (0.5, 0.1, 0.3)},
            lambda: keras.optimizers.schedules.PiecewiseConstantDecay([3, 9], [0.5, 0.1, 0.3]),
        ),
    ],
)
def test_where_keras_has_the_schedule_it_is_the_same(name, params, theirs):
    wanted = [float(theirs()(step)) for step in range(40)]
    np.testing.assert_allclose(tfkit.create("schedule", name, **params)(np.arange(40)), wanted, rtol=1e-5, atol=1e-6)


def test_a_restart_far_out_is_on_its_step():
    """The sixteenth period of ten steps, each twice as long, begins at 10 * (2 ** 15 - 1)."""
    schedule = tf.function(tfkit.create("schedule", "cosine-restarts", initial=1.0, steps=10))
    begins = 10 * (2**15 - 1)
    assert float(schedule(tf.constant(begins - 1))) < 1e-6
    assert float(schedule(tf.constant(begins))) == 1.0


def test_as_the_learning_rate_of_an_optimizer():
    name, params = "cosine", {"initial": 0.5, "steps": 10, "final": 0.01, "warmup": 5}
    found, _ = rates_of_fit(learning_rate=tfkit.create("schedule", name, **params), steps_per_execution=8)
    np.testing.assert_allclose(found, formula(name, params, np.arange(24)), rtol=1e-5)


def test_under_gradient_accumulation_a_step_is_an_update():
    params = {"initial": 0.5, "gamma": 0.9, "warmup": 2}
    found, model = rates_of_fit(tfkit.callback("schedule", "exponential", **params), accumulation=3)
    assert int(model.optimizer.iterations) == 8
    np.testing.assert_allclose(found, np.repeat(formula("exponential", params, np.arange(8)), 3), rtol=1e-5)


def test_a_second_fit_goes_on_where_the_first_stopped():
    params = {"initial": 0.5, "steps": 20}
    found, _ = rates_of_fit(tfkit.callback("schedule", "cosine", **params), fits=2)
    np.testing.assert_allclose(found, formula("cosine", params, np.arange(24)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("epoch", [41, 49, 61, 97, 110])
def test_an_epoch_begins_at_its_first_step_in_a_graph(epoch, jit):
    """A graph divides by multiplying with the reciprocal: 61 * float32(1 / 61) is less than 1."""
    schedule = tfkit.create("schedule", "inverse-time", initial=1.0, decay=1.0, steps_per_epoch=epoch)
    steps = np.ravel(np.arange(1, 200)[:, None] * epoch + [-1, 0])
    found = tf.function(schedule, jit_compile=jit)(tf.constant(steps))
    np.testing.assert_allclose(found, 1 / (1 + steps // epoch), rtol=1e-6)


@EVERY
def test_config_makes_the_same_schedule(name, params):
    schedule = tfkit.create("schedule", name, **params)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(schedule)))
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(schedule)
    assert loaded.get_config() == schedule.get_config()
    for key, value in params.items():
        kept = loaded.get_config()[key]
        assert (tuple(kept) if isinstance(value, tuple) else kept) == value


@pytest.mark.parametrize("case", [6, *range(-5, 0)])
def test_a_model_saved_with_a_schedule_goes_on_with_it(tmp_path, case):
    name, params = CASES[case]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(tfkit.create("schedule", name, **params)), "mse")
    model.optimizer.iterations.assign(5)
    model.save(tmp_path / "model.keras")
    loaded = tfkit.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 5
    np.testing.assert_allclose(float(loaded.optimizer.learning_rate), formula(name, params, 5), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("cosine", {"initial": 0.1}, "needs 'steps' (an int >= 1)"),
        ("cosine", {"initial": -1.0, "steps": 5}, "the parameter 'initial' of schedule 'cosine' must be a float > 0"),
        ("cosine", {"initial": 0.1, "step": 5, "steps": 5}, "did you mean 'steps'?"),
        ("constant", {"value": 0.1, "warmup": 3}, "takes no parameter 'warmup'"),
        ("cosine-restarts", {"initial": 0.1, "steps": 5, "factor": 0.5}, "must be a float >= 1; got 0.5"),
        ("piecewise", {"boundaries": (5, 5), "values": (1, 2, 3)}, "must increase; got [5, 5]"),
        ("piecewise", {"boundaries": (5,), "values": (1, 2, 3)}, "needs one value more than boundaries: 2; got 3"),
        ("one-cycle", {"peak": 0.1, "steps": 5, "pct_start": 1.0}, "must be a float > 0 and < 1; got 1.0"),
    ],
)
def test_bad_parameters_are_refused(name, params, text):
    with pytest.raises(tfkit.ParameterError) as error:
        tfkit.callback("schedule", name, **params)
    assert text in str(error.value)

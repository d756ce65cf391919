"""How many units shrink removes: by ratio, in multiples, under a budget."""

import keras
import numpy as np
import pytest
from keras import layers
from shrink_models import RNG, mlp, shrink

import tfkit
from tfkit.flops import flops
from tfkit_compressors.shrinking import measured
from tfkit_compressors.shrinking.plan import plan


@pytest.mark.parametrize(("ratio", "left"), [(0.0, 8), (0.5, 4), (0.3, 6), (0.99, 1)])
def test_ratio_is_the_share_that_goes_and_one_unit_stays(ratio, left):
    made = shrink(mlp((8, 16)), ratio).model
    assert made.get_layer("hidden0").units == left
    assert made.get_layer("hidden1").units == max(1, round(16 * (1 - ratio)))
    assert made.output_shape == (None, 3)


@pytest.mark.parametrize(("multiple", "left"), [(4, [8, 4, 3]), (8, [8, 6, 3]), (1, [6, 3, 1])])
def test_counts_are_multiples_rounded_up(multiple, left):
    made = shrink(mlp((12, 6, 3)), 0.5, multiple_of=multiple)
    assert [made.model.get_layer(f"hidden{i}").units for i in range(3)] == left
    if multiple > 1:
        whole = "hidden2" if multiple == 4 else "hidden1; hidden2"
        assert f"whole, since counts stay multiples of {multiple}: {whole}" in made.notes


def test_both_directions_lose_as_many_units_under_a_budget():
    keras.utils.set_random_seed(0)
    both = layers.Bidirectional(layers.LSTM(8))
    model = keras.Sequential([keras.Input((5, 6)), both, layers.Dense(12), layers.Dense(3)])
    both.forward_layer.cell.kernel.assign(10 * both.forward_layer.cell.kernel)
    data = tfkit.Data((RNG.normal(size=(8, 5, 6)), RNG.integers(0, 3, 8)))
    made = shrink(model, 0.9, data, budget=0.5).model
    assert made.layers[0].forward_layer.units == made.layers[0].backward_layer.units < 8
    assert made.count_params() <= 0.5 * model.count_params()


def test_directions_that_a_tie_keeps_from_losing_as_many_stay():
    series = keras.Input((5, 6))
    forward, backward = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)(series)
    tied, normalized = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)(series)
    joined = [layers.Add()([forward, tied]), backward, layers.LayerNormalization()(normalized)]
    x = layers.Dense(8, name="free")(layers.Concatenate()(joined))
    model = keras.Model(series, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    data = tfkit.Data((RNG.normal(size=(4, 5, 6)).astype("float32"), np.zeros((4, 2))))
    assert [group.layers for group in plan(model).free] == [("free",)]
    assert shrink(model, 0.5, data).model.get_layer("free").units == 4


@pytest.mark.parametrize("params", [{"ratio": 0.01}, {"ratio": 0.75, "budget": 0.85}])
def test_what_would_stay_whole_anyway_is_not_said_to_be_rounded(params):
    model = mlp((16, 16))
    model.get_layer("hidden0").kernel.assign(np.ones((6, 16)))  # all alike, no one below the mean
    made = shrink(model, multiple_of=4, **params)
    assert made.model.get_layer("hidden0").units == 16
    assert not any(note.startswith("whole") for note in made.notes)


# Budgets


@pytest.mark.parametrize("cost", ["parameters", "bytes", "flops"])
def test_a_budget_is_kept_and_hardly_more_goes(cost):
    model = mlp((24, 40, 16))
    made = shrink(model, 0.9, budget=0.4, cost=cost)
    count = flops if cost == "flops" else keras.Model.count_params
    assert 0.37 < count(made.model) / count(model) <= 0.4
    assert any(note.startswith(f"{cost}: 0.3") or note.startswith(f"{cost}: 0.4") for note in made.notes)


@pytest.mark.slow
def test_a_latency_budget_is_measured():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((512,)), layers.Dense(1024), layers.Dense(1024), layers.Dense(3)])
    data = tfkit.Data((RNG.normal(size=(4, 512)).astype("float32"), np.zeros(4)))
    made = shrink(model, 0.95, data, budget=0.7, cost="latency")
    assert made.model.count_params() < model.count_params()
    assert next(note for note in made.notes if note.startswith("latency: "))


def test_a_budget_ranks_over_the_whole_model_up_to_the_ratio():
    model = mlp((16, 16))
    model.get_layer("hidden0").kernel.assign(np.ones((6, 16)))  # all alike, no one below the mean
    made = shrink(model, 0.75, budget=0.85).model
    assert (made.get_layer("hidden0").units, 4 <= made.get_layer("hidden1").units < 16) == (16, True)


def test_a_budget_that_cannot_be_kept_is_refused():
    with pytest.raises(tfkit.ParameterError, match=r"loses 0.1 of its units parameters are 0.8\d+ of the source's"):
        shrink(mlp(), 0.1, budget=0.2)


# The step of latency


def test_the_step_is_read_from_a_table():
    avx512 = {16: 0.030, 20: 0.068, 24: 0.080, 28: 0.09, 32: 0.079, 40: 0.187, 48: 0.224}
    assert measured.step_of(avx512) == 16
    avx2 = {8: 1.0, 12: 3.0, 16: 3.5, 20: 6.0, 24: 6.2, 28: 9.0, 32: 9.3, 40: 12.0, 48: 15.0}
    assert measured.step_of(avx2) == 8


@pytest.mark.slow
@pytest.mark.nightly
def test_auto_measures_this_machine_once():
    table = dict(measured.latencies())
    assert list(table) == list(measured._WIDTHS)
    assert 0 < table[8] < table[48]
    model = mlp((64,))
    made = shrink(model, 0.4, multiple_of="auto")
    step = measured.step_of(table)
    assert made.model.get_layer("hidden0").units == -(-round(64 * 0.6) // step) * step
    assert f"multiple_of='auto' is {step} here" in made.notes[1]


def test_without_a_measurement_it_takes_eight_and_says_so(monkeypatch):
    def fail():
        raise tfkit.ConversionError("no time")

    monkeypatch.setattr(measured, "latencies", fail)
    assert measured.best_multiple() == (8, "multiple_of='auto' could not be measured (no time); 8 is taken")

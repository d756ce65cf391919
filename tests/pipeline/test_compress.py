import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.copies import compiled_copy
from tfkit.pipeline.rows import agreement
from tfkit.registry import registered


class Scale:
    """A toy compressor: multiplies the first kernel by `factor` and trains nothing."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def compress(self, model, data, *, epochs, directory):
        kernel = model.layers[0].kernel
        kernel.assign(kernel * self.factor)
        return tfkit.Compressed(model=model, notes=(f"times {self.factor}",))


@pytest.fixture(scope="module")
def toy():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Factor:
        factor: float = 1.0

    @dataclass(frozen=True)
    class Teacher:
        teacher: Any

    module = types.ModuleType("toy_compressors")

    @tfkit.hookimpl
    def tfkit_compressors() -> Iterator[tfkit.Spec]:
        yield tfkit.Spec("scale", "Scales a kernel.", f"{__name__}:Scale", Factor)
        yield tfkit.Spec("learn", "Learns.", f"{__name__}:Learner", Teacher)

    module.tfkit_compressors = tfkit_compressors
    import sys

    sys.modules[__name__] = sys.modules.get(__name__) or types.ModuleType(__name__)
    sys.modules[__name__].Scale = Scale
    sys.modules[__name__].Learner = Learner
    with registered(module):
        yield


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(300, 5)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("int64")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2, "softmax")])
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:200], y[:200], epochs=15, verbose=0)
    return model, tfkit.Data((x[:200], y[:200]), (x[200:250], y[200:250]), (x[250:], y[250:]))


def test_the_first_row_is_the_source_and_the_model_stays_as_it_was(toy, task):
    model, data = task
    weights, iterations = model.get_weights(), int(model.optimizer.iterations)
    result = tfkit.compress(model, [("scale", {"factor": 0.0})], data)
    for before, after in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(before, after)
    assert int(model.optimizer.iterations) == iterations
    source, scaled = result.table
    expected = np.mean(model.predict(data.validation[0], verbose=0).argmax(-1) == data.validation[1])
    assert source["step"] == "source"
    assert source["metric"] == pytest.approx(expected)
    assert scaled["nonzero"] == source["nonzero"] - 40
    assert scaled["notes"] == ["times 0.0"]
    keys = {"step", "metric", "parameters", "nonzero", "bytes", "gzip_bytes", "latency_p50_ms", "latency_p99_ms"}
    assert keys | {"agreement", "kept", "flops"} <= source.keys()
    assert source["flops"] >= 2 * (5 * 8 + 8 * 2)
    assert 0 < source["signature_p50_ms"] <= source["signature_p99_ms"]
    assert scaled["signature_p50_ms"] > 0


def test_a_step_that_loses_too_much_is_undone(toy, task):
    model, data = task
    result = tfkit.compress(model, [("scale", {"factor": -1.0}), "scale"], data, max_drop=0.05)
    assert [row["kept"] for row in result.table] == [True, False, True]
    np.testing.assert_array_equal(result.model.get_weights()[0], model.get_weights()[0])


def test_without_a_bound_every_step_is_kept(toy, task):
    model, data = task
    result = tfkit.compress(model, [("scale", {"factor": -1.0})], data)
    assert result.table[-1]["kept"]
    np.testing.assert_array_equal(result.model.get_weights()[0], -model.get_weights()[0])


def test_the_last_row_is_measured_on_the_test_part(toy, task):
    model, data = task
    result = tfkit.compress(model, ["scale"], data)
    expected = np.mean(model.predict(data.test[0], verbose=0).argmax(-1) == data.test[1])
    assert result.table[-1]["test_metric"] == pytest.approx(expected)
    assert "test_metric" not in result.table[0]


def test_a_time_budget_that_is_spent_begins_no_step(toy, task):
    model, data = task
    assert len(tfkit.compress(model, ["scale"], data, time_budget=0.0).table) == 1


def test_a_training_that_the_time_budget_cuts_short_is_said(task, capsys):
    model, data = task
    found = tfkit.compress(model, ["distill"], data, epochs=100_000, time_budget=4.0)
    assert "its training was cut short by the time budget" in found.table[1]["notes"]
    assert "distill was cut short by the time budget" in capsys.readouterr().err
    # Nothing that takes seconds begins after that.
    assert "signature_p50_ms" not in found.table[0]


def test_a_copy_is_compiled_alike_with_a_fresh_optimizer(task):
    model, data = task
    copy = compiled_copy(model)
    assert int(copy.optimizer.iterations) == 0
    assert float(copy.optimizer.learning_rate) == pytest.approx(0.02)
    assert copy.loss == model.loss
    copy.fit(*data.train, verbose=0)
    assert int(copy.optimizer.iterations) == 7


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("prune", "must be a list"),
        (3, "must be a list"),
        ([("prune", {"sparsity": 0.5}, -1)], "must be an int >= 0; got -1"),
        ([("prune", {"sparsity": 0.5}, True)], "must be an int >= 0"),
        ([("prune", {"sparsity": 1.0})], "'sparsity'"),
        ([("quantize", {"bits": 5})], "bits=5"),
        ([("prune", 3)], "a step must be"),
        ([("prune", {"sparsity": 0.5}, 1, 2)], "a step must be"),
    ],
)
def test_wrong_steps_are_refused_before_anything_is_measured(task, steps, words):
    with pytest.raises(tfkit.ParameterError, match=words):
        tfkit.compress(*task[:1], steps, task[1])


@pytest.mark.nightly
def test_a_step_has_epochs_of_its_own(toy, task):
    model, data = task
    Learner.epochs.clear()
    tfkit.compress(model, [("learn", {"teacher": None}, 2), ("learn", {"teacher": None})], data, epochs=5)
    assert Learner.epochs == [2, 5]


class Learner:
    """A toy compressor that keeps the teacher it was given."""

    seen, epochs = [], []

    def __init__(self, teacher):
        self.seen.append(teacher)

    def compress(self, model, data, *, epochs, directory):
        assert data.test is None
        self.epochs.append(epochs)
        return tfkit.Compressed(model=model)


def test_a_teacher_called_source_is_the_model_that_was_given(toy, task):
    model, data = task
    Learner.seen.clear()
    tfkit.compress(model, [("learn", {"teacher": "source"})], data)
    assert Learner.seen == [model]


def test_every_step_is_checked_before_the_first_is_done(toy, task):
    model, data = task
    with pytest.raises(tfkit.PluginNotFound, match="there is no compressor 'shrinkle'"):
        tfkit.compress(model, ["scale", "shrinkle"], data)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (keras.Sequential([keras.layers.Dense(1)]), "not built"),
        (keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), "not compiled"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused(task, model, words):
    with pytest.raises(tfkit.ModelError, match=words):
        tfkit.compress(model, ["prune"], task[1])


def test_the_metrics_interval_is_a_bootstrap_of_the_rows(toy, task):
    model, data = task
    row = tfkit.compress(model, [("scale", {"factor": 0.3})], data, time_budget=60).table[1]
    assert row["metric_low"] <= row["metric"] <= row["metric_high"]
    share, n = row["metric"], len(data.validation[1])
    # scipy's own percentile bootstrap of a share.
    from scipy.stats import binom

    low, high = binom.ppf([0.025, 0.975], n, share) / n
    assert row["metric_low"] == pytest.approx(low, abs=1.5 / n)
    assert row["metric_high"] == pytest.approx(high, abs=1.5 / n)


class Doubling(keras.layers.Layer):
    """A custom layer that Keras does not know when it loads a model."""

    def call(self, x):
        return 2 * x


def test_a_layer_that_cannot_be_copied_is_named(task):
    layers = [keras.Input((5,)), Doubling(name="doubling"), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(tfkit.ModelError, match=r"cannot be copied, .* its layer 'doubling' \(Doubling\)"):
        tfkit.compress(model, [("prune", {"sparsity": 0.5})], task[1], epochs=0)


def test_a_lambda_is_named(task):
    layers = [keras.Input((5,)), keras.layers.Lambda(lambda x: 2 * x, name="twice"), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(tfkit.ModelError, match=r"cannot be copied, .* its layer 'twice' \(Lambda\)"):
        tfkit.compress(model, [("prune", {"sparsity": 0.5})], task[1], epochs=0)


def test_rows_of_another_shape_and_several_outputs_are_refused(task):
    model, data = task
    x, y = data.train
    with pytest.raises(tfkit.ModelError, match="cannot predict on rows of shape"):
        tfkit.compress(model, [("prune", {"sparsity": 0.5})], tfkit.Data((x[:, :3], y)))
    inputs = keras.Input((5,))
    two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)])
    two.compile("sgd", "mse")
    with pytest.raises(tfkit.ModelError, match="this one has 2"):
        tfkit.compress(two, [("prune", {"sparsity": 0.5})], data)


def test_agreement_of_classes_of_one_output_and_of_numbers():
    assert agreement(np.array([[0.9], [0.2]]), np.array([[0.4], [0.3]])) == 0.5
    assert agreement(np.eye(3), np.eye(3)) == 1.0
    assert agreement(np.array([[3.0], [-1.0]]), np.array([[3.0], [-1.0]])) is None


def test_data_that_is_no_data_a_bound_below_zero_and_a_file_for_a_folder_are_refused(task, tmp_path):
    model, data = task
    with pytest.raises(tfkit.DataError, match=r"takes a tfkit\.Data"):
        tfkit.compress(model, ["prune"], data.train)
    for wrong in ({"max_drop": -0.1}, {"target": "speed"}, {"time_budget": -1}, {"epochs": -1}):
        with pytest.raises(tfkit.ParameterError, match=f"'{next(iter(wrong))}'"):
            tfkit.compress(model, ["prune"], data, **wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(tfkit.ParameterError, match="cannot be made"):
        tfkit.compress(model, ["quantize"], data, directory=tmp_path / "file")

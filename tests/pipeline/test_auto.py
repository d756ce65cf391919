import dataclasses
import itertools
import json
import time

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tfkit
from tfkit.pipeline import auto, candidates, moves
from tfkit.pipeline.arms import Trainer
from tfkit.pipeline.copies import recompiled

KEYS = {"step", "metric", "parameters", "nonzero", "bytes", "gzip_bytes", "latency_p50_ms", "latency_p99_ms"}
BUDGET = 40.0


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(900, 12)).astype("float32")
    y = (np.abs(x[:, :4]).sum(axis=1) > 3).astype("int64") + (x[:, 5] > 0.8)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((12,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:600], y[:600], epochs=10, verbose=0)
    return model, tfkit.Data((x[:600], y[:600]), (x[600:800], y[600:800]), (x[800:], y[800:]))


@pytest.fixture
def no_files(monkeypatch):
    """Leaves the conversions out, which take seconds: candidates are Keras models then."""
    monkeypatch.setattr(moves, "finishes", lambda source: [])
    monkeypatch.setattr(moves, "finishes_in_keras", list)
    monkeypatch.setattr(auto, "float_litert", lambda *_: None)
    monkeypatch.setattr(auto, "start_converter", lambda: None)


@pytest.fixture(scope="module")
def searched(task, tmp_path_factory):
    model, data = task
    before = model.get_weights()
    directory = tmp_path_factory.mktemp("auto")
    with pytest.MonkeyPatch.context() as patch:
        # It ends by itself, so that a slow machine finds as much: one strength, as one file.
        finishes = moves.finishes
        shrink = next(move for move in moves.MOVES if move.compressor == "shrink")
        patch.setattr(moves, "MOVES", (dataclasses.replace(shrink, ladder=(0.5,)),))
        patch.setattr(moves, "finishes", lambda source: finishes(source)[:1])
        patch.setattr(moves, "space", moves.ladder)
        patch.setattr(auto, "_PATIENCE", 0)
        found = tfkit.compress(model, "auto", data, max_drop=0.03, directory=directory, time_budget=300)
    return found, before, directory


@pytest.mark.nightly
def test_the_budget_is_kept_within_a_tenth(task, tmp_path):
    begun = time.monotonic()
    tfkit.compress(task[0], "auto", task[1], max_drop=0.03, directory=tmp_path, time_budget=BUDGET)
    assert time.monotonic() - begun <= 1.1 * BUDGET


@pytest.mark.slow
def test_the_model_that_was_given_stays_as_it_was(searched, task):
    for before, after in zip(searched[1], task[0].get_weights()):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_the_chosen_one_is_the_smallest_within_the_bound_and_alone_saw_the_test_part(searched, task):
    found, data = searched[0], task[1]
    source, chosen = found.table
    measured = [row for row in found.candidates if "error" not in row]
    good = [row for row in measured if max(source["metric"] - row["metric"], row["expected_drop"]) <= 0.03]
    assert chosen["bytes"] == min(row["bytes"] for row in good)
    assert chosen["bytes"] < source["litert_bytes"]
    assert found.artifacts["litert"].stat().st_size == chosen["bytes"]
    assert chosen["test_metric"] == pytest.approx(litert_accuracy(found.artifacts["litert"], *data.test))
    assert chosen["metric"] == pytest.approx(litert_accuracy(found.artifacts["litert"], *data.validation))
    assert sum("test_metric" in row for row in found.candidates) == 1


def litert_accuracy(path, x, y):
    interpreter = Interpreter(str(path))
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(inputs["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(inputs["index"], x)
    interpreter.invoke()
    return np.mean(interpreter.get_tensor(outputs["index"]).argmax(-1) == y)


@pytest.mark.slow
def test_the_front_has_the_tables_keys_and_nothing_beats_it(searched):
    found = searched[0]
    measured = [row for row in found.candidates if "error" not in row]
    assert all(KEYS | {"agreement", "kept"} <= row.keys() for row in found.front)
    for row, other in itertools.product(found.front, measured):
        assert not (other["bytes"] < row["bytes"] and other["metric"] >= row["metric"])
        assert not (other["bytes"] <= row["bytes"] and other["metric"] > row["metric"])


@pytest.mark.slow
def test_the_model_is_the_one_that_the_file_was_made_from(searched, task):
    found, x = searched[0], task[1].validation[0]
    decided = found.model.predict(x, verbose=0).argmax(-1)
    loaded = tfkit.load_model(found.artifacts["litert"])(x).argmax(-1)
    assert np.mean(decided == loaded) >= 0.95
    assert found.model.optimizer is not task[0].optimizer
    saved = tfkit.load_model(searched[2] / "model.keras")
    np.testing.assert_allclose(saved.predict(x, verbose=0), found.model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_every_candidate_is_on_disk(searched):
    lines = [json.loads(line) for line in (searched[2] / "candidates.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == ["source", *(row["step"] for row in searched[0].candidates)]


def test_no_time_at_all_gives_the_source_back(task, tmp_path):
    model, data = task
    found = tfkit.compress(model, "auto", data, time_budget=0, directory=tmp_path)
    assert [row["step"] for row in found.table] == ["source"]
    assert found.artifacts == {}
    for mine, theirs in zip(found.model.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.nightly
def test_ctrl_c_keeps_what_was_found_and_the_next_call_goes_on(task, tmp_path, no_files, monkeypatch):
    model, data = task
    measure, calls = candidates.Search.measure, []

    def interrupted(self, arm):
        calls.append(arm)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(self, arm)

    monkeypatch.setattr(candidates.Search, "measure", interrupted)
    monkeypatch.setattr(moves, "space", moves.ladder)  # three strengths are all there is
    found = tfkit.compress(model, "auto", data, max_drop=1.0, time_budget=500, directory=tmp_path)
    assert found.interrupted
    assert found.table[-1]["bytes"] == min(row["bytes"] for row in found.candidates)
    assert len((tmp_path / "candidates.jsonl").read_text().splitlines()) == 3
    assert len(found.candidates) == 2
    monkeypatch.setattr(candidates.Search, "measure", measure)
    monkeypatch.setattr(auto, "_PATIENCE", 0)
    before = (tmp_path / "candidates.jsonl").read_text()
    after = tfkit.compress(model, "auto", data, max_drop=1.0, time_budget=500, directory=tmp_path)
    assert (tmp_path / "candidates.jsonl").read_text().startswith(before)
    assert [row["step"] for row in after.candidates[:2]] == [row["step"] for row in found.candidates]
    looked = [json.dumps(row["settings"]) for row in after.candidates if row.get("epochs") == 1]
    assert len(looked) == len(set(looked)) == 3


@pytest.mark.slow
def test_what_a_compressor_refuses_is_written_down_and_passed_over(task, tmp_path, no_files, monkeypatch):
    model, data = task
    arm = Trainer.arm

    def refusing(self, values, start=None):
        if values.get("shrink") == 0.5:
            raise tfkit.ModelError("not this one")
        return arm(self, values, start)

    monkeypatch.setattr(Trainer, "arm", refusing)
    monkeypatch.setattr(moves, "space", moves.ladder)
    monkeypatch.setattr(auto, "_PATIENCE", 0)
    found = tfkit.compress(model, "auto", data, max_drop=0.0, epochs=0, time_budget=60, directory=tmp_path)
    errors = {row["step"]: row["error"] for row in found.candidates if "error" in row}
    assert errors["shrink 0.5"] == "not this one"
    assert any("error" not in row for row in found.candidates)
    # Nothing was trained, so nothing that was cut is as good: the source is kept.
    assert found.table[-1]["metric"] >= found.table[0]["metric"]


def test_an_unknown_searcher_is_told_first(task, tmp_path):
    with pytest.raises(tfkit.PluginNotFound, match="searcher 'bayes'"):
        tfkit.compress(task[0], "auto", task[1], searcher="bayes", directory=tmp_path)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_longer_training_brings_an_arm_into_the_bound(task, tmp_path, no_files, monkeypatch):
    model, data = task
    shrink = next(move for move in moves.MOVES if move.compressor == "shrink")
    monkeypatch.setattr(moves, "MOVES", (dataclasses.replace(shrink, ladder=(0.7,)),))
    monkeypatch.setattr(auto, "_PATIENCE", 0)
    monkeypatch.setattr(moves, "space", moves.ladder)  # nothing is left to propose after that one strength
    found = tfkit.compress(model, "auto", data, max_drop=0.02, time_budget=600, directory=tmp_path)
    trained = [row for row in found.candidates if row.get("epochs", 0) > 1]
    assert trained, "no arm was trained longer than its first look"
    assert found.table[-1]["kept"]
    assert found.table[-1]["bytes"] < found.table[0]["bytes"]


def test_the_rate_falls_to_zero_from_the_sources(task):
    model, _ = task
    copy = recompiled(keras.models.clone_model(model), model, decay_steps=10)
    rates = [float(copy.optimizer._learning_rate(step)) for step in (0, 5, 10)]
    assert rates == pytest.approx([0.01, 0.005, 0.0], abs=1e-9)


def test_dropout_is_a_setting_where_the_source_has_any(task):
    def names(drops):
        return {each.name for each in moves.space(moves.MOVES, "size", drops=drops).space}

    assert names(True) - names(False) == {"dropout"}
    assert moves.ladder(moves.MOVES, "size", drops=True).values["dropout"] == 0.0
    assert not moves.has_dropout(task[0])
    dropping = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)])
    assert moves.has_dropout(dropping)
    assert moves.told({"shrink": 0.5, "multiple_of": 1, "dropout": 0.0}) == "shrink 0.5, without dropout"


def test_an_arm_is_trained_with_its_share_of_the_dropout(task, tmp_path, monkeypatch):
    source = keras.Sequential([*[keras.Input((12,)), keras.layers.Dropout(0.5, name="drop")], keras.layers.Dense(3)])
    source.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trainer, seen = Trainer(source, task[1], tmp_path), []
    monkeypatch.setattr(Trainer, "_trained", lambda self, model, *_: seen.append(model.get_layer("drop").rate) or model)
    for factor in (0.0, 0.5, 1.0):
        arm = trainer.arm({"dropout": factor})
        trainer.train(arm, 1, time.monotonic() + 60)
        assert arm.model.get_layer("drop").rate == 0.5
    assert seen == [0.0, 0.25, 0.5]


def test_a_second_cut_that_leaves_all_units_is_refused(task, tmp_path):
    trainer = Trainer(*task, tmp_path)
    first = trainer.arm({"shrink": 0.5, "multiple_of": 8})
    second = trainer.arm({"shrink": 0.7, "multiple_of": 8, "after": 0.5}, first)
    assert [layer.units for layer in second.model.layers] == [24, 24, 3]
    with pytest.raises(tfkit.ModelError, match="nothing more goes"):
        trainer.arm({"shrink": 0.55, "multiple_of": 8, "after": 0.5}, first)

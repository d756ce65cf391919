"""The automatic search on a model that reads strings, which LiteRT does not take: Keras models all the way."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.pipeline import auto, moves, restored
from tfkit.pipeline.arms import Arm
from tfkit.pipeline.candidates import Candidate

pytestmark = pytest.mark.slow

WORDS = [f"word{number}" for number in range(600)]


@pytest.fixture(scope="module")
def task():
    """Two good words among many, which few of the 600 tell."""
    keras.utils.set_random_seed(0)
    chosen = np.random.default_rng(0).zipf(1.3, size=(700, 8)) % 600
    texts = np.array([[" ".join(WORDS[each] for each in row)] for row in chosen], dtype=object)
    labels = (np.isin(chosen, range(1, 6)).sum(axis=1) > 3).astype("int64")
    words = keras.layers.TextVectorization(vocabulary=WORDS, output_sequence_length=8)
    layers = [keras.Input((1,), dtype="string"), words, keras.layers.Embedding(602, 16)]
    model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    data = tfkit.Data((texts[:500], labels[:500]), (texts[500:], labels[500:]))
    model.fit(data.dataset("train"), epochs=8, verbose=0, shuffle=False)
    return model, data


def test_words_go_and_weights_get_fewer_bits_and_the_next_call_goes_on(task, tmp_path, monkeypatch):
    trim = next(move for move in moves.MOVES if move.compressor == "trim-vocabulary")
    monkeypatch.setattr(moves, "MOVES", (dataclasses.replace(trim, ladder=(0.2,)),))
    monkeypatch.setattr(moves, "space", moves.ladder)  # that strength is all there is
    monkeypatch.setattr(auto, "_PATIENCE", 0)
    monkeypatch.setattr(auto, "signature_latency", lambda *_: {})
    monkeypatch.setattr(auto, "float_litert", lambda *_: None)  # refused after seconds
    monkeypatch.setattr(auto, "start_converter", lambda: None)
    model, data = task
    before = model.get_weights()
    found = tfkit.compress(model, "auto", data, max_drop=0.05, time_budget=200, directory=tmp_path)
    source, best = found.table
    assert best["kept"]
    assert best["finish"] in ("keras-int8-weights", "keras-int4")
    assert best["settings"]["vocabulary"] < 1
    assert best["bytes"] < source["bytes"] / 2
    assert best["parameters"] < source["parameters"] / 2
    assert not found.artifacts
    answers = found.model.predict(tf.constant(data.validation[0].astype(str)), verbose=0)
    accuracy = np.mean((answers[:, 0] > 0.5) == data.validation[1])
    assert accuracy == pytest.approx(best["metric"])
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)
    again = tfkit.compress(model, "auto", data, max_drop=0.05, time_budget=200, directory=tmp_path)
    count = len(found.candidates)
    assert [row["step"] for row in again.candidates[:count]] == [row["step"] for row in found.candidates]
    assert again.table[-1]["bytes"] <= best["bytes"]


def test_a_few_categories_are_no_vocabulary_to_trim():
    lookup = keras.layers.StringLookup(vocabulary=WORDS[:40])
    model = keras.Sequential([keras.Input((2,), dtype="string"), lookup, keras.layers.Embedding(41, 4)])
    assert "trim-vocabulary" not in {move.compressor for move in moves.installed_moves(model, None)}


def test_a_vocabulary_that_stays_leaves_the_ladder_to_shrink():
    texts = np.array([["word1"], ["word2"]], dtype=object)
    lookup = keras.layers.StringLookup(vocabulary=WORDS, output_mode="one_hot")
    inputs, numbers = keras.Input((1,), dtype="string"), keras.Input((3,))
    joined = keras.layers.Concatenate()([lookup(inputs), numbers])
    model = keras.Model([inputs, numbers], keras.layers.Dense(1)(keras.layers.Dense(4)(joined)))
    data = tfkit.Data(((texts, np.zeros((2, 3), "float32")), np.zeros(2)))
    assert moves.installed_moves(model, data)[0].compressor == "shrink"


def test_a_layer_that_calls_a_number_its_vocabulary_size_is_no_lookup():
    class Positions(keras.layers.Layer):
        vocabulary_size = 5000

    model = keras.Sequential([keras.Input((2,)), Positions(), keras.layers.Dense(1)])
    assert moves.installed_moves(model, None)[0].compressor == "shrink"


@pytest.mark.parametrize(("epochs", "drop", "known"), [(0, 0.2, False), (0, 0.01, True), (1, 0.2, True)])
def test_what_was_stopped_before_its_training_is_looked_at_again(epochs, drop, known):
    values = {"vocabulary": 0.2}
    arm = Arm(values, None)
    found = Candidate({"settings": values, "epochs": epochs}, drop, arm)
    search = SimpleNamespace(found=[found], rows=[], epochs=1, max_drop=0.05)
    assert (auto._known(search, values) is found) == known
    arm.epochs, arm.drops = epochs, [(epochs, drop)]
    assert restored._awaits_training(search, arm) != known

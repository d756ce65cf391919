"""The journal of an automatic search, and whether it is of this search."""

import dataclasses
import time

import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.arms import Trainer
from tfkit.pipeline.candidates import Search
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.copies import compiled_copy, saved
from tfkit.pipeline.journal import Journal, identity
from tfkit.pipeline.restored import restore
from tfkit.pipeline.rows import Yardstick


@pytest.fixture
def task():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    rows = np.ones((4, 2)), np.zeros(4, "int64")
    return model, tfkit.Data(rows, rows)


def search_in(folder, model, data):
    journal = Journal(folder, identity(model, data, "accuracy"))
    clock, trainer = Clock(time.monotonic(), 100.0), Trainer(model, data, folder)
    yardstick = Yardstick(model, data, "accuracy")
    return Search(yardstick, trainer, clock, 0.1, 1, "size", folder, journal, lambda words: None)


def test_the_bound_holds_for_the_loss_that_is_to_be_expected_too(task, tmp_path):
    model, data = task
    search = search_in(tmp_path, model, data)
    search.record(search.yardstick.row("source", model))
    kept = [search.judged({**search.source_row, "expected_drop": drop}) for drop in (None, 0.05, 0.2)]
    assert [each.row["kept"] for each in kept] == [True, True, False]
    assert [each.drop for each in kept] == [0, 0.05, 0.2]


def test_what_is_taken_over_is_what_was_there(task, tmp_path):
    model, data = task
    first = search_in(tmp_path, model, data)
    first.record(first.yardstick.row("source", model))
    files = {"float.tflite": 400, "half.tflite": 200, "gone.tflite": 100}
    saved(model, tmp_path / "model.keras")
    for name, size in files.items():
        (tmp_path / name).write_bytes(b"x")
        about = {"format": "litert", "path": str(tmp_path / name), "bytes": size, "epochs": 0}
        if name != "float.tflite":
            values = {"shrink": 0.5 if name == "half.tflite" else 0.7}
            about |= {"settings": values, "finish": "int8", "epochs": 3.0, "epoch_seconds": 1.5}
            about |= {"keras_path": str(tmp_path / "model.keras"), "metric": first.source_row["metric"] - 0.2}
        first.keep({**first.source_row, "step": name, **about})
    (tmp_path / "gone.tflite").unlink()
    (tmp_path / "007-int8").mkdir()

    again = search_in(tmp_path, model, data)
    again.max_drop = 0.3
    restore(again)
    assert [row["step"] for row in again.rows] == ["source", "float.tflite", "half.tflite"]
    assert again.source_row["litert_bytes"] == 400
    assert again.source_row["litert_path"] == str(tmp_path / "float.tflite")
    # By the bound of this call it is kept, which it was not before.
    assert [row["kept"] for row in first.rows[1:3] + again.rows[1:]] == [True, False, True, True]
    (arm,) = again.arms
    assert (arm.values, arm.epochs, arm.epoch_seconds, arm.cost) == ({"shrink": 0.5}, 3.0, 1.5, 200)
    assert arm.drops == [(3.0, pytest.approx(0.2))]
    np.testing.assert_array_equal(arm.model.get_weights()[0], model.get_weights()[0])
    # No folder of an earlier call is written into.
    with again.attempt("next", "int8") as attempt:
        assert attempt.folder.name == "008-int8"


def test_a_journal_of_another_model_is_not_taken_over_and_a_cut_line_goes(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    data = tfkit.Data((np.ones((4, 2)), np.ones((4, 3))), (np.zeros((4, 2)), np.ones((4, 3))))
    about = identity(model, data, "accuracy")
    assert about == identity(keras.models.load_model(saved(model, tmp_path / "copy.keras")), data, "accuracy")
    journal = Journal(tmp_path, about)
    journal.write({"step": "source", "path": tmp_path / "a.keras"})
    with (tmp_path / "candidates.jsonl").open("a") as file:
        file.write('{"step": "half')
    rows = Journal(tmp_path, about).rows
    assert rows == [{"step": "source", "path": str((tmp_path / "a.keras").resolve())}]
    assert str(tmp_path) not in (tmp_path / "candidates.jsonl").read_text()
    x, y = data.validation
    others = [
        identity(model, dataclasses.replace(data, validation=(x, y + 1)), "accuracy"),
        identity(model, data, "f1"),
    ]
    changed = compiled_copy(model)
    changed.layers[0].bias.assign_add(np.ones(3))
    others.append(identity(changed, data, "accuracy"))
    assert about not in others
    assert Journal(tmp_path, others[0]).rows == []

"""The journal of an automatic search, and whether it is of this search."""

import dataclasses

import keras
import numpy as np

import tfkit
from tfkit.pipeline.copies import compiled_copy, saved
from tfkit.pipeline.journal import Journal, identity


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

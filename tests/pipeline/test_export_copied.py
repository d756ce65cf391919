"""A .tflite that is exported: copied, run, and described by what it says of itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tfkit
from tfkit.cli import _run
from tfkit.cli import tfkit as command
from tfkit.pipeline.export import export, verify

DEVICES = Path(__file__).parents[1] / "serving" / "deployment" / "devices"
FLOAT, INT8 = DEVICES / "dense.tflite", DEVICES / "dense_int8.tflite"
ROWS = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("file", [FLOAT, pytest.param(INT8, marks=pytest.mark.nightly)])
def test_a_file_is_copied_run_in_a_fresh_process_and_described(tmp_path, file):
    made = export(file, tmp_path, format="litert", sample=ROWS, labels=["no", "yes"], metadata={"from": "a friend"})
    assert (made.path / "model.tflite").read_bytes() == file.read_bytes()
    assert sorted(each.name for each in made.path.iterdir()) == ["model.tflite", "tfkit.json"]
    about = json.loads((made.path / "tfkit.json").read_text())
    assert about["signature"] == {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [None, 3]}],
        "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 2]}],
    }
    assert (about["format"], about["task"], about["scores"]) == ("litert", "classification", "probabilities")
    assert about["labels"] == ["no", "yes"]
    assert about["profile"]["rows"] == len(ROWS)
    np.testing.assert_allclose(about["example"]["x"], ROWS[0], rtol=1e-6)
    assert about["metadata"] == {"from": "a friend"}
    assert verify(made.path).files == 1


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tfkit.pipeline.export.verify_against", lambda *_, **__: None)
    assert _run(command, ["export", str(FLOAT), str(tmp_path / "digits"), "--format", "litert"], False) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'digits' / '1'} (version 1, verified)\n"


def test_a_copy_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    def other(source, target):
        target.write_bytes(INT8.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", other)
    with pytest.raises(tfkit.VerificationError, match=r"what model 'dense\.tflite' does: output 'scores' differs by"):
        export(FLOAT, tmp_path, format="litert", sample=ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "error", "words"),
    [
        ({}, tfkit.ModelError, "is a LiteRT file, which format='litert' copies; for 'saved-model' export the Keras"),
        ({"format": ("litert", {"bits": 8})}, tfkit.ParameterError, "is copied as it is: leave out bits="),
        ({"format": "litert", "inputs": "pixels"}, tfkit.ParameterError, "leave out inputs="),
        ({"format": "litert", "labels": ["a", "b", "c"]}, tfkit.ParameterError, "labels= names 3 classes"),
        ({"format": "litert", "sample": np.ones((2, 4))}, tfkit.DataError, r"must have the shape \(None, 3\)"),
    ],
)
def test_what_a_file_cannot_become(tmp_path, named, error, words):
    with pytest.raises(error, match=words):
        export(FLOAT, tmp_path, **named)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(FLOAT.read_bytes()[:600])
    with pytest.raises(tfkit.ModelError, match=r"cannot open .*cut\.tflite"):
        export(path, tmp_path / "digits", format="litert")


def test_a_saved_model_is_served_as_it_is(tmp_path):
    (tmp_path / "made" / "saved_model.pb").parent.mkdir()
    (tmp_path / "made" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(tfkit.ModelError, match=r"is a SavedModel already: copy it .*; what is exported is the Keras"):
        export(tmp_path / "made", tmp_path / "models")

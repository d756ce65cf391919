"""`tfkit doctor RUN` prints what was found in a run, and what its curves alone tell where nothing was kept."""

import json

import pytest

from tfkit.cli import execute, tfkit
from tfkit.pipeline.diagnosis import findings_of, with_watchers

CURVES = {"loss": [1.0, 0.5, 0.2, 0.1, 0.05], "val_loss": [1.0, 0.8, 0.9, 1.2, 1.5]}
FOUND = {"fault": "imbalance", "evidence": "class 1 has 2% of the rows", "advice": "class_weight", "severity": 0.9}


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        execute(tfkit, ["doctor", *map(str, arguments)])
    return ended.value.code


def test_what_was_kept_is_printed(tmp_path, capsys):
    (tmp_path / "doctor.json").write_text(json.dumps([FOUND]))
    (tmp_path / "history.json").write_text(json.dumps(CURVES))
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == "imbalance: class 1 has 2% of the rows\n  try: class_weight\n"
    assert run(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [FOUND]


def test_curves_alone_tell(tmp_path, capsys):
    (tmp_path / "history.json").write_text(json.dumps(CURVES))
    assert run(tmp_path) == 0
    assert capsys.readouterr().out.startswith("overfitting: the validation loss is 1.5 and the loss 0.05")
    (tmp_path / "history.json").write_text(json.dumps({"loss": [1.0, 0.4, 0.3]}))
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == "nothing is wrong that can be seen\n"


def test_what_is_no_run_is_a_users_mistake(tmp_path, capsys):
    assert run(tmp_path) == 2
    assert "no doctor.json and no history.json: give the folder of a run" in capsys.readouterr().err
    assert run(tmp_path / "gone") == 2


def test_a_fit_has_one_of_each_that_watches():
    ending, doctor = with_watchers([])
    assert (type(ending).__name__, type(doctor).__name__) == ("TerminateOnNaN", "Doctor")
    assert with_watchers([doctor, ending]) == [doctor, ending]
    assert findings_of([ending, doctor]) == []

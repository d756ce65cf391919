import json
import os
import subprocess
import sys

import pytest

import tfkit
from tfkit.pipeline.folder import RunFolder, open_run, write_json
from tfkit.pipeline.lock import locked


def test_a_run_of_the_same_fingerprint_goes_on(tmp_path):
    first, earlier = open_run(tmp_path, "toy", "a")
    assert not earlier
    assert open_run(tmp_path, "toy", "a") == (first, True)
    assert open_run(tmp_path, "toy", "a", resume=False)[0] != first


def test_another_fingerprint_begins_a_new_run(tmp_path):
    first, _ = open_run(tmp_path, "toy", "a")
    second, earlier = open_run(tmp_path, "toy", "b")
    assert second != first
    assert not earlier


def test_a_finished_stage_is_recorded_with_its_metrics(tmp_path):
    folder, _ = open_run(tmp_path, "toy", "a")
    folder.finish("train", "then", {"loss": float("nan"), "accuracy": 0.5})
    state = json.loads((folder.path / "run.json").read_text())
    assert state["stages"][0]["metrics"] == {"loss": None, "accuracy": 0.5}
    assert state["stages"][0]["status"] == "finished"
    assert folder.finished("train")["started"] == "then"
    assert folder.finished("search") is None


def test_run_json_is_valid_while_it_is_written(tmp_path, monkeypatch):
    folder, _ = open_run(tmp_path, "toy", "a")
    monkeypatch.setattr(json, "dump", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        folder.set_status("finished")
    monkeypatch.undo()
    assert folder.state["status"] == "running"


def test_a_second_process_is_refused(tmp_path):
    folder, _ = open_run(tmp_path, "toy", "a")
    code = (
        "import sys\nfrom pathlib import Path\nfrom tfkit.pipeline.lock import locked\n"
        "with locked(Path(sys.argv[1]), '.lock'): pass"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    with locked(folder.path, ".lock"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "a process is at work in" in done.stderr
    with locked(folder.path, ".lock"):
        pass


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_damaged_state_is_refused_by_name(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(tfkit.RunError, match=r"run\.json"):
        _ = RunFolder(tmp_path).state


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(tfkit.RunError, match="is no run"):
        _ = RunFolder(tmp_path).state


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(tfkit.RunError, match="cannot be made"):
        open_run(tmp_path / "runs", "toy", "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_writable_is_refused(tmp_path):
    (tmp_path / "toy").mkdir(mode=0o500)
    with pytest.raises(tfkit.RunError, match="not writable"):
        open_run(tmp_path, "toy", "a")


def test_write_json_replaces_and_leaves_nothing_beside(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    write_json(tmp_path / "a.json", {"x": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]

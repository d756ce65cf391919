"""A whole run in processes of its own: uninterrupted, killed at every stage, interrupted, wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfkit import cli

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parent / "toy_recipe.py"
STAGES = ["baseline", "search", "train", "evaluate", "compress", "export", "report"]


def start(directory, *more):
    command = [sys.executable, "-m", "tfkit", "run", str(RECIPE), "--directory", str(directory), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out, err


def state(directory):
    (folder,) = directory.glob("toy/*/")
    return folder, json.loads((folder / "run.json").read_text())


def metrics(state):
    """Everything that was measured and is no size of a file and no time."""
    return {stage["name"]: stage["metrics"] for stage in state["stages"] if stage["name"] != "export"}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("uninterrupted")
    out, _ = finish(start(directory))
    return directory, out


def test_every_stage_is_recorded(uninterrupted):
    folder, found = state(uninterrupted[0])
    assert found["status"] == "finished"
    assert [stage["name"] for stage in found["stages"]] == STAGES
    assert all(stage.keys() >= {"status", "started", "finished", "metrics"} for stage in found["stages"])
    assert (folder / "serving" / "toy" / "1" / "saved_model.pb").is_file()


def test_it_ends_with_the_table_and_the_path_of_the_report(uninterrupted):
    directory, out = uninterrupted
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert {"float", "float-litert", "prune", "int8"} <= rows.keys()
    assert 0 <= float(rows["float"][1]) <= 1
    report = Path(re.search(r"^report: (.*)$", out, re.MULTILINE).group(1))
    text = report.read_text()
    assert report == state(directory)[0] / "report.html"
    assert text.count("<svg") >= 4
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


def test_a_second_run_redoes_nothing(uninterrupted, capsys):
    directory, out = uninterrupted
    before = state(directory)[1]
    assert cli._run(cli.tfkit, ["run", str(RECIPE), "--directory", str(directory)], False) == 0
    again = capsys.readouterr()
    assert state(directory)[1]["stages"] == before["stages"]
    assert again.out == out
    assert "going on" in again.err


@pytest.mark.parametrize("counts", [(4,), pytest.param((1, 2, 4, 5), marks=pytest.mark.nightly)])
def test_killed_in_long_stages_it_ends_with_the_same_metrics(counts, uninterrupted, tmp_path):
    started = {}
    for count in counts:  # in search, train, compress and export are 1, 2, 4 and 5
        process = start(tmp_path)
        stop_when(tmp_path, process, count)
        if process.poll() is not None:
            break
        for stage in state(tmp_path)[1]["stages"]:
            # A stage that is finished is never done again.
            assert started.setdefault(stage["name"], stage["started"]) == stage["started"]
    finish(start(tmp_path))
    folder, found = state(tmp_path)
    assert found["status"] == "finished"
    assert {stage["name"]: stage["started"] for stage in found["stages"]}.items() >= started.items()
    assert metrics(found) == metrics(state(uninterrupted[0])[1])
    assert sorted(each.name for each in (folder / "serving" / "toy").iterdir()) == ["1"]


def stop_when(directory, process, count):
    """kill -9 a moment after `count` stages are finished."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        files = list(directory.glob("toy/*/run.json"))
        if files and len(json.loads(files[0].read_text())["stages"]) >= count:
            time.sleep(0.1 * (1 + count % 3))
            break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_leave_a_run_that_goes_on(tmp_path, number, status):
    process = start(tmp_path)
    while not list(tmp_path.glob("toy/*/run.json")):
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "interrupted" in err
    assert "Traceback" not in err
    assert state(tmp_path)[1]["status"] == "interrupted"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ('compress.steps=["shrinkle"]', "there is no compressor 'shrinkle'"),
        ('train.schedule=["cosine",{"initial":-1,"steps":3}]', "must be a float > 0; got -1"),
        ("search.searcher=bayes", "there is no searcher 'bayes'"),
        ("train.strategy=mirored", "did you mean 'mirrored'?"),
    ],
)
def test_a_wrong_plugin_is_told_before_anything_is_trained(tmp_path, capsys, override, words):
    command = ["run", str(RECIPE), "--directory", str(tmp_path), "--set", override]
    assert cli._run(cli.tfkit, command, False) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("toy/*"))

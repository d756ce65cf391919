"""One recipe, run by one process and by two that train together."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.team import join

SCRIPT = Path(__file__).with_name("workers_recipe.py")


def weights(folder):
    [path] = folder.glob("runs/workers/*/model.keras")
    return keras.models.load_model(path).get_weights()


def state(folder):
    [path] = folder.glob("runs/workers/*/run.json")
    return json.loads(path.read_text())


@pytest.mark.nightly
def test_two_workers_one_killed_end_as_one_process(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
        shutil.copy(SCRIPT, folder / "recipe.py")
    launch = [sys.executable, "-m", "tfkit", "launch", "--workers", "2", "recipe.py"]
    done = subprocess.run(
        launch, cwd=together, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    told = done.stdout
    assert done.returncode == 0, told[-4000:]
    assert "launch: worker-1 was ended by signal 9 (SIGKILL)" in told
    assert "launch: all are begun again" in told
    # The other may have been ended before it had written its sixth epoch.
    assert re.search(r"\[worker-0\] backup: goes on after epoch [56],", told)
    assert told.count("report.html") == 1

    subprocess.run([sys.executable, "recipe.py"], cwd=alone, timeout=200, check=True)
    for found, wanted in zip(weights(together), weights(alone)):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert [each["name"] for each in state(together)["stages"]] == [each["name"] for each in state(alone)["stages"]]
    assert state(together)["status"] == "finished"


def cluster(monkeypatch, *addresses):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_a_strategy_of_one_machine_is_refused_in_a_cluster(monkeypatch):
    recipe = tfkit.Recipe("toy", list, list, train={"strategy": "mirrored"})
    assert join(recipe) is None
    cluster(monkeypatch, "127.0.0.1:1")
    assert join(recipe) is None
    cluster(monkeypatch, "127.0.0.1:1", "127.0.0.1:2")
    words = "recipe 'toy' trains under 'mirrored' on one machine, and TF_CONFIG names 2 workers: leave the strategy out"
    with pytest.raises(tfkit.ParameterError, match=words):
        tfkit.run(recipe)

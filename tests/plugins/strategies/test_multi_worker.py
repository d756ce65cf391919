"""Two processes on this machine that train together end as one does, whatever happens to one of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from uneven_fit import fitted, model_of, short_fit

SCRIPT = str(Path(__file__).with_name("worker.py"))


def launched(folder, *ways):
    command = [sys.executable, "-m", "tfkit", "launch", "--workers", "2", SCRIPT, str(folder), *ways]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def alone():
    model = model_of()
    return state(model, fitted(model, epochs=4))


def state(model, history):
    return {**{f"weight{number}": each for number, each in enumerate(model.get_weights())}, **history}


def require_same(folder, alone, last=4):
    for name in ("worker-0", "worker-1"):
        found = np.load(folder / f"{name}.npz")
        assert set(found) == set(alone)
        for key, values in alone.items():
            wanted = values if key.startswith("weight") else values[-last:]
            np.testing.assert_allclose(found[key], wanted, rtol=0, atol=1e-5, err_msg=f"{name} {key}")


@pytest.mark.slow
def test_two_workers_equal_one(tmp_path):
    launched(tmp_path, "short")
    require_same(tmp_path, state(*short_fit()))


@pytest.mark.nightly
def test_two_workers_with_normalization_and_validation_equal_one_and_kerass_backup_is_refused(tmp_path, alone):
    told = launched(tmp_path, "keras")
    assert "[worker-1] strategy: norm takes its statistics over all replicas" in told
    require_same(tmp_path, alone)


@pytest.mark.nightly
def test_all_begin_again_after_one_is_killed_and_end_as_if_none_had_been(tmp_path, alone):
    told = launched(tmp_path, "killed")
    assert "launch: worker-1 was ended by signal 9 (SIGKILL)" in told
    # The other may have written its third epoch; both go on after the second.
    assert "[worker-0] backup: goes on after epoch 2" in told
    assert "[worker-1] backup: goes on after epoch 2" in told
    require_same(tmp_path, alone, last=2)
    assert not list((tmp_path / "backup").iterdir())


@pytest.mark.nightly
def test_a_strategy_of_the_users_own_is_guarded(tmp_path, alone):
    launched(tmp_path, "own")
    require_same(tmp_path, alone)

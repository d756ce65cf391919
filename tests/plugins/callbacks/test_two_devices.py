"""Under Mirrored, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("steps_on_two_devices.py")


@pytest.mark.nightly
@pytest.mark.parametrize("names", [["micro-batches"], ["sam", "ema", "swa", "plateau"]], ids="-".join)
def test_two_devices_end_as_one(names):
    run = [sys.executable, str(CHILD), *names]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [*names, "batch-size", "terminate-on-nan"]

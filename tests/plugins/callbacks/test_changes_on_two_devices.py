"""Label smoothing, mixing, dropout and augmentation under Mirrored, in a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("changes_on_two_devices.py")


@pytest.mark.slow
@pytest.mark.nightly
def test_two_devices_train_as_they_should():
    done = subprocess.run([sys.executable, str(CHILD)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["done"]

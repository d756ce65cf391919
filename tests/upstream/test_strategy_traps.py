"""Keras's errors under distribution strategies: each test fails when Keras mends one, so that the repair can go."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("strategies_alone.py")
TRAPS = ["7", "8", "28"]
# The last breaks what the process's devices exchange.
OTHERS = ["6", "uneven", "jit", "executions", "accumulation", "optimizer", "twice"]


def shown(*names):
    done = subprocess.run(
        [sys.executable, str(CHILD), *names], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


@pytest.mark.slow
def test_silent_errors_of_strategies():
    """What tfkit does in their place is shown in tests/plugins/strategies."""
    assert shown(*TRAPS) == TRAPS


@pytest.mark.nightly
def test_other_errors_of_strategies():
    assert shown(*OTHERS) == OTHERS

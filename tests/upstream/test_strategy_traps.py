"""Keras's errors under distribution strategies: each test fails when Keras mends one, so that the repair can go."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("strategies_alone.py")
TRAPS = ["7", "8", "28", "built"]
# The last breaks what the process's devices exchange.
OTHERS = [
    "6",
    "uneven",
    "clipping",
    "losses",
    "masks",
    "outputs",
    "jit",
    "executions",
    "accumulation",
    "optimizer",
    "twice",
]

WORKER = """
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np

with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
try:
    model.fit(np.ones((8, 4)), np.ones((8, 1)), batch_size=4, verbose=0)
except Exception as error:
    print("fails", type(error).__name__, " ".join(str(error).split())[:300])
"""


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


@pytest.mark.nightly
def test_several_workers_do_not_fit_in_keras(tmp_path):
    """What tfkit does in its place is shown in tests/plugins/strategies/test_multi_worker.py."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    launch = [sys.executable, "-m", "tfkit", "launch", "--workers", "2", "--restarts", "0", str(script)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    for name in ("worker-0", "worker-1"):
        assert f"[{name}] fails" in done.stdout, done.stdout[-3000:]

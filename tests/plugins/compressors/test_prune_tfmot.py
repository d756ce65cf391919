"""The zeros and weights of tfkit's prune are those of TFMOT's wrapper on tf_keras, to the last bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("prune_against_tfmot.py")
CASES = {
    "mlp polynomial": 0.75,
    "mlp linear": 0.75,
    "mlp constant": 0.5,
    "mlp blocks": 0.5,
    "mlp 2:4": 0.5,
    "mlp, two fits": 0.5,
    "mlp, 4 steps per execution": 0.75,
    "cnn polynomial": 0.75,
    "cnn constant": 0.5,
    "cnn blocks": 0.5,
    "cnn 2:4": 0.5,
    "lstm polynomial": 0.75,
}


@pytest.fixture(scope="module")
def found():
    done = subprocess.run([sys.executable, CHILD], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_masks_and_weights_are_tfmots(found, case):
    same, difference, sparsities = found[case]
    assert same
    assert difference == 0.0
    assert sparsities[-1] == CASES[case]


@pytest.mark.slow
def test_every_case_was_compared(found):
    assert found.keys() == CASES.keys()

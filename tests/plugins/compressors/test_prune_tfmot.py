"""The zeros and weights of tfkit's prune are those of TFMOT's wrapper on tf_keras, to the last bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("prune_against_tfmot.py")
# Each schedule, form and kind of layer once; the others at night.
CASES = {
    "mlp polynomial": 0.75,
    "mlp blocks": 0.5,
    "mlp 2:4": 0.5,
    "cnn constant": 0.5,
    "lstm polynomial": 0.75,
}
NIGHTLY = {
    "mlp linear": 0.75,
    "mlp constant": 0.5,
    "mlp, two fits": 0.5,
    "mlp, 4 steps per execution": 0.75,
    "cnn polynomial": 0.75,
    "cnn blocks": 0.5,
    "cnn 2:4": 0.5,
}


def found(cases):
    command = [sys.executable, CHILD, *cases]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("cases", [CASES, pytest.param(NIGHTLY, marks=pytest.mark.nightly)], ids=["few", "all"])
def test_masks_and_weights_are_tfmots(cases):
    compared = found(cases)
    assert compared.keys() == cases.keys()
    for case, (same, difference, sparsities) in compared.items():
        assert same, case
        assert difference == 0.0, case
        assert sparsities[-1] == cases[case], case

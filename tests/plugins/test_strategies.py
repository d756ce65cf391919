import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import tfkit

CHILD = Path(__file__).with_name("two_devices.py")


@pytest.mark.slow
def test_two_devices(tmp_path):
    run = [sys.executable, str(CHILD), str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["names", "refused", "fit", "stopped", "exported"]


def test_one_device_is_the_cpu_where_there_is_no_gpu():
    strategy = tfkit.create("strategy", "one-device")
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    if not tf.config.list_logical_devices("GPU"):
        assert strategy.extended.worker_devices[0].endswith("/device:CPU:0")


def test_mirrored_over_all_there_is():
    strategy = tfkit.create("strategy", "mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == max(1, len(tf.config.list_logical_devices("GPU")))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("parameter-server", "is refused: Keras 3 cannot fit under ParameterServerStrategy .* use 'mirrored'"),
        ("central-storage", "is refused: .* computes metrics that are wrong, without a word; use 'mirrored'"),
    ],
)
def test_strategies_that_keras_gets_wrong_are_refused_with_the_reason(name, reason):
    with pytest.raises(tfkit.PluginNotFound, match=reason):
        tfkit.create("strategy", name)
    assert name not in [row.name for row in tfkit.plugins("strategy")]

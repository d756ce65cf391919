import itertools
import json
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit_strategies.placement.stages import runs

WORDS = ["names", "refused", "fit", "stopped", "exported", "guarded", "prevented", "losses", "placed", "whole"]
CHILD = Path(__file__).with_name("two_devices.py")


def told(argument):
    run = [sys.executable, str(CHILD), argument]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


@pytest.mark.slow
def test_two_devices(tmp_path):
    assert told(str(tmp_path)) == WORDS


@pytest.mark.nightly
def test_two_devices_more():
    assert told("more") == ["more"]


def test_one_device_is_the_cpu_where_there_is_no_gpu():
    strategy = tfkit.create("strategy", "one-device")
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    if not tf.config.list_logical_devices("GPU"):
        assert strategy.extended.worker_devices[0].endswith("/device:CPU:0")


def test_mirrored_over_all_there_is():
    strategy = tfkit.create("strategy", "mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == max(1, len(tf.config.list_logical_devices("GPU")))


@pytest.mark.parametrize("name", ["one-device", "mirrored", "layer-placement"])
def test_a_model_that_is_built_reads_its_data_once(name):
    begun = []

    def rows():
        begun.append(1)
        yield np.ones((3, 2)), np.ones((3, 1))
        yield np.ones((2, 2)), np.ones((2, 1))

    with tfkit.create("strategy", name, **({"devices": ("CPU:0",)} if name == "layer-placement" else {})).scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
    model.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    data = tf.data.Dataset.from_generator(rows, output_signature=(tf.TensorSpec((None, 2)), tf.TensorSpec((None, 1))))
    model.evaluate(data.apply(tf.data.experimental.assert_cardinality(2)), verbose=0)
    assert len(begun) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("parameter-server", "is refused: Keras 3 cannot fit under ParameterServerStrategy .* use 'mirrored'"),
        ("data-parallel", "is refused: keras.distribution does nothing on the TensorFlow backend.*use 'mirrored'"),
        ("model-parallel", "is refused: keras.distribution does nothing.*use 'layer-placement'"),
        ("central-storage", "is refused: .* computes metrics that are wrong, without a word; use 'mirrored'"),
    ],
)
def test_strategies_that_keras_gets_wrong_are_refused_with_the_reason(name, reason):
    with pytest.raises(tfkit.PluginNotFound, match=reason):
        tfkit.create("strategy", name)
    assert name not in [row.name for row in tfkit.plugins("strategy")]


@pytest.mark.parametrize("params", [{}, {"name": "none-of-this-name"}])
def test_no_tpu(params):
    words = r"strategy 'tpu' finds no TPU.*there are: CPU:0.*: pass name=… as TPUClusterResolver takes it, or use"
    with pytest.raises(tfkit.DeviceNotFound, match=words):
        tfkit.create("strategy", "tpu", **params)


def test_multi_worker_alone_is_one_replica_and_the_same_again():
    strategy = tfkit.create("strategy", "multi-worker")
    assert isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    assert strategy.num_replicas_in_sync == max(1, len(tf.config.list_logical_devices("GPU")))
    assert tfkit.create("strategy", "multi-worker") is strategy


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}, "'task.index' of TF_CONFIG must be"),
        ({"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}, "'cluster.ps' of TF_CONFIG"),
    ],
)
def test_a_malformed_cluster_names_the_field(config, words, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(tfkit.ParameterError, match=words):
        tfkit.create("strategy", "multi-worker")


def test_a_cluster_after_tensorflow_has_begun(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    cluster = {"cluster": {"worker": [address, "127.0.0.1:9"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    tf.config.list_logical_devices()
    with pytest.raises(tfkit.ParameterError, match="must be made before anything else uses TensorFlow"):
        tfkit.create("strategy", "multi-worker")


def test_runs_of_layers_are_as_even_as_can_be():
    random = np.random.default_rng(0)
    for _ in range(50):
        costs = random.integers(0, 30, size=random.integers(1, 9)).tolist()
        count = int(random.integers(1, 5))
        found = runs(costs, count)
        assert [first for first, _ in found] == [0, *(last for _, last in found[:-1])]
        assert found[-1][1] == len(costs)
        cuts = itertools.combinations_with_replacement(range(len(costs) + 1), count - 1)
        best = min(max(sum(costs[a:b]) for a, b in itertools.pairwise([0, *each, len(costs)])) for each in cuts)
        assert len(found) <= count
        assert max(sum(costs[first:last]) for first, last in found) == best

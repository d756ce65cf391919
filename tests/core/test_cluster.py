import json
import socket

import pytest

import tfkit
from tfkit.cluster import Cluster, cluster_here, cluster_of, is_chief_here, require_free, worker_name

TWO = {"worker": ["a:1", "b:2"]}


def text(cluster, **task):
    return json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})


def test_a_cluster_of_workers():
    found = cluster_of(text(TWO, type="worker", index=1))
    assert (found.name, found.address, found.addresses, found.is_chief) == ("worker-1", "b:2", ["a:1", "b:2"], False)
    assert cluster_of(text(TWO, type="worker", index="0")).is_chief
    assert cluster_of(found.variable()) == found


@pytest.mark.parametrize("index", [0, 1])
def test_whether_this_process_is_the_chief(index, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text(TWO, type="worker", index=index))
    assert is_chief_here() == (index == 0)


def test_the_chief_goes_first():
    found = cluster_of(text({"worker": ["a:1"], "chief": ["c:1"]}, type="worker", index=0))
    assert found.addresses == ["c:1", "a:1"]
    assert not found.is_chief
    assert Cluster({"worker": ["a:1"], "chief": ["c:1"]}, "chief").is_chief


@pytest.mark.parametrize("alone", ["", "{}", '{"cluster": {}}', '{"task": {"type": "worker", "index": 1}}'])
def test_no_cluster(alone, monkeypatch):
    assert cluster_of(alone) is None
    monkeypatch.setenv("TF_CONFIG", alone)
    assert cluster_here() is None
    assert is_chief_here()
    assert worker_name() == ("worker-1" if "task" in alone else "worker-0")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "TF_CONFIG is no JSON"),
        ("[]", "must be a JSON object with 'cluster' and 'task'"),
        ('{"cluster": ["a:1"]}', "'cluster' of TF_CONFIG must be a JSON object"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task' of TF_CONFIG must be a JSON object; got None"),
        (text({"worker": "a:1"}, type="worker", index=0), "'cluster.worker' of TF_CONFIG must be a list"),
        (text({"worker": ["a"]}, type="worker", index=0), "'cluster.worker' of TF_CONFIG must be a list"),
        (text({"worker": ["a:99999"]}, type="worker", index=0), "list of 'host:port'; got ['a:99999']"),
        (text({"worker": ["a:1", "a:1"]}, type="worker", index=0), "names the address a:1 twice"),
        (text({**TWO, "ps": ["c:1"]}, type="worker", index=0), "'cluster.ps' of TF_CONFIG"),
        (text(TWO, type="evaluator", index=0), "'task.type' of TF_CONFIG must be one of worker; got 'evaluator'"),
        (text(TWO, type="worker", index=2), "'task.index' of TF_CONFIG must be a number from 0 to 1"),
        (text(TWO, type="worker", index=True), "got True"),
        (text(TWO, type="worker"), "got None"),
    ],
)
def test_what_is_malformed_is_named(config, words):
    with pytest.raises(tfkit.ParameterError) as raised:
        cluster_of(config)
    assert words in str(raised.value)


def test_an_address_in_use():
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{used.getsockname()[1]}"
        used.listen()
        with pytest.raises(tfkit.ParameterError, match=f"the address {address} of TF_CONFIG is in use"):
            require_free(address)
    require_free(address)

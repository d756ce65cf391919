import numpy as np
import pytest

from tfkit_serving import ServingError
from tfkit_serving.client.calls import Calls
from tfkit_serving.client.metadata import MetadataCache, ModelMetadata
from tfkit_serving.protocol.messages import SignatureDef
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature, TensorInfo


def metadata(version, name="x"):
    signature = Signature({name: TensorInfo(name, 1, (-1,))}, {"y": TensorInfo("y", 1, (-1,))}, "", SignatureDef())
    return ModelMetadata("m", version, {"serving_default": signature})


def test_a_version_keeps_its_signatures_and_the_newest_does_not():
    now = [0.0]
    cache = MetadataCache(lambda: now[0])
    for spec in (ModelSpec("m", 3), ModelSpec("m"), ModelSpec("m", label="stable")):
        assert cache.find(spec) == (False, None)
        cache.keep(spec, metadata(3))
    cache.keep(ModelSpec("n", 1), None)
    now[0] = 29.0
    assert cache.find(ModelSpec("m")) == (True, metadata(3))
    assert cache.find(ModelSpec("n", 1)) == (True, None)
    now[0] = 31.0
    assert cache.find(ModelSpec("m", 3)) == (True, metadata(3))
    assert [cache.find(each)[0] for each in (ModelSpec("m"), ModelSpec("m", label="stable"), ModelSpec("n", 1))] == [
        False,
        False,
        False,
    ]


class Words:
    """A server whose newest version changes the name of its input."""

    def __init__(self):
        self.newest = metadata(1)

    def check(self, inputs, signature, where):
        pass

    def metadata(self, spec):
        return "metadata"

    def signatures(self, body):
        return self.newest

    def predict(self, spec, signature, inputs):
        return inputs

    def outputs(self, body, signature):
        return body


def drive(call):
    """Answers a prediction with its inputs; returns the result and how often metadata was asked for."""
    asked = 0
    try:
        request = next(call)
        while True:
            asked += request == "metadata"
            request = call.send(request)
    except StopIteration as end:
        return end.value, asked


def test_a_new_version_with_other_inputs_is_noticed_at_once():
    words = Words()
    calls = Calls(words)
    assert drive(calls.predict(ModelSpec("m"), {"x": [1.0]}, None))[1] == 1
    assert drive(calls.predict(ModelSpec("m"), {"x": [1.0]}, None))[1] == 0
    words.newest = metadata(2, "z")
    found, asked = drive(calls.predict(ModelSpec("m"), {"z": [1.0]}, None))
    np.testing.assert_array_equal(found, np.float32([1.0]))
    assert asked == 1
    with pytest.raises(ServingError, match="has no input 'x'; it takes 'z'"):
        drive(calls.predict(ModelSpec("m"), {"x": [1.0]}, None))

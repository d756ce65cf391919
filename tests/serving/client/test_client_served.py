"""Both clients, over REST and gRPC, against the embedded server with the recorded models."""

import asyncio

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfkit_serving import AsyncClient, Client, ServingError

pytestmark = pytest.mark.serving

REST = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool"]
GRPC = [*REST, "float16", "uint16", "complex64", "bfloat16"]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, max_side=3)


@pytest.fixture(scope="module")
def clients(recorded_server):
    with (
        Client(f"http://127.0.0.1:{recorded_server.rest_port}") as rest,
        Client(f"127.0.0.1:{recorded_server.grpc_port}", transport="grpc") as grpc,
    ):
        yield {"rest": rest, "grpc": grpc}


@pytest.fixture(params=["rest", "grpc"])
def client(request, clients):
    return clients[request.param]


def values(name, shape):
    if name == "bfloat16":
        return arrays.arrays("float32", shape).map(lambda array: array.astype(ml_dtypes.bfloat16))
    return arrays.arrays(name, shape)


def assert_same(found, sent):
    assert found.dtype == sent.dtype
    assert found.shape == sent.shape
    # ml_dtypes' numbers are compared as wider ones; NaN equals NaN.
    wide = np.float32 if sent.dtype == ml_dtypes.bfloat16 else sent.dtype
    np.testing.assert_array_equal(found.astype(wide), sent.astype(wide))


@pytest.mark.parametrize(("transport", "dtypes"), [("rest", REST), ("grpc", GRPC)])
def test_arrays_come_back_as_they_went(transport, dtypes, clients):
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def check(data):
        name = data.draw(st.sampled_from(dtypes))
        sent = data.draw(values(name, data.draw(SHAPES)))
        assert_same(clients[transport].predict("dtypes", sent, signature=f"id_{name}"), sent)

    with np.errstate(all="ignore"):
        check()


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_largest_numbers_come_back(client, name):
    limits = np.finfo(name)
    sent = np.array([limits.max, limits.min, limits.tiny, limits.smallest_subnormal], name)
    assert_same(client.predict("dtypes", sent, signature=f"id_{name}"), sent)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays.arrays(object, SHAPES, elements=st.binary(max_size=6), fill=st.nothing()))
def test_bytes_come_back_as_they_went(client, sent):
    found = client.predict("dtypes", sent, signature="str_bytes")
    for name in ("img_bytes", "txt"):
        assert found[name].shape == sent.shape
        assert found[name].tolist() == sent.tolist()


@pytest.mark.parametrize("dtype", ["float16", "uint16", "complex64", "bfloat16"])
def test_what_rest_cannot_carry_is_told_before_it_is_sent(dtype, clients):
    name = {"float16": "half"}.get(dtype, dtype)
    with pytest.raises(ServingError, match=rf"input 'x' of .*id_{dtype}' is {name}, which REST does not.*use gRPC"):
        clients["rest"].predict("dtypes", [1], signature=f"id_{dtype}")
    np.testing.assert_array_equal(clients["grpc"].predict("dtypes", [1], signature=f"id_{dtype}").astype("c8"), [1])


def test_empty_arrays(client, clients):
    for shape in ((0,), (2, 0)):
        assert client.predict("dtypes", np.zeros(shape), signature="id_float32").shape == shape
    assert clients["grpc"].predict("mlp", np.zeros((0, 32))).shape[0] == 0
    with pytest.raises(ServingError, match=r"no form for shape \(0, 32\): use gRPC"):
        clients["rest"].predict("mlp", np.zeros((0, 32)))


def test_outputs(client):
    np.testing.assert_array_equal(client.predict("hp2", [[1.0], [2]]), np.float32([[2.5], [3]]))
    # The signature says (?, 1), the graph takes more.
    np.testing.assert_array_equal(client.predict("hp2", [1.0, 2, 5]), np.float32([2.5, 3, 4.5]))
    mixed = client.predict("dtypes", [[1, 2]], signature="mixed_batch")
    assert {name: each.shape for name, each in mixed.items()} == {"a": (1, 2), "b": (7,)}
    assert client.predict("dtypes", [[1, 2]], signature="scalar_out") == np.float32(3)


def test_versions_and_labels(client):
    # Version 124 is the newest; the label stable is 123's, and both halve and add two.
    assert [client.metadata("hp2", **which).version for which in ({}, {"version": 123}, {"label": "stable"})] == [
        124,
        123,
        123,
    ]
    assert client.predict("hp2", [[8.0]], label="stable").tolist() == [[6.0]]
    assert [(each.version, each.state, each.code) for each in client.status("hp2")] == [
        (124, "AVAILABLE", "OK"),
        (123, "AVAILABLE", "OK"),
    ]
    assert [each.version for each in client.status("hp2", version=123)] == [123]
    assert client.ready()
    with pytest.raises(ServingError, match="a version or a label, not both"):
        client.predict("hp2", [[1.0]], version=123, label="stable")


def test_examples(client):
    rows = [{"x": 20.0}, {"x": [10.0]}]
    assert client.classify("hp2", rows, signature="classify_x_to_y") == [[("", 12.0)], [("", 7.0)]]
    assert client.classify("hp2", [{}], context={"x": 2.0}, signature="classify_x_to_y") == [[("", 3.0)]]
    np.testing.assert_array_equal(client.regress("hp2", [{"x": 1.0}], signature="regress_x_to_y2"), np.float32([3.5]))
    serialized = b"\n\r\n\x0b\n\x01x\x12\x06\x12\x04\n\x02\0\0"  # no Example: its floats are cut short
    with pytest.raises(ServingError, match="no serialized Example"):
        client.regress("hp2", [serialized], signature="regress_x_to_y2")


@pytest.mark.parametrize(
    ("call", "named", "words"),
    [
        ("predict", {"model": "nope", "inputs": [1.0]}, "Servable not found for request: Latest(nope)"),
        ("predict", {"model": "hp2", "inputs": 1.0, "version": 99}, "Servable not found for request: Specific"),
        ("predict", {"model": "hp2", "inputs": [1.0], "label": "x"}, "Unrecognized servable version label: x"),
        ("predict", {"model": "hp2", "inputs": [1.0], "signature": "nosuch"}, '"nosuch" not found'),
        ("status", {"model": "nope"}, "Could not find any versions of model nope"),
        ("status", {"model": "hp2", "version": 99}, "Could not find version 99 of model hp2"),
        ("metadata", {"model": "nope"}, "Servable not found for request: Latest(nope)"),
        ("regress", {"model": "nope", "examples": [{}]}, "Servable not found for request: Latest(nope)"),
    ],
)  # fmt: skip
def test_errors_are_the_servers_words(call, named, words, client):
    with pytest.raises(ServingError) as caught:
        getattr(client, call)(**named)
    assert words in str(caught.value)


def test_a_shape_that_is_refused_is_explained_after_the_servers_words(client):
    with pytest.raises(ServingError, match=r"(?s)^Matrix size-incompatible.*input 'x'|In\[0\].*shape \(\?, 32\); got"):
        client.predict("mlp", np.zeros((1, 31)))
    with pytest.raises(ServingError, match=r"got shape \(32,\), one row: give a list of rows"):
        client.predict("mlp", np.zeros(32))


def test_reload(clients):
    with pytest.raises(ServingError, match="REST cannot reload"):
        clients["rest"].reload("")
    with pytest.raises(ServingError, match="no ModelServerConfig in text form"):
        clients["grpc"].reload("model_config_list")
    missing = 'model_config_list { config { name: "m" base_path: "/no/such/place" model_platform: "tensorflow" } }'
    with pytest.raises(ServingError, match="/no/such/place"):
        clients["grpc"].reload(missing)
    assert clients["grpc"].predict("hp2", [[1.0]]).tolist() == [[2.5]]


@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_many_calls_at_once_keep_their_answers(transport, loop, recorded_server):
    module = asyncio if loop == "asyncio" else pytest.importorskip("uvloop")

    async def ask():
        url = f"127.0.0.1:{getattr(recorded_server, f'{transport}_port')}"
        async with AsyncClient(url, transport=transport) as client:
            first = await client.predict("hp2", [[0.0]])
            return first, await asyncio.gather(*(client.predict("hp2", [[float(each)]]) for each in range(200)))

    first, found = module.run(ask())
    assert first.tolist() == [[2.0]]
    assert [each.tolist() for each in found] == [[[each / 2 + 2]] for each in range(200)]


def test_signatures_are_asked_for_once(client, monkeypatch):
    sent = []
    connections = client._connections
    send = connections.send
    monkeypatch.setattr(connections, "send", lambda request, deadline: sent.append(request) or send(request, deadline))
    for _ in range(3):
        client.predict("hp2tf2", [[1.0]])
    assert sum("etadata" in each.target for each in sent) == 1
    assert len(sent) == 4

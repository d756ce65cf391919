"""What the flags offer beside the services: a socket file, arguments of gRPC's own, raw bytes, the profiler."""

import socket

import grpc
import numpy as np
import pytest
from rpc_session import AB, METHODS, Core, asked, outputs_of

from tfkit_serving.protocol import messages
from tfkit_serving.protocol.tensors import to_array
from tfkit_serving.rpc.options import RpcOptions


def test_a_socket_file_is_listened_on_beside_the_port(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_by_an_earlier_server:
        left_by_an_earlier_server.bind(str(path))

    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]
        async with grpc.aio.insecure_channel(f"unix:{path}") as session.channel:
            assert outputs_of(await session.predict(AB))["sum"] == [6, 9]

    asked(work, RpcOptions(socket_path=str(path)))
    assert not path.exists()


def test_arguments_of_grpc_bound_what_is_taken():
    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]
        large = {"a": np.zeros(500, np.float32), "b": np.zeros(500, np.float32)}
        assert (await session.predict(large))[0] == "RESOURCE_EXHAUSTED"

    asked(work, RpcOptions(channel_arguments=(("grpc.max_receive_message_length", 1000), ("a.b", "c"))))


@pytest.mark.parametrize(("content", "values"), [(True, 0), (False, 2)])
def test_outputs_are_written_in_raw_bytes_where_asked_for(content, values):
    async def work(session):
        [output] = (await session.predict(AB, outputs=["sum"])).outputs.values()
        assert (len(output.float_val), len(output.tensor_content)) == (values, 8 - 4 * values)
        assert to_array(output).tolist() == [6, 9]

    asked(work, RpcOptions(tensor_content=content))


class Watched:
    """A version whose process was seen to do something, or nothing."""

    def __init__(self, name, version, trace):
        self.name, self.version, self.trace, self.seconds = name, version, trace, []

    async def profile(self, seconds):
        self.seconds.append(seconds)
        return self.trace


METHODS["Profile"] = ("tensorflow.ProfilerService", messages.ProfileResponse)


def profiled(*watched, milliseconds=250, options=None):
    core = Core()
    core.servables = lambda: list(watched)

    async def work(session):
        return await session.call("Profile", messages.ProfileRequest(duration_ms=milliseconds))

    return asked(work, options, core=core)


def test_the_profiler_gives_a_trace_of_each_version():
    first, second, idle = Watched("a", 1, b"one"), Watched("b/c", 2, b"two"), Watched("d", 3, b"")
    response = profiled(first, second, idle)
    assert [(each.name, each.data) for each in response.tool_data] == [
        ("a.1.xplane.pb", b"one"),
        ("b_c.2.xplane.pb", b"two"),
    ]
    assert not response.empty_trace
    assert first.seconds == second.seconds == idle.seconds == [0.25]


def test_nothing_seen_is_an_empty_trace():
    assert profiled(Watched("d", 3, b"")).empty_trace
    assert profiled().empty_trace


@pytest.mark.parametrize("milliseconds", [0, 60_001])
def test_the_profiler_watches_for_a_bounded_time(milliseconds):
    code, text = profiled(Watched("a", 1, b"one"), milliseconds=milliseconds)
    assert (code, text) == ("INVALID_ARGUMENT", f"duration_ms must be from 1 to 60000; got {milliseconds}")


def test_no_profiler_where_it_is_switched_off():
    assert profiled(options=RpcOptions(profiler=False))[0] == "UNIMPLEMENTED"

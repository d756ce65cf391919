"""Predict over gRPC: its checks, its errors, its bounds."""

import asyncio

import grpc
import numpy as np
from rpc_session import AB, REFUSED, Core, Session, X, asked, outputs_of

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol import messages
from tfkit_serving.protocol.tensors import to_array
from tfkit_serving.rpc.server import create_grpc_server


def test_predict():
    async def work(session):
        response = await session.predict(AB)
        assert outputs_of(response) == {"sum": [6, 9], "difference": [4, 5]}
        assert list(response.outputs["sum"].float_val) == [6, 9]
        spec = response.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("sums", 7, "serving_default")
        assert outputs_of(await session.predict(AB, outputs=["difference"])) == {"difference": [4, 5]}
        assert outputs_of(await session.predict({"a": np.float32(1)}, signature_name="defaults")) == {"sum": 11}
        labelled = await session.predict(AB, version_label="stable")
        assert (labelled.model_spec.WhichOneof("version_choice"), labelled.model_spec.version.value) == ("version", 7)

    asked(work)


def test_refusals():
    async def work(session):
        for spec, inputs, outputs, code, said in REFUSED:
            assert await session.predict(inputs, outputs=outputs, **spec) == (code, said)
        assert await session.call("Predict", b"") == ("INVALID_ARGUMENT", "Missing ModelSpec")
        said = "the request's 2 bytes are no tensorflow.serving.PredictRequest"
        assert await session.call("Predict", b"\xff\xff") == ("INVALID_ARGUMENT", said)
        assert (await session.call("PredictStreamed", b""))[0] == "UNIMPLEMENTED"
        assert (await session.call("SessionRun", b""))[0] == "UNIMPLEMENTED"
        assert await session.call("MultiInference", b"") == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        none = messages.ClassificationRequest(model_spec={"name": "sums", "signature_name": "no"})
        said = "No signature was found with the name: no"
        assert await session.call("Classify", none) == ("INVALID_ARGUMENT", said)

    asked(work)


def test_a_long_error_reaches_the_client():
    async def work(session):
        code, said = await session.predict({"x": X}, signature_name="full")
        assert (code, set(said[:-3]), said[-3:]) == ("UNAVAILABLE", {"é"}, "...")
        assert 1000 < len(said) < 4096

    asked(work)


def test_a_deadline_ends_the_call():
    async def work(session):
        assert await session.predict({"x": X}, signature_name="slow", timeout=0.1) == (
            "DEADLINE_EXCEEDED",
            "Deadline Exceeded",
        )
        await asyncio.wait_for(session.core.sums.cancelled.wait(), 5)

    asked(work)


def test_many_clients_at_once_are_all_answered():
    async def work(session):
        answers = await asyncio.gather(
            *(session.predict({"x": np.float32([n])}, signature_name="slow") for n in range(200))
        )
        assert [outputs_of(each) for each in answers] == [{"x": [n]} for n in range(200)]

    asked(work)


def test_large_tensors():
    array = np.random.default_rng(0).random((3, 1 << 20), np.float32)

    async def work(session):
        response = await session.predict({"x": array}, signature_name="same")
        np.testing.assert_array_equal(to_array(response.outputs["x"]), array)

    grown = [("grpc.max_receive_message_length", -1)]

    async def main():
        core = Core()
        server, port = create_grpc_server(core, "127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=grown) as channel:
            await work(Session(core, server, channel))
        await server.stop(0)

    asyncio.run(main())


def test_requests_in_flight_finish_when_it_stops():
    async def work(session):
        answer = asyncio.create_task(session.predict({"x": X}, signature_name="slow"))
        await asyncio.sleep(0.1)
        await session.server.stop(5)
        assert outputs_of(await answer) == {"x": [1]}
        assert (await session.predict({"x": X}, timeout=1))[0] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")

    asked(work)


def test_metrics():
    def counted():
        metrics = METRICS.render()
        wanted = ("sums", "metrics-only")
        return [line for line in metrics.splitlines() if any(f'"{each}"' in line for each in wanted)]

    def value(start):
        return sum(float(line.rpartition(" ")[2]) for line in counted() if line.startswith(start))

    ok, bad = (f':tensorflow:serving:request_count{{model_name="{m}",status="{s}"}}' for m, s in (
        ("sums", "OK"), ("metrics-only", "NOT_FOUND")))  # fmt: skip
    latency = ':tensorflow:serving:request_latency_count{model_name="sums",API="Predict",entrypoint="GRPC"}'
    runtime = ':tensorflow:serving:runtime_latency_count{model_name="sums",API="Predict",runtime="TF1"}'
    ours = 'tfkit_serving_requests_total{model="sums",version="7",signature="serving_default",code="OK"}'
    names = (ok, bad, latency, runtime, ours)
    before = [value(each) for each in names]

    async def work(session):
        await session.predict(AB)
        await session.predict(AB, name="metrics-only")

    asked(work)
    assert [value(each) - start for each, start in zip(names, before)] == [1, 1, 1, 1, 1]

"""Warm-up requests are run before a version serves; one that fails keeps the version away."""

import struct

import numpy as np
import pytest

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.messages import Example, PredictionLog
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.servables.core import CoreOptions, ServerCore
from tfkit_serving.servables.load_options import LoadOptions
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec


def crc32c(data):
    """Castagnoli's polynomial, bit by bit (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    """As a TFRecord holds a checksum."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def write(version, logs):
    folder = version / "assets.extra"
    folder.mkdir()
    records = [each.SerializeToString() for each in logs]
    heads = {each: struct.pack("<Q", len(each)) for each in records}
    framed = {each: head + masked(head) + each + masked(each) for each, head in heads.items()}
    (folder / "tf_serving_warmup_requests").write_bytes(b"".join(framed[each] for each in records))


def predict(signature="", **inputs):
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(to_proto(array))
    return log


def with_examples(kind, signature):
    log = PredictionLog()
    request = getattr(log, f"{kind}_log").request
    if kind == "multi_inference":
        for method in ("classify", "regress"):
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.name, task.model_spec.signature_name = "m", signature.format(method)
    else:
        request.model_spec.name, request.model_spec.signature_name = "m", signature
    example = Example()
    example.features.feature["x"].float_list.value.append(2.0)
    request.input.example_list.examples.append(example)
    return log


X = np.array([1.0, 2.0], np.float32)


def status_after(run, nursery, place, logs, warm_up=1):
    """The status of a version with these warm-up requests, and whether it answers."""
    version = place("hp2/00000123", "m", 1)
    write(version, logs)

    async def body():
        process = ProcessOptions(loading=LoadOptions(warm_up=warm_up))
        core = ServerCore(CoreOptions(poll_seconds=0, retries=0, process=process), nursery)
        await core.serve([ModelConfig("m", place.base / "m")])
        [status] = core.status("m")
        if status.state == "AVAILABLE":
            outputs = await core.servable(ModelSpec("m")).run("serving_default", {"x": X})
            assert outputs["y"].tolist() == [2.5, 3.0]
        await core.close(0)
        return status

    return run(body())


def test_requests_of_all_kinds_are_run(run, nursery, place):
    logs = [
        predict(x=X),
        predict("serving_default", x=X),
        with_examples("classify", "classify_x_to_y"),
        with_examples("regress", "regress_x_to_y"),
        with_examples("multi_inference", "{}_x_to_y"),
    ]
    status = status_after(run, nursery, place, logs)
    assert (status.state, status.code, status.message) == ("AVAILABLE", "OK", "")


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        (predict("nosuch", x=X), "FAILED_PRECONDITION", 'Serving signature key "nosuch" not found.'),
        (predict(wrong=X), "INVALID_ARGUMENT", "takes the inputs ['x'], not ['wrong']"),
        (predict(x=X.astype(np.int32)), "INVALID_ARGUMENT", "to be float but int32 is provided"),
        (PredictionLog(), "UNIMPLEMENTED", "Unsupported log_type for warmup: none"),
        (with_examples("classify", "serving_default"), "INVALID_ARGUMENT", "No classification inputs found"),
    ],
)
def test_one_that_fails_keeps_the_version_away(run, nursery, place, log, code, words):
    status = status_after(run, nursery, place, [predict(x=X), log])
    assert (status.state, status.code) == ("END", code)
    assert "the warm-up request 2 of " in status.message
    assert words in status.message


def test_more_than_a_thousand_are_refused(run, nursery, place):
    status = status_after(run, nursery, place, [predict(x=X)] * 1001)
    assert (status.state, status.code) == ("END", "INVALID_ARGUMENT")
    assert "Number of warmup records exceeds the maximum (1000)" in status.message


def test_they_are_left_out_when_told_to(run, nursery, place):
    assert status_after(run, nursery, place, [predict("nosuch", x=X)], warm_up=0).state == "AVAILABLE"


def test_each_is_run_as_often_as_asked(run, nursery, place):
    write(place("counter/00000123", "counter", 1), [predict("incr_counter"), predict("incr_counter")])

    async def body():
        process = ProcessOptions(loading=LoadOptions(warm_up=3))
        core = ServerCore(CoreOptions(poll_seconds=0, retries=0, process=process), nursery)
        await core.serve([ModelConfig("counter", place.base / "counter")])
        outputs = await core.servable(ModelSpec("counter")).run("get_counter", {})
        await core.close(0)
        return outputs["output"].item()

    assert run(body()) == 6

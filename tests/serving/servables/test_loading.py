"""How a version is loaded: the graph's tags, the session's configuration, LiteRT, and batching of its own."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.core import CoreOptions, ServerCore
from tfkit_serving.servables.lite import LiteModel
from tfkit_serving.servables.load_options import LoadOptions
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature

DEVICES = Path(__file__).parents[1] / "deployment" / "devices"
# As devices/make.py has them.
KERNEL = np.array([[1.0, -0.5], [0.25, 0.75], [-1.5, 0.5]], np.float32)
BIAS = np.array([0.1, -0.2], np.float32)
X = np.array([[1, 2, 3], [0, -1, 0.5], [2, 2, 2]], np.float32)


def scores(x):
    powers = np.exp(x @ KERNEL + BIAS)
    return powers / powers.sum(axis=1, keepdims=True)


def served(run, nursery, base, ask, **options):
    """What `ask(core)` gives, or the status, of the one model `m` below a folder."""

    async def body():
        core = ServerCore(CoreOptions(poll_seconds=0, retries=0, **options), nursery)
        try:
            await core.serve([ModelConfig("m", base / "m")])
            [status] = core.status("m")
            return await ask(core.servable(ModelSpec("m"))) if status.state == "AVAILABLE" else status
        finally:
            await core.close(0)

    return run(body())


def loaded(run, nursery, base, ask, **options):
    return served(run, nursery, base, ask, process=ProcessOptions(loading=LoadOptions(**options)))


async def half_plus(servable):
    return (await servable.run("serving_default", {"x": np.float32([2])}))["y"].tolist()


def lite(version):
    version.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEVICES / "dense.tflite", version / "model.tflite")


async def dense(servable):
    """Rows of different numbers by several threads at a time, each with an interpreter of its own."""
    rows = [X[:1], X, X[1:], X[:2]]
    found = await asyncio.gather(*(servable.run("serving_default", {"x": each}) for each in rows))
    for each, outputs in zip(rows, found):
        np.testing.assert_allclose(outputs["scores"], scores(each), rtol=1e-5)
    return servable.signatures["serving_default"].inputs["x"].shape


def test_a_version_of_model_tflite_alone_is_served_by_litert(run, nursery, place):
    lite(place.base / "m" / "00000007")
    assert loaded(run, nursery, place.base, dense) == (-1, 3)


def test_litert_is_chosen_beside_a_savedmodel_only_where_it_is_preferred(run, nursery, place):
    lite(place("hp2/00000123", "m", 1))
    assert loaded(run, nursery, place.base, half_plus) == [3.0]
    assert loaded(run, nursery, place.base, dense, prefer_lite=True) == (-1, 3)


def test_a_damaged_litert_model_is_told(run, nursery, place):
    lite(place.base / "m" / "1")
    (place.base / "m" / "1" / "model.tflite").write_bytes(b"TFL3 no")
    status = loaded(run, nursery, place.base, dense)
    assert (status.state, status.code) == ("END", "INVALID_ARGUMENT")
    assert "LiteRT cannot open" in status.message


def test_litert_refuses_another_dtype(tmp_path):
    lite(tmp_path)
    with pytest.raises(ServingError, match="expected type FLOAT32") as caught:
        LiteModel(tmp_path).run("serving_default", {"x": X.astype(np.int32)})
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 1), (3,), ()])
def test_litert_refuses_a_shape_that_it_would_cut_into_other_rows(tmp_path, shape):
    lite(tmp_path)
    with pytest.raises(ServingError) as caught:
        LiteModel(tmp_path).run("serving_default", {"x": np.zeros(shape, np.float32)})
    assert caught.value.code == "INVALID_ARGUMENT"
    words = f"the input 'x' takes the shape [-1, 3], -1 being open; got {list(shape)}"
    assert caught.value.message == words


def test_a_litert_file_without_signatures_goes_by_the_names_of_its_tensors(tmp_path):
    lite(tmp_path)
    model = LiteModel(tmp_path)
    model._own.interpreter.get_signature_list = dict
    signature = Signature.from_bytes(model.signature_defs()["serving_default"])
    [given], [output] = signature.inputs, signature.outputs
    assert signature.inputs[given].name.partition(":")[0] == given
    assert signature.inputs[given].shape == (-1, 3)
    np.testing.assert_allclose(model.run("serving_default", {given: X})[output], scores(X), rtol=1e-5)


def test_another_tag_than_the_graphs_is_told(run, nursery, place):
    place("hp2/00000123", "m", 1)
    status = loaded(run, nursery, place.base, half_plus, tags=("serve", "gpu"))
    assert status.state == "END"
    assert "gpu" in status.message


def test_the_sessions_configuration_is_a_text_proto(run, nursery, place):
    place("hp2/00000123", "m", 1)
    text = "intra_op_parallelism_threads: 1 inter_op_parallelism_threads: 2"
    assert loaded(run, nursery, place.base, half_plus, session_config=text) == [3.0]
    status = loaded(run, nursery, place.base, half_plus, session_config="threads: 1")
    assert (status.state, status.code) == ("END", "INVALID_ARGUMENT")
    assert status.message.startswith("Error parsing text-format tensorflow.ConfigProto: 1:")


async def rows_of_calls(servable):
    """How many rows each call has, of three requests that come together."""
    called = []
    run = servable._process.run

    async def counted(signature, inputs, outputs=None):
        called.append(len(inputs["x"]))
        return await run(signature, inputs, outputs)

    servable._process.run = counted
    assert await asyncio.gather(*(half_plus(servable) for _ in range(3))) == [[3.0]] * 3
    return called


def test_a_version_without_batching_parameters_of_its_own_has_no_batches(run, nursery, place):
    version = place("hp2/00000123", "m", 1)
    assert served(run, nursery, place.base, rows_of_calls, batching_of_versions=True) == [1, 1, 1]
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: 8 }")
    assert served(run, nursery, place.base, rows_of_calls, batching_of_versions=True) == [3]


def test_wrong_batching_parameters_of_a_version_keep_it_away(run, nursery, place):
    (place("hp2/00000123", "m", 1) / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }")
    status = served(run, nursery, place.base, half_plus, batching_of_versions=True)
    assert (status.state, status.code) == ("END", "INVALID_ARGUMENT")
    assert "max_batch_size" in status.message

"""gRPC requests that name no version, by weight."""

import asyncio
from collections import Counter

from rpc_session import AB, Core, Servable, asked

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol import messages
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits
from tfkit_serving.routing.router import Router


class TwoVersions(Core):
    """sums of the versions 7, `stable`, and 8, `canary`, whose sums are one higher."""

    def __init__(self, folder):
        super().__init__()
        self.versions = {7: Servable(), 8: Higher()}
        for each in self.versions.values():
            each.path = folder

    def servable(self, spec):
        version = {"stable": 7, "canary": 8, None: spec.version or 8}[spec.label]
        if spec.name != "sums" or version not in self.versions:
            raise ServingError("NOT_FOUND", f"Servable not found for request: {spec}")
        return self.versions[version]


class Higher(Servable):
    version = 8

    async def run(self, signature, inputs, outputs=None):
        return {name: array + 1 for name, array in (await super().run(signature, inputs, outputs)).items()}


def split(work, folder, splits, *shadows):
    core = TwoVersions(folder)
    options = RoutingOptions(parse_splits(splits), parse_shadows(shadows))
    return asked(work, core=core, router=Router(core, options))


def request(**spec):
    made = messages.PredictRequest(model_spec={"name": "sums", **spec}, output_filter=["sum"])
    for name, value in AB.items():
        made.inputs[name].CopyFrom(to_proto(value))
    return made


def test_versions_come_by_weight(tmp_path):
    async def work(session):
        found = Counter()
        for _ in range(20):
            responses = await asyncio.gather(*(session.call("Predict", request()) for _ in range(100)))
            found.update(each.model_spec.version.value for each in responses)
        # Five standard deviations of a binomial of 2000 times 0.1.
        assert found.total() == 2000
        assert abs(found[8] - 200) <= 67

    split(work, tmp_path, ["sums:stable=90,canary=10"])


def test_metadata_of_a_call_keeps_a_caller_on_one_version(tmp_path):
    async def work(session):
        kept = Counter()
        for user in range(40):
            key = (("x-sticky-key", f"user-{user}"),)
            answers = [await session.call("Predict", request(), metadata=key) for _ in range(4)]
            (version,) = {each.model_spec.version.value for each in answers}
            kept[version] += 1
        assert set(kept) == {7, 8}

    split(work, tmp_path, ["sums:stable=50,canary=50"])


def test_a_version_that_is_named_is_asked_and_metadata_is_the_newest_ones(tmp_path):
    async def work(session):
        for spec, version in (({}, 7), ({"version": {"value": 8}}, 8), ({"version_label": "canary"}, 8)):
            assert (await session.call("Predict", request(**spec))).model_spec.version.value == version
        asks = messages.GetModelMetadataRequest(model_spec={"name": "sums"}, metadata_field=["signature_def"])
        assert (await session.call("GetModelMetadata", asks)).model_spec.version.value == 8

    split(work, tmp_path, ["sums:stable=1"])


def test_a_multi_inference_goes_by_its_first_task(tmp_path):
    async def work(session):
        for spec, version in (({}, 7), ({"version": {"value": 8}}, 8)):
            asks = messages.MultiInferenceRequest()
            asks.tasks.add(model_spec={"name": "sums", **spec}, method_name="tensorflow/serving/regress")
            code, text = await session.call("MultiInference", asks)
            assert (code, session.core.asked[-1]) == ("INVALID_ARGUMENT", version), text

    class Watched(TwoVersions):
        def __init__(self, folder):
            super().__init__(folder)
            self.asked = []

        def servable(self, spec):
            found = super().servable(spec)
            self.asked.append(found.version)
            return found

    core = Watched(tmp_path)
    asked(work, core=core, router=Router(core, RoutingOptions(parse_splits(["stable=1"]))))


def test_a_shadow_that_disagrees_is_counted(tmp_path):
    outcome = ("sums", "canary", "disagreed")
    before = METRICS.shadow.get(outcome)

    async def work(session):
        response = await session.call("Predict", request())
        assert response.model_spec.version.value == 7
        while METRICS.shadow.get(outcome) == before:
            await asyncio.sleep(0.01)

    split(work, tmp_path, ["stable=1"], "canary")
    assert METRICS.shadow.get(outcome) == before + 2

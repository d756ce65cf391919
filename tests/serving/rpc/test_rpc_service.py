"""What a gRPC server is asked beside predictions: metadata, states, reloads."""

import asyncio

from rpc_session import asked

from tfkit_serving.protocol import messages


def test_metadata():
    async def work(session):
        request = messages.GetModelMetadataRequest(model_spec={"name": "sums"}, metadata_field=["signature_def"])
        response = await session.call("GetModelMetadata", request)
        assert (response.model_spec.name, response.model_spec.version.value) == ("sums", 7)
        packed = response.metadata["signature_def"]
        assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        found = messages.SignatureDefMap.FromString(packed.value).signature_def
        assert {name: sorted(each.inputs) for name, each in found.items()}["defaults"] == ["a", "b"]
        refused = [
            (messages.GetModelMetadataRequest(), "Missing ModelSpec"),
            (
                messages.GetModelMetadataRequest(model_spec={"name": "sums"}),
                "GetModelMetadataRequest must specify at least one metadata_field",
            ),
        ]
        for wrong, said in refused:
            assert await session.call("GetModelMetadata", wrong) == ("INVALID_ARGUMENT", said)
        request.metadata_field.append("sizes")
        code, said = await session.call("GetModelMetadata", request)
        assert (code, said) == ("INVALID_ARGUMENT", "Metadata field sizes is not supported")

    asked(work)


def test_status():
    async def work(session):
        request = messages.GetModelStatusRequest(model_spec={"name": "sums", "version_label": "ignored"})
        ended, available = (await session.call("GetModelStatus", request)).model_version_status
        assert (ended.version, ended.state, ended.status.error_code) == (8, 50, 13)
        assert ended.status.error_message == "it is damaged"
        assert (available.version, available.state, available.status.error_code) == (7, 30, 0)
        request.model_spec.version.value = 7
        (found,) = (await session.call("GetModelStatus", request)).model_version_status
        assert found == available
        request.model_spec.name = "no"
        said = "Could not find any versions of model no"
        assert await session.call("GetModelStatus", request) == ("NOT_FOUND", said)
        assert await session.call("GetModelStatus", b"") == ("INVALID_ARGUMENT", "Missing ModelSpec")

    asked(work)


def config(name):
    return messages.ReloadConfigRequest(config={"model_config_list": {"config": [{"name": name}]}})


def test_reload():
    async def work(session):
        response = await session.call("HandleReloadConfigRequest", config("other"))
        assert response.HasField("status")
        assert response.status.error_code == 0
        assert session.core.reloaded == config("other").config
        refused = await session.call("HandleReloadConfigRequest", config(""))
        assert refused == ("INVALID_ARGUMENT", "a model has no name")
        code, said = await session.call("HandleReloadConfigRequest", messages.ReloadConfigRequest())
        assert (code, said.partition(".")[0]) == (
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest",
        )

    asked(work)


def test_a_reload_ends_though_its_client_has_gone():
    async def work(session):
        code, _ = await session.call("HandleReloadConfigRequest", config("other"), timeout=0.03)
        assert (code, session.core.reloaded) == ("DEADLINE_EXCEEDED", None)
        await asyncio.sleep(0.3)
        assert session.core.reloaded == config("other").config

    asked(work)

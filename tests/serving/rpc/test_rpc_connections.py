"""Health checks and TLS."""

import asyncio

import grpc
import pytest
from rpc_session import AB, Core, asked, outputs_of

from tfkit_serving.protocol import messages
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.rpc.server import create_grpc_server


def test_health():
    async def work(session):
        for service in ("", "tensorflow.serving.PredictionService", "ModelService"):
            response = await session.call("Check", messages.HealthCheckRequest(service=service))
            assert response.status == 1
        unknown = await session.call("Check", messages.HealthCheckRequest(service="other"))
        assert unknown == ("NOT_FOUND", "there is no service 'other' here")
        watch = session.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", response_deserializer=messages.HealthCheckResponse.FromString
        )(b"")
        assert (await watch.read()).status == 1
        stop = asyncio.create_task(session.server.stop(20))
        assert (await watch.read()).status == 2
        assert await watch.read() is grpc.aio.EOF
        await asyncio.wait_for(stop, 5)

    asked(work, RpcOptions(health=True))


def test_no_health_unless_asked_for():
    async def work(session):
        assert (await session.call("Check", b""))[0] == "UNIMPLEMENTED"

    asked(work)


@pytest.fixture(scope="module")
def certificate(certificates, make_certificate):
    """A key and a certificate of localhost, signed by itself, and a pair of another authority."""
    pairs = certificates, make_certificate("client")
    return tuple((key.read_bytes(), certificate.read_bytes()) for certificate, key in pairs)


def test_tls(certificate):
    (key, cert), _ = certificate

    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]

    async def refused(session):
        assert (await session.predict(AB, timeout=5))[0] == "UNAVAILABLE"

    options = RpcOptions(ssl_key=key, ssl_certificate=cert)
    asked(work, options, grpc.ssl_channel_credentials(cert))
    asked(refused, options)


def test_clients_with_certificates(certificate):
    (key, cert), (client_key, client_cert) = certificate
    options = RpcOptions(ssl_key=key, ssl_certificate=cert, ssl_client_ca=client_cert, ssl_require_client=True)

    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]

    async def refused(session):
        assert (await session.predict(AB, timeout=5))[0] == "UNAVAILABLE"

    asked(work, options, grpc.ssl_channel_credentials(cert, client_key, client_cert))
    asked(refused, options, grpc.ssl_channel_credentials(cert))


def test_what_cannot_be_listened_on(certificate):
    (key, _), _ = certificate

    async def main():
        with pytest.raises(ServingError, match="server_cert is missing") as caught:
            create_grpc_server(Core(), "127.0.0.1:0", RpcOptions(ssl_key=key))
        assert caught.value.code == "INVALID_ARGUMENT"
        with pytest.raises(ServingError, match="gRPC could not listen on"):
            create_grpc_server(Core(), "127.0.0.1:0", RpcOptions(ssl_key=b"no", ssl_certificate=b"none"))
        server, port = create_grpc_server(Core(), "127.0.0.1:0")
        await server.start()
        with pytest.raises(ServingError, match="is the port in use"):
            create_grpc_server(Core(), f"127.0.0.1:{port}")
        await server.stop(0)

    asyncio.run(main())

"""A server that asks for keys, REST and gRPC over TLS: what clients and commands are answered."""

import asyncio
import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner

from tfkit.cli.bench import bench
from tfkit.cli.gateway import gateway
from tfkit_serving import AsyncClient, Client, ServingError
from tfkit_serving.client.settings import Settings
from tfkit_serving.deployment.running import statuses
from tfkit_serving.protocol.messages import SSLConfig

KEYS = {"web": "web-key", "slow": "slow-key", "ops": "ops-key"}
OPTIONS = {"web": "models=m", "slow": "rate=0.001", "ops": ""}
TRANSPORTS = ["rest", "grpc"]


@pytest.fixture
def server(serve, place, certificates, tmp_path):
    """Serves x / 2 + 2 as m and as n; its address by transport."""
    place("hp2/00000123", "m", 1)
    place("hp2/00000123", "n", 1)
    keys = tmp_path / "keys"
    digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
    keys.write_text("".join(f"{name} {digests[name]} {OPTIONS[name]}\n" for name in KEYS))
    certificate, key = (each.read_text() for each in certificates)
    config = tmp_path / "ssl.config"
    config.write_text(str(SSLConfig(server_key=key, server_cert=certificate)))
    found = serve(
        place.base,
        f"--api_keys_file={keys}",
        f"--rest_ssl_config_file={config}",
        f"--ssl_config_file={config}",
        "--enable_grpc_healthcheck_service",
        f"--request_log={tmp_path / 'requests'}",
    )
    found.requests = tmp_path / "requests"
    found.urls = {"rest": f"https://127.0.0.1:{found.rest_port}", "grpc": f"grpcs://127.0.0.1:{found.grpc_port}"}
    return found


def refused(work, *arguments, **named):
    with pytest.raises(ServingError) as caught:
        work(*arguments, **named)
    return caught.value.code, caught.value.message


@pytest.mark.serving
@pytest.mark.slow
def test_clients_and_commands_show_their_keys(server, certificates, monkeypatch):
    def client(transport, **named):
        return Client(server.urls[transport], authority=certificates[0], retries=0, **named)

    async def asks(transport):
        async with AsyncClient(server.urls[transport], authority=certificates[0], api_key="ops-key") as waiting:
            return await waiting.predict("n", [1.0])

    for transport in TRANSPORTS:
        with client(transport, api_key="web-key") as web:
            np.testing.assert_array_equal(web.predict("m", [1.0, 2.0]), [2.5, 3.0])
            assert refused(web.predict, "n", [1.0]) == ("PERMISSION_DENIED", "the key 'web' does not open 'n'")
            assert refused(web.status, "n") == ("PERMISSION_DENIED", "the key 'web' does not open 'n'")
        with client(transport) as nobody:
            assert nobody.ready()
            assert refused(nobody.predict, "m", [1.0])[0] == "UNAUTHENTICATED"
        with client(transport, api_key="guess-key") as guess:
            assert refused(guess.status, "m") == ("UNAUTHENTICATED", "the API key is not known")
        assert asyncio.run(asks(transport)).tolist() == [2.5]
    # One rate for both protocols.
    with client("rest", api_key="slow-key") as first, client("grpc", api_key="slow-key") as second:
        assert [each.version for each in first.status("m")] == [1]
        assert refused(second.status, "m") == (
            "RESOURCE_EXHAUSTED",
            "the key 'slow' may send 0.001 requests a second",
        )

    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(certificates[0]))
    assert refused(statuses, server.urls["grpc"], "n")[0] == "UNAUTHENTICATED"
    monkeypatch.setenv("TFKIT_API_KEY", "ops-key")
    load = [
        "serve",
        f"{server.urls['rest']}/v1/models/n",
        "--clients",
        "2",
        "--duration",
        "0.2",
        "--warm-up",
        "0",
        "--json",
    ]
    done = CliRunner().invoke(bench, load)
    assert (done.exit_code, json.loads(done.stdout)["failed"]) == (0, 0), done.output

    assert server.stop() == 0
    log = server.log.read_text()
    assert f"REST at https://127.0.0.1:{server.rest_port}\n" in log
    assert {json.loads(line)["user"] for line in server.requests.read_text().splitlines()} == {*KEYS, None}
    assert "-key" not in log + server.requests.read_text()


def test_a_key_goes_as_a_header_and_is_never_shown():
    settings = Settings.make("h", None, 1.0, 0, {"X-A": "b"}, None, None, "s3cret")
    assert settings.headers == {"X-A": "b", "Authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"api_key": "s3cret\n"}, "a line break at its end, perhaps"),
        ({"api_key": "s3crét"}, "must be a str of ASCII characters"),
        ({"api_key": b"s3cret"}, "must be a str of ASCII characters"),
        ({"api_key": ""}, "must be a str of ASCII characters"),
        ({"api_key": "s3cret", "headers": {"authorization": "x"}}, "say the same: leave out one"),
    ],
)
def test_keys_that_no_header_takes_are_told_without_them(transport, named, words):
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=words) as caught:
            kind("127.0.0.1:1", transport=transport, **named)
        assert "s3c" not in str(caught.value)


def test_a_header_with_a_line_break_is_told_without_its_value():
    with pytest.raises(ValueError, match="'Authorization' has characters that end a header") as caught:
        Client("127.0.0.1:1", headers={"Authorization": "Bearer s3cret\n"})
    assert "s3cret" not in str(caught.value)


def test_the_gateway_shows_the_servers_key(tmp_path, monkeypatch):
    given = {}
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    monkeypatch.setattr("tfkit_serving.gateway.task.read_tasks", lambda directory: ({}, {}))
    monkeypatch.setattr("tfkit_serving.gateway.run.run_gateway", lambda *_, **named: given.update(named))
    for key, expected in (("s3cret", "s3cret"), ("", None)):
        monkeypatch.setenv("TFKIT_API_KEY", key)
        done = CliRunner().invoke(gateway, ["--models", str(tmp_path), "--server", "http://127.0.0.1:1"])
        assert (done.exit_code, given["api_key"]) == (0, expected), done.output

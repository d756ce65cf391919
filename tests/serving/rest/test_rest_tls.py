"""REST over TLS."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import uvloop
from small_core import SmallCore

from tfkit_serving import Client, ServingError
from tfkit_serving.configuration.tls import server_context
from tfkit_serving.protocol.messages import SSLConfig
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.listener import RestListener

pytestmark = pytest.mark.serving


def served(work, pair, **settings):
    """What a function gives, of the port of a server, in a thread."""
    certificate, key = (each.read_text() for each in pair)
    context = server_context(SSLConfig(server_key=key, server_cert=certificate, **settings))

    async def main():
        listener = RestListener(create_app(SmallCore()), socket.create_server(("127.0.0.1", 0)), context)
        await listener.start()
        try:
            return await asyncio.to_thread(work, listener._sock.getsockname()[1])
        finally:
            await listener.stop(0.0)

    return uvloop.run(main())


def predict(port, **options):
    with Client(f"https://127.0.0.1:{port}", retries=0, timeout=10, **options) as client:
        return client.predict("half", [1.0, 2.0]).tolist()


def test_requests_are_encrypted(certificates):
    def work(port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1" not in plain.recv(100)
        with pytest.raises(ServingError, match="is refused: self-signed certificate"):
            predict(port)
        return predict(port, authority=certificates[0])

    assert served(work, certificates) == [2.5, 3.0]


def test_a_connection_without_a_handshake_holds_nobody_up(certificates):
    def work(port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
            silent.sendall(b"\x16\x03\x01")
            return predict(port, authority=certificates[0])

    assert served(work, certificates) == [2.5, 3.0]


def test_versions_of_tls_before_1_2_are_refused(certificates):
    def work(port):
        old = ssl.create_default_context(cafile=certificates[0])
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, pytest.raises(OSError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")

    served(work, certificates)


def test_clients_show_their_certificates_where_they_must(certificates, make_certificate):
    own, stranger = make_certificate("client"), make_certificate("stranger")

    def work(port):
        for pair in (None, stranger):
            with pytest.raises(ServingError) as caught:
                predict(port, authority=certificates[0], certificate=pair)
            assert caught.value.code == "UNAVAILABLE"
        return predict(port, authority=certificates[0], certificate=own)

    assert served(work, certificates, client_verify=True, custom_ca=own[0].read_text()) == [2.5, 3.0]


def test_a_client_that_goes_within_its_request_leaves_no_word_behind(certificates, caplog):
    def work(port):
        context = ssl.create_default_context(cafile=certificates[0])
        slow = b'{"signature_name": "slow", "instances": [1.0]}'
        head = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(slow)
        plain = socket.create_connection(("127.0.0.1", port), timeout=5)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(head + slow)
            with contextlib.suppress(OSError):
                connection.unwrap()  # says goodbye
        return predict(port, authority=certificates[0])

    assert served(work, certificates) == [2.5, 3.0]
    assert caplog.text == ""

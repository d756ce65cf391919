"""Runs a gateway: binds its port, tells where it listens, and drains when it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tfkit_serving import AsyncClient
from tfkit_serving.gateway.app import create_gateway
from tfkit_serving.gateway.catalog import Catalog
from tfkit_serving.gateway.logs import RequestLog
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.listening import bound_socket, bracketed, run
from tfkit_serving.rest.http_protocol import bounded_protocol

# Seconds that requests in flight may take once the gateway is told to stop.
_DRAIN = 10


def run_gateway(
    catalog: Catalog,
    server: str,
    options: GatewayOptions,
    *,
    transport: str = "rest",
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: Path | None = None,
    key: Path | None = None,
    log: RequestLog | None = None,
    ready: Callable[[str], None] = print,
    api_key: str | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is in flight and returns.

    Args:
        catalog: The tasks.
        server: The model server's address, as `tfkit_serving.AsyncClient` takes it.
        options: Bounds, splits, shadows and keys.
        transport: "rest" or "grpc", to the model server.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        certificate: A TLS certificate's file, or None.
        key: The certificate's key, or None where the certificate's file holds it.
        log: Where requests are written; None writes all of them to standard output.
        ready: Is told the gateway's URL once it listens.
        api_key: The key that the model server asks for.

    Raises:
        ValueError: The server's address is none, the port cannot be had, or the certificate cannot be read.
    """
    _check_certificate(certificate, key)
    # A retry belongs to the caller, who knows what it may take; here it would only add to a server's load.
    client = AsyncClient(server, transport=transport, timeout=options.timeout, retries=0, api_key=api_key)
    with _bound(host, port) as listener, _quiet_signals():
        run(_serve(listener, catalog, client, options, certificate, key, log, ready))


async def _serve(
    listener: socket.socket,
    catalog: Catalog,
    client: AsyncClient,
    options: GatewayOptions,
    certificate: Path | None,
    key: Path | None,
    log: RequestLog | None,
    ready: Callable[[str], None],
) -> None:
    config = uvicorn.Config(
        create_gateway(catalog, client, options, log),
        http=bounded_protocol(request_seconds=options.body_timeout),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=_DRAIN,
    )
    running = uvicorn.Server(config)
    serving = asyncio.ensure_future(running.serve([listener]))
    while not (running.started or serving.done()):
        await asyncio.sleep(0.01)
    if not serving.done():
        host, port = listener.getsockname()[:2]
        ready(f"{'https' if certificate else 'http'}://{bracketed(host)}:{port}")
    await serving


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = bound_socket(host, port)
    except socket.gaierror as error:
        raise ValueError(f"--host {host!r} is no address of this machine: {error}") from None
    except (OSError, OverflowError) as error:
        raise ValueError(f"--port {port} on {host} cannot be had: {error}; --port 0 takes a free one") from None
    with listener:
        listener.listen(2048)
        yield listener


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more; being told to stop is no failure of a gateway's."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if certificate is None:
        if key is not None:
            raise ValueError("--tls_key is the key of a certificate: give --tls_certificate too")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"--tls_certificate {str(certificate)!r} with its key cannot be read: {error}") from None

"""RestListener: the REST application on a socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.app import RestApp
from tfkit_serving.rest.http_protocol import bounded_protocol

_BACKLOG = 4096
_KEEP_ALIVE_SECONDS = 75
# How long clients that keep a connection have to send what they are about to send, and be told to close it.
_GOODBYE_SECONDS = 1.0


class RestListener(uvicorn.Server):
    """uvicorn inside somebody else's loop: it takes no signals, and stops when it is told.

    Args:
        app: The application of `create_app`.
        sock: A bound socket.
        tls: How it encrypts; None for plain HTTP.
    """

    def __init__(self, app: RestApp, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=bounded_protocol(),
            ws="none",
            lifespan="on",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            # Longer than a balancer keeps its connections: one that is closed as a request comes loses it.
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)
        self._app, self._sock = app, sock
        self._serving: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to whoever runs the server."""
        yield

    async def start(self) -> None:
        """Listens."""
        self._serving = asyncio.create_task(self.serve(sockets=[self._sock]))
        while not self.started:
            if self._serving.done():
                await self._serving
                raise ServingError("UNAVAILABLE", "REST could not listen")
            await asyncio.sleep(0.01)

    async def stop(self, drain_seconds: float) -> None:
        """Closes the listening socket, tells clients to close their connections, and waits for what is in flight."""
        self._app.draining = True
        for each in getattr(self, "servers", []):
            each.close()
        await asyncio.sleep(min(_GOODBYE_SECONDS, drain_seconds))
        self.config.timeout_graceful_shutdown = max(1, round(drain_seconds))
        self.should_exit = True
        if self._serving is not None:
            await self._serving

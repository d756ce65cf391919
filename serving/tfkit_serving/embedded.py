"""Server: REST and gRPC in front of the versions that are served, in one process that imports no TensorFlow."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.model_config import ModelConfig, model_configs, read_model_config
from tfkit_serving.configuration.options import (
    access_gate,
    core_options,
    rest_options,
    rest_tls,
    routing_options,
    rpc_options,
)
from tfkit_serving.listening import bound_socket, bracketed, run
from tfkit_serving.offload import Offload
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.listener import RestListener
from tfkit_serving.routing.router import Router
from tfkit_serving.rpc.server import create_grpc_server
from tfkit_serving.servables.core import ServerCore

_LOG = logging.getLogger(__name__)


class Server:
    """A model server, as `tfkit serve` runs it and as a program may hold it.

    Args:
        flags: What to serve, and where.

    Attributes:
        core: The versions that are served.
        rest_port: The port of REST once it listens, or None.
        grpc_port: The port of gRPC once it listens, or None.

    Example:
        >>> async with Server(Flags.parse(["models", "--port=0", "--rest_api_port=0"])) as server:  # doctest: +SKIP
        ...     print(server.rest_port)
    """

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.rest_port: int | None = None
        self.grpc_port: int | None = None
        self._gate, self._tls = access_gate(flags), rest_tls(flags)
        self._rest_options, self._rpc_options = rest_options(flags), rpc_options(flags)
        routes = routing_options(flags)
        self.core = ServerCore(core_options(flags))
        self._router = Router(self.core, routes) if routes is not None else None
        self._offload = Offload()
        self._rest: RestListener | None = None
        self._grpc: Any = None
        self._config_polling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Loads what is to be served, then listens. A model that cannot be loaded keeps none of the others away.

        Raises:
            FlagError: A port is in use, a file cannot be read, or there is nothing to serve.
            ServingError: The configuration is wrong: a base path is missing, or a label names what is not there.
        """
        for remark in self.flags.remarks():
            _LOG.warning("%s", remark)
        rest_socket = _bound(self.flags, "rest_api_port")
        grpc_socket = _bound(self.flags, "port")
        try:
            self.core.start()
            await self._serve_models()
            if self._router is not None:
                self._router.tell_missing()
            await self._listen(rest_socket, grpc_socket)
        except BaseException:
            for each in filter(None, [rest_socket, grpc_socket]):
                each.close()
            await self.stop(0.0)
            raise

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Takes no new connections, lets requests in flight finish, and ends the versions' processes.

        Args:
            drain_seconds: How long requests may take; None for the flag's.
        """
        seconds = self.flags.drain_seconds if drain_seconds is None else drain_seconds
        if self._config_polling is not None:
            self._config_polling.cancel()
        stops = []
        if self._rest is not None:
            stops.append(self._rest.stop(seconds))
        if self._grpc is not None:
            stops.append(self._grpc.stop(seconds))
        await asyncio.gather(*stops, return_exceptions=True)
        if self._router is not None:
            await self._router.close()
        await self._offload.close()
        await self.core.close(seconds)

    def summary(self) -> str:
        """Where it listens and what it serves, one a line."""
        flags = self.flags
        host = bracketed(flags.host)
        scheme = "http" if self._tls is None else "https"
        lines = [f"REST at {scheme}://{host}:{self.rest_port}"] if self.rest_port is not None else []
        lines += [f"gRPC at {host}:{self.grpc_port}"] if self.grpc_port is not None else []
        lines += [f"gRPC at unix:{flags.grpc_socket_path}"] if flags.grpc_socket_path and self.grpc_port else []
        lines += [f"model {each.name} version {each.version} from {each.path}" for each in self.core.servables()]
        lines += [f"model {name} has no version available" for name in self.core.waiting()]
        if not self.core.models():
            lines.append(f"no models in {flags.directory} yet; they are served as soon as they are there")
        return "\n".join(lines)

    async def _serve_models(self) -> None:
        flags = self.flags
        if flags.directory:
            await self.core.serve_directory(_directory(flags))
            return
        if not flags.model_config_file:
            await self.core.serve([ModelConfig(flags.model_name, Path(flags.model_base_path))])
            return
        path = Path(flags.model_config_file)
        message = _read(path)
        before = path.read_bytes()
        await self.core.serve(model_configs(message))
        if flags.model_config_file_poll_wait_seconds > 0:
            self._config_polling = asyncio.create_task(self._poll_config(path, before))

    async def _poll_config(self, path: Path, before: bytes) -> None:
        """Reads the configuration again when its file has changed; a wrong one changes nothing."""
        while True:
            await asyncio.sleep(self.flags.model_config_file_poll_wait_seconds)
            try:
                text = path.read_bytes()
                if text == before:
                    continue
                before = text
                await self.core.reload(read_model_config(path))
            except (ServingError, ValueError, OSError) as error:
                _LOG.error("%s, read again: %s", path, error)

    async def _listen(self, rest_socket: socket.socket | None, grpc_socket: socket.socket | None) -> None:
        if grpc_socket is not None:
            port = grpc_socket.getsockname()[1]
            grpc_socket.close()  # gRPC binds its own
            address = f"{bracketed(self.flags.host)}:{port}"
            self._grpc, self.grpc_port = create_grpc_server(
                self.core, address, self._rpc_options, self._router, self._offload, self._gate
            )
            await self._grpc.start()
        if rest_socket is not None:
            app = create_app(self.core, self._rest_options, self._router, self._offload, self._gate)
            self._rest = RestListener(app, rest_socket, self._tls)
            await self._rest.start()
            self.rest_port = rest_socket.getsockname()[1]
        if self.flags.port_file:
            _write_whole(Path(self.flags.port_file), json.dumps({"rest": self.rest_port, "grpc": self.grpc_port}))


def main(flags: Flags, say: Callable[[str], None] = print) -> int:
    """Runs a server until SIGTERM or SIGINT; requests in flight finish, and a second signal ends it at once.

    Args:
        flags: What to serve, and where.
        say: Prints where it listens and what it serves, once it does.

    Returns:
        The exit status.

    Raises:
        FlagError: As `Server.start`.
        ServingError: As `Server.start`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return run(_until_told(flags, say))


async def _until_told(flags: Flags, say: Callable[[str], None]) -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: os._exit(1) if told.is_set() else told.set())
    server = Server(flags)
    starting = asyncio.create_task(server.start())
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 0
    await starting
    say(server.summary())
    await waiting
    _LOG.info("stopping: requests in flight may take %g s", flags.drain_seconds)
    await server.stop()
    return 0


def _bound(flags: Flags, name: str) -> socket.socket | None:
    """The socket of a port, or None where there is to be none."""
    port = getattr(flags, name)
    if port < 0:
        return None
    try:
        return bound_socket(flags.host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FlagError(
            f"--{name}={port} on {flags.host}: {reason}; give another port, or 0 for one that is free"
        ) from error


def _directory(flags: Flags) -> Path:
    directory = Path(flags.directory)
    if not directory.is_dir():
        raise FlagError(f"there is no directory {flags.directory!r}; it should hold <model>/<version>/")
    if any((each / "saved_model.pb").is_file() for each in directory.iterdir()):
        raise FlagError(
            f"{flags.directory!r} holds versions, not models: serve its parent, or pass "
            f"--model_name={directory.resolve().name} --model_base_path={flags.directory}"
        )
    if (directory / "saved_model.pb").is_file():
        raise FlagError(f"{flags.directory!r} is a version; serve the directory above its model's")
    return directory


def _read(path: Path) -> Any:
    try:
        return read_model_config(path)
    except (OSError, ValueError) as error:
        raise FlagError(f"--model_config_file: {error}") from error


def _write_whole(path: Path, text: str) -> None:
    """Writes a file so that whoever sees it sees all of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).rename(path)

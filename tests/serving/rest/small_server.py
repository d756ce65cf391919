"""The REST server over `small_core`, on a free port of 127.0.0.1, in a thread of the test's process."""

import contextlib
import socket
import threading
import time

import uvicorn
import uvloop
from small_core import SmallCore

from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.http_protocol import bounded_protocol
from tfkit_serving.rest.options import RestOptions


@contextlib.contextmanager
def serving(options=None, app=None, **bounds):
    """The port of a server that ends with the block."""
    config = uvicorn.Config(
        app or create_app(SmallCore(), options or RestOptions()),
        http=bounded_protocol(**bounds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[sock])))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()


def talk(port, *parts, pause=0.0, half_close=False, timeout=5.0):
    """Send parts on a connection of their own and read until the server closes it or has nothing to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection, quiet=0.6):
    """What comes until the other end closes; a pause of `quiet` seconds after the first bytes ends it as well."""
    got = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while True:
            part = connection.recv(1 << 16)
            if not part:
                break
            got += part
            connection.settimeout(quiet)
    return got

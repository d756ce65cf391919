"""serve: a version's process. Loads what it is told, then answers requests on a few threads. Imports TensorFlow."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfkit_serving.protocol.errors import code_name
from tfkit_serving.servables import framing
from tfkit_serving.servables.loading import LoadedModel
from tfkit_serving.servables.warmup import warm_up

# A version's process is the first to go when memory runs out, not the server.
_OOM_SCORE = "300"


def serve(connections: Sequence[socket.socket]) -> None:
    """Answers the frames of some connections until one's other end is gone; then the process ends.

    The first frame of the first says what to load; each of the others is one call of a signature. Every connection has
    a thread of its own, so that no call waits for a thread to wake another.
    """
    tf.get_logger().setLevel(logging.ERROR)  # the loader of TensorFlow 1 is what the real server has
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    threading.Thread(target=_end_with, args=[connections], daemon=True).start()
    wires = [_Wire(each) for each in connections]
    request, _ = wires[0].receive()
    model = _load(wires[0], request)
    if model is None:
        return
    threads = [threading.Thread(target=_answer_all, args=[wire, model], daemon=True) for wire in wires]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


class _Wire:
    """A connection that carries whole frames."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._connection = connection

    def receive(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        length, header = framing.PREFIX.unpack(self._exactly(framing.PREFIX.size))
        return framing.decode(self._exactly(length - 4), header)

    def send(self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        for each in _joined(framing.encode(message, arrays)):
            self._connection.sendall(each)

    def _exactly(self, count: int) -> bytearray:
        body = bytearray(count)
        view = memoryview(body)
        while view:
            got = self._connection.recv_into(view)
            if not got:
                os._exit(0)
            view = view[got:]
        return body


def _joined(buffers: framing.Buffers) -> framing.Buffers:
    """One buffer where they are small: a system call costs more than a copy."""
    small = sum(len(each) for each in buffers) < 1 << 17
    return [b"".join(buffers)] if small else buffers


def _load(wire: _Wire, request: dict[str, Any]) -> LoadedModel | None:
    try:
        model = LoadedModel(
            request["path"], intra_op_threads=request["intra_op_threads"], inter_op_threads=request["inter_op_threads"]
        )
        if request["warm_up"]:
            warm_up(model, Path(request["path"]))
    except Exception as error:
        wire.send(_failure(error))
        return None
    definitions = model.signature_defs()
    keys = list(definitions)
    serialized: np.ndarray = np.empty(len(keys), object)
    serialized[:] = list(definitions.values())
    wire.send({"keys": keys}, {"signatures": serialized})
    return model


def _answer_all(wire: _Wire, model: LoadedModel) -> None:
    try:
        while True:
            _answer(wire, model, *wire.receive())
    finally:
        os._exit(1)  # a frame that could not be read or written: nobody knows where the next begins


def _answer(wire: _Wire, model: LoadedModel, request: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    try:
        results = model.run(request["signature"], arrays, request["outputs"])
    except Exception as error:
        wire.send(_failure(error))
    else:
        wire.send({}, results)


def _failure(error: Exception) -> dict[str, str]:
    code = getattr(error, "code", None)  # ServingError's
    if isinstance(error, tf.errors.OpError):
        code, text = code_name(error.error_code), error.message
    else:
        text = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
    if not isinstance(code, str):
        code = "RESOURCE_EXHAUSTED" if isinstance(error, MemoryError) else "INTERNAL"
    return {"code": code, "message": text.encode("utf-8", "replace").decode()}


def _end_with(connections: Sequence[socket.socket]) -> None:
    """Ends the process as soon as the server's end of one is closed, whatever the other threads do."""
    poll = select.poll()
    for each in connections:
        poll.register(each, 0)  # what hangs up is always told
    poll.poll()
    os._exit(0)

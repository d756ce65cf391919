"""A worker's process: `python -m tfkit_serving.offload.worker_main FD` answers what comes over the socket FD.

It does one request at a time, from its bytes to those of the answer, and ends with its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfkit_serving.offload.bounds import ANY
from tfkit_serving.offload.carried import carried, failure, spec_of
from tfkit_serving.offload.front import Front
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.calls import Calls, Record
from tfkit_serving.rpc.calls import Calls as RpcCalls
from tfkit_serving.rpc.calls import Record as RpcRecord
from tfkit_serving.servables.wire import Wire, end_with

# Before a version's process, whose score is 300: what it does concerns one client.
_OOM_SCORE = "600"
_LOG = logging.getLogger(__name__)

Told = dict[str, Any]


def main() -> None:
    """Serves the descriptor named by the first argument."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    threading.Thread(target=end_with, args=[[connection]], daemon=True).start()
    wire, loop = Wire(connection), asyncio.new_event_loop()
    gc.freeze()
    gc.disable()  # a request makes millions of objects, and no cycles
    while True:
        request, arrays = wire.receive()
        wire.send(*loop.run_until_complete(_answered(wire, request, arrays["body"].tobytes())))
        del request, arrays
        gc.collect()


async def _answered(wire: Wire, request: Mapping[str, Any], body: bytes) -> tuple[Told, dict[str, np.ndarray]]:
    """The message and the arrays that tell what came of a request."""
    told: Told = {}
    try:
        answer = await _KINDS[request["kind"]](Front(wire), request, body, told)
    except ServingError as error:
        refused = error
    except MemoryError:
        refused = ServingError("RESOURCE_EXHAUSTED", f"a request of {len(body)} bytes takes more memory than there is")
    except Exception as error:
        _LOG.exception("a request failed through a fault of the server")
        refused = ServingError("INTERNAL", f"{type(error).__name__} while answering; see the server's log")
    else:
        return {"answer": told}, {"body": np.frombuffer(answer, np.uint8)}
    return {"answer": told, **failure(refused)}, {"body": np.empty(0, np.uint8)}


async def _rest(core: Front, request: Mapping[str, Any], body: bytes, told: Told) -> bytes:
    record = Record()
    call = getattr(Calls(core, request["max_depth"], bounds=ANY), request["action"])
    try:
        answer: bytes = await call(spec_of(request["model"]), body, record)
        return answer
    finally:
        told.update(version=record.version, signature=carried(record.signature), rows=record.rows)


async def _rpc(core: Front, request: Mapping[str, Any], body: bytes, told: Told) -> bytes:
    record = RpcRecord()
    try:
        return await RpcCalls(ANY, content=request["content"]).answer(request["method"], body, core.servable, record)
    finally:
        told.update(version=record.version, model=record.model, signature=record.signature)


_KINDS: dict[str, Callable[[Front, Mapping[str, Any], bytes, Told], Awaitable[bytes]]] = {"rest": _rest, "rpc": _rpc}

if __name__ == "__main__":
    main()

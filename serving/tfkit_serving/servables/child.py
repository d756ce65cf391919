"""serve: a version's process. Loads what it is told, then answers requests on a few threads. Imports TensorFlow."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfkit_serving.protocol.errors import code_name
from tfkit_serving.servables import profiling
from tfkit_serving.servables.folders import has_lite_model
from tfkit_serving.servables.load_options import LoadOptions
from tfkit_serving.servables.loaded import Model
from tfkit_serving.servables.loading import LoadedModel
from tfkit_serving.servables.warmup import warm_up
from tfkit_serving.servables.wire import Wire, end_with

# A version's process is the first to go when memory runs out, not the server.
_OOM_SCORE = "300"
_PROFILE = {"start": profiling.start, "stop": profiling.stop}


def serve(connections: Sequence[socket.socket]) -> None:
    """Answers the frames of some connections until one's other end is gone; then the process ends.

    The first frame of the first says what to load; each of the others is one call of a signature. Every connection has
    a thread of its own, so that no call waits for a thread to wake another.
    """
    tf.get_logger().setLevel(logging.ERROR)  # the loader of TensorFlow 1 is what the real server has
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    threading.Thread(target=end_with, args=[connections], daemon=True).start()
    wires = [Wire(each) for each in connections]
    request, _ = wires[0].receive()
    model = _load(wires[0], request)
    if model is None:
        return
    threads = [threading.Thread(target=_answer_all, args=[wire, model], daemon=True) for wire in wires]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _load(wire: Wire, request: dict[str, Any]) -> Model | None:
    path = Path(request.pop("path"))
    try:
        options = LoadOptions(**request)
        model = _open(path, options)
        if options.warm_up:
            warm_up(model, path, times=options.warm_up)
    except Exception as error:
        wire.send(_failure(error))
        return None
    definitions = model.signature_defs()
    keys = list(definitions)
    serialized: np.ndarray = np.empty(len(keys), object)
    serialized[:] = list(definitions.values())
    wire.send({"keys": keys}, {"signatures": serialized})
    return model


def _open(path: Path, options: LoadOptions) -> Model:
    if not has_lite_model(path, preferred=options.prefer_lite):
        return LoadedModel(str(path), options)
    from tfkit_serving.servables.lite import LiteModel  # an import of its own, which few need

    return LiteModel(path, threads=options.intra_op_threads)


def _answer_all(wire: Wire, model: Model) -> None:
    try:
        while True:
            _answer(wire, model, *wire.receive())
    finally:
        os._exit(1)  # a frame that could not be read or written: nobody knows where the next begins


def _answer(wire: Wire, model: Model, request: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    try:
        if "profile" in request:
            results = {"trace": np.array([_PROFILE[request["profile"]]()], object)}
        else:
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

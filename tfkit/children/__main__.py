"""What a child process runs: a function named in a request file, one such after another, or trials of a search.

It is started by its path, so that it needs no tfkit on the interpreter's own path.
"""

from __future__ import annotations

import sys

# The folder of this script, which must not shadow anything.
sys.path.pop(0)

import ctypes
import faulthandler
import importlib
import json
import os
import select
import signal
import traceback
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def answer(folder: Path) -> None:
    """Calls the function of `request.json` and writes `result.json`, whole or not at all."""
    request = json.loads((folder / "request.json").read_text())
    os.chdir(request["directory"])
    sys.path[:] = request["path"]
    try:
        text = json.dumps({"value": _call(request["target"], request["kwargs"])})
    except (Exception, SystemExit) as error:
        from tfkit.reasons import reason

        traceback.print_exc()
        text = json.dumps({"error": type(error).__name__, "text": reason(error)})
    aside = folder / "result.aside"
    aside.write_text(text)
    aside.replace(folder / "result.json")


def serve(idle: float) -> None:
    """Answers one request after another: a folder on each line of standard input, an empty line back for each.

    It ends with its input, and when none has come for `idle` seconds. What a request prints goes to its own log.
    """
    requests, replies = os.fdopen(os.dup(0)), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    while select.select([requests], [], [], idle)[0] and (line := requests.readline()):
        folder = Path(line.rstrip("\n"))
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        _print_to(log)
        answer(folder)
        _print_to(nothing)
        os.close(log)
        os.write(replies, b"\n")


def run_trials(folder: Path, descriptor: int) -> None:
    """Runs the trials of a search that come over a socket."""
    sys.path[:] = json.loads((folder / "terms.json").read_text())["path"]
    from tfkit.children import search_worker

    search_worker.serve(folder, descriptor)


def _print_to(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _call(target: str, kwargs: dict[str, Any]) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)(**kwargs)


def _die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when its parent dies, also by kill -9."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    faulthandler.enable()
    if sys.argv[2] == "serve":
        serve(float(sys.argv[3]))
    elif sys.argv[2] == "trials":
        run_trials(Path(sys.argv[3]), int(sys.argv[4]))
    else:
        answer(Path(sys.argv[2]))
    # Frameworks that crash while they are torn down have given their result already.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

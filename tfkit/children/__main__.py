"""What the child process runs: one function, named with its arguments in a request file.

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
import signal
import traceback
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def main(folder: Path) -> None:
    """Calls the function of `request.json` and writes `result.json`, whole or not at all."""
    request = json.loads((folder / "request.json").read_text())
    _die_with_parent(request["parent"])
    faulthandler.enable()
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
    main(Path(sys.argv[1]))
    # Frameworks that crash while they are torn down have given their result already.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

"""call: one function in a fresh Python process, so that a crash or a hang there costs the caller nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfkit import errors
from tfkit.cluster import VARIABLE
from tfkit.errors import ConversionError
from tfkit.reasons import signal_text

MAIN = Path(__file__).parent / "children" / "__main__.py"
_TAIL_LINES = 30


def call(target: str, *, timeout: float = 600.0, cpu_only: bool = True, what: str | None = None, **kwargs: Any) -> Any:
    """Calls a function in a fresh Python process and returns its result.

    The child has the caller's environment, working directory and `sys.path`, no standard input and a
    process group of its own. It is killed when the time is up, on Ctrl-C here, and when this process dies.

    Args:
        target: The function as "package.module:function"; it must be importable.
        timeout: Seconds until the child is killed.
        cpu_only: Hides GPUs from the child, whose memory the caller may hold already.
        what: What the call does, for an error's text, such as "converting to LiteRT"; None for the target.
        **kwargs: The function's arguments: what JSON holds, and paths, which arrive as strings. Arrays
            travel in a file that the caller owns.

    Returns:
        The function's result, through JSON: a tuple comes back as a list.

    Raises:
        ConversionError: The child crashed, ran out of time, or its function raised. The end of what it
            printed is in `.log` and below the traceback.
        TfkitError: An error of tfkit's own that the function raised comes through as it is.

    Example:
        >>> call("os.path:basename", p="/tmp/model.tflite")
        'model.tflite'
    """
    environment = environment_of_child(cpu_only)
    return answered(lambda folder: _run(folder, timeout, environment), target, kwargs, what or f"calling {target}")


def answered(run: Callable[[Path], int], target: str, kwargs: Mapping[str, Any], what: str) -> Any:
    """Has a process answer a request, and returns the function's result.

    Args:
        run: Runs the request in a folder and returns the exit status; raises subprocess.TimeoutExpired.
        target: As for `call`.
        kwargs: As for `call`.
        what: As for `call`.

    Raises:
        ConversionError: As for `call`.
        TfkitError: As for `call`.
    """
    with tempfile.TemporaryDirectory(prefix="tfkit-child-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        request = {"target": target, "kwargs": kwargs, "directory": Path.cwd(), "path": sys.path}
        (folder / "request.json").write_text(json.dumps(request, default=os.fspath))
        try:
            status = run(folder)
        except subprocess.TimeoutExpired as error:
            raise _failure(
                f"{what} took longer than {error.timeout:g} s and was stopped; pass a longer timeout", folder
            ) from None
        return _result(folder, status, what)


def environment_of_child(cpu_only: bool) -> dict[str, str]:
    """The environment of a child: the caller's, without TensorFlow's chatter, and without GPUs if asked for."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    own = {name: value for name, value in os.environ.items() if name != VARIABLE}  # no child is a cluster's worker
    return {**own, **quiet, **({"CUDA_VISIBLE_DEVICES": "-1"} if cpu_only else {})}


def _run(folder: Path, timeout: float, environment: Mapping[str, str]) -> int:
    """Runs the child to its end and returns its exit status; whatever interrupts the wait kills it."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(MAIN), str(os.getpid()), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(timeout)
        except BaseException:
            kill(process)
            raise


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a child with all that it started in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError):  # Windows has no groups
        process.kill()
    process.wait()


def _result(folder: Path, status: int, what: str) -> Any:
    try:
        answer = json.loads((folder / "result.json").read_text())
    except (FileNotFoundError, ValueError):
        raise _failure(f"{what} failed: its process {_death(status)}", folder) from None
    if "error" not in answer:
        return answer["value"]
    own = getattr(errors, answer["error"], None)
    if own is ConversionError:
        raise _failure(f"{what} failed: {answer['text']}", folder)
    if own is not None:
        raise own(answer["text"])
    raise _failure(f"{what} failed: {answer['error']}: {answer['text']}", folder)


def _death(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status} and no result"
    hint = ", as when memory runs out; free some" if -status == signal.SIGKILL else ""
    return f"crashed with signal {signal_text(-status)}{hint}"


def _failure(text: str, folder: Path) -> ConversionError:
    lines = (folder / "log").read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    error: Any = ConversionError(text)
    error.log = "\n".join(line[:300] for line in lines)
    if lines:
        error.__notes__ = [f"The end of the child's output:\n{error.log}"]  # add_note comes with Python 3.11
    return error

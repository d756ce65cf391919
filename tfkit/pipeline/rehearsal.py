"""rehearse: an exported model answers raw rows through a server and a gateway, as it will for those who use it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfkit.child import environment_of_child
from tfkit.errors import VerificationError
from tfkit.formats.example import example_row
from tfkit.progress import task

_START_SECONDS = 120.0
_ANSWER_SECONDS = 30.0
_STOP_SECONDS = 20.0
# By how much two runs of the same computation may differ, in one row and in a batch.
_TOLERANCE = 1e-4
_LINE = 120
_URL = re.compile(r"docs on (\S+)/docs")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Answer:
    """What the gateway answered to one row.

    Attributes:
        request: The row as it was sent.
        answer: The answer, in the words of the task.
        seconds: How long it took.
    """

    request: dict[str, Any]
    answer: dict[str, Any]
    seconds: float


def rehearse(directory: Path, name: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[Answer]:
    """Serves a folder of models for a moment and asks one of them, in the words of its task.

    Args:
        directory: Holds `<model>/<version>/`.
        name: The model that is asked.
        inputs: Rows by the signature's names.
        outputs: What the model itself computes from them, by the signature's names.

    Returns:
        An answer for each row.

    Raises:
        VerificationError: The server or the gateway does not come up, refuses a row, or answers something else than the
            model.
    """
    from tfkit_serving.gateway.task import newest_task

    wanted = _in_words(newest_task(directory / name), outputs)
    with task(f"serving {name}"), _served(directory) as url:
        found = [_ask(f"{url}/{name}", _row(inputs, number)) for number in range(len(wanted))]
    for each, expected in zip(found, wanted):
        if not _alike(each.answer, expected):
            raise VerificationError(
                f"served, {name!r} answers {each.answer} to {each.request}; the model says {expected}"
            )
    return found


def as_line(content: Mapping[str, Any]) -> str:
    """JSON on one line, cut where it is long."""
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def _in_words(purpose: Any, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    from tfkit_serving.gateway.answers import class_answers, raw_answers, value_answers

    if purpose.output is None:
        return raw_answers(outputs, len(next(iter(outputs.values()))))
    values = outputs[purpose.output.name]
    if purpose.kind == "regression":
        return value_answers(values)
    return class_answers(values, purpose.labels, logits=purpose.logits)


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[str]:
    """A server and a gateway on free ports of this machine; gives the gateway's URL."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports, log = Path(folder, "ports.json"), Path(folder, "gateway.log")
        free = ["--host=127.0.0.1", "--port=0", "--rest_api_port=0", f"--port_file={ports}"]
        server = stack.enter_context(_running(["serve", str(directory), *free], Path(folder, "server.log")))
        listening = _awaited(server, lambda: json.loads(ports.read_text()) if ports.exists() else None)
        asked = ["--models", str(directory), "--server", f"http://127.0.0.1:{listening['rest']}", "--port=0"]
        gateway = stack.enter_context(_running(["gateway", *asked], log))
        yield _awaited(gateway, lambda: _URL.search(log.read_text()))[1]


@dataclass(frozen=True)
class _Process:
    command: str
    child: subprocess.Popen[bytes]
    log: Path

    def failed(self, how: str) -> VerificationError:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return VerificationError(f"`tfkit {self.command}` {how}: {' | '.join(lines[-5:]) or 'it said nothing'}")


@contextlib.contextmanager
def _running(arguments: Sequence[str], log: Path) -> Iterator[_Process]:
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "tfkit", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment_of_child(cpu_only=True),
            start_new_session=True,  # Ctrl-C is for this process, which ends them
        )
    try:
        yield _Process(arguments[0], child, log)
    finally:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _awaited(process: _Process, look: Callable[[], _Value | None]) -> _Value:
    deadline = time.monotonic() + _START_SECONDS
    while (found := look()) is None:
        if process.child.poll() is not None:
            raise process.failed(f"ended with exit status {process.child.returncode}")
        if time.monotonic() > deadline:
            raise process.failed(f"was not ready within {_START_SECONDS:g} s")
        time.sleep(0.05)
    return found


def _row(inputs: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row as a caller would send it: an input of one value is that value."""
    row = example_row({name: values[number : number + 1] for name, values in inputs.items()})
    if row is None:
        raise VerificationError(
            "the rows are too large, or of a dtype that JSON does not carry, to be sent to a gateway"
        )
    alone = {name for name, values in inputs.items() if values.shape[1:] == (1,)}
    return {name: value[0] if name in alone else value for name, value in row.items()}


def _ask(url: str, row: dict[str, Any]) -> Answer:
    request = urllib.request.Request(url, json.dumps(row).encode(), {"Content-Type": "application/json"})
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as reply:
            return Answer(row, json.loads(reply.read()), time.monotonic() - begin)
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace")
        raise VerificationError(f"served, the model refuses {row}: {error.code} {told}") from error
    except OSError as error:
        raise VerificationError(f"the gateway does not answer: {error}") from error


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) <= _TOLERANCE * max(1.0, abs(other))
    return bool(one == other)

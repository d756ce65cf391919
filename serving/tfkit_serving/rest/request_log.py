"""RequestLog: one JSON line a request, written by a thread of its own."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import orjson

from tfkit_serving.monitoring.metrics import METRICS

_WAITING = 10_000


class RequestLog:
    """A file of JSON lines that never keeps a request waiting.

    Lines wait in a queue for a thread to write them. A full disk, or a queue that the disk cannot keep up with, loses
    lines and counts them in `tfkit_serving_log_lost_lines_total`; the next line tries again.

    Args:
        path: the file; lines are appended, and it is made anew if it was moved away, as log rotation does.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        self._lost = METRICS.counter("tfkit_serving_log_lost_lines_total", "Lines of the request log not written.")
        self._thread = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Have a line written; returns at once."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost.add()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is waiting and stop."""
        try:
            self._lines.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _write(self) -> None:
        done = False
        while not done:
            lines = [self._lines.get()]
            while len(lines) < 1000 and not self._lines.empty():
                lines.append(self._lines.get())
            done = lines[-1] is None or None in lines
            self._append([line for line in lines if line is not None])

    def _append(self, lines: list[dict[str, Any]]) -> None:
        if not lines:
            return
        try:
            text = b"".join(orjson.dumps(line, default=repr, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
            # Opened for each write: a file that was rotated away is made anew.
            with self._path.open("ab", buffering=0) as file:
                file.write(text)
        except (OSError, TypeError):
            self._lost.add((), len(lines))

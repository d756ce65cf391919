"""What versions tell the server's metrics: batches as they run, states and memory when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.servables.status import VersionStatus

if TYPE_CHECKING:
    from tfkit_serving.servables.servable import Servable


class VersionObserver:
    """Tells the metrics of a version's batches (see `batching.batcher.Observer`)."""

    def __init__(self, model: str, version: int) -> None:
        self._model, self._version = model, version

    def observe_batch(self, signature: str, rows: int) -> None:
        """A call of so many rows begins."""
        METRICS.observe_batch(self._model, self._version, signature, rows)

    def observe_wait(self, signature: str, seconds: float) -> None:
        """A request of it has waited so long."""
        METRICS.observe_wait(self._model, self._version, signature, seconds)


def collect(states: Mapping[str, Sequence[VersionStatus]], servables: Sequence[Servable]) -> None:
    """Sets the gauges of states, queues and memory to what holds now."""
    METRICS.versions.values.clear()
    METRICS.memory.values.clear()
    METRICS.queue_length.values.clear()
    for model, versions in states.items():
        for each in versions:
            METRICS.versions.set((model, str(each.version), each.state), 1)
    for servable in servables:
        labels = (servable.name, str(servable.version))
        size = resident_bytes(servable.pid)
        if size is not None:
            METRICS.memory.set(labels, size)
        waiting = servable.queued()
        for signature in servable.signatures:
            METRICS.queue_length.set((*labels, signature), waiting.get(signature, 0))


def resident_bytes(pid: int | None) -> int | None:
    """Memory that a process has for itself alone: what it shares with the nursery is left out; None if not known.

    Example:
        >>> import os
        >>> resident_bytes(os.getpid()) > 1 << 20
        True
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # no such system, or no such process any more
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return sum(kilobytes) * 1024 if kilobytes else None

"""Catalog: the tasks there are, and what each version's own `tfkit.json` says."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from tfkit.errors import VerificationError
from tfkit_serving.gateway.task import Task, TaskError, read_task

# Versions whose `tfkit.json` is kept in memory; a profile may be a few hundred kilobytes.
_MOST = 64


class Catalog:
    """Tasks by name, whose newest version at the start made the routes, and those of other versions.

    Args:
        tasks: Tasks by name.
        directory: The folder `<model>/<version>/tfkit.json` in which other versions are looked up; None has none.
    """

    def __init__(self, tasks: Mapping[str, Task], directory: Path | None = None) -> None:
        self.tasks = dict(tasks)
        self._directory = directory
        self._found: OrderedDict[tuple[str, int], Task] = OrderedDict()

    def of_version(self, task: Task, version: int) -> Task:
        """The task as that version has it: its labels and profile; `task` itself where its file is not there."""
        if version == task.version:
            return task
        key = (task.name, version)
        if key not in self._found:
            self._found[key] = self._read(task, version)
            if len(self._found) > _MOST:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def classes(self, task: Task) -> tuple[str, ...]:
        """The classes of a task and of its other versions that have answered."""
        others = [found.labels for (name, _), found in self._found.items() if name == task.name]
        return tuple(dict.fromkeys(label for labels in (task.labels, *others) for label in labels))

    def _read(self, task: Task, version: int) -> Task:
        if self._directory is None:
            return task
        try:
            return read_task(self._directory / task.name / str(version))
        except (TaskError, VerificationError, OSError):
            return task

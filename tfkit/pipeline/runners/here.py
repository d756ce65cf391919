"""Here, the runner in this process: one trial after another."""

from __future__ import annotations

from tfkit.pipeline.runners.protocol import Listener, Task, TrialRequest


class Here:
    """Runs one trial at a time, while it is waited for.

    Args:
        task: What the trials have in common.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._next: TrialRequest | None = None

    def free(self) -> int:
        """Whether there is no trial yet."""
        return 0 if self._next else 1

    def start(self, request: TrialRequest) -> None:
        """Takes the trial that `wait` runs."""
        self._next = request

    def wait(self, listener: Listener) -> None:
        """Runs the trial to its end."""
        request, self._next = self._next, None
        if request is not None:
            listener.ended(request, self._task.run(request, listener))

    def close(self) -> None:
        """Forgets the trial."""
        self._next = None

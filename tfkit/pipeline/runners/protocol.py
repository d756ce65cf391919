"""What a search and the places where its trials run say to each other; free of frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Figures = dict[str, float]
# By trial id and metric, a value for each epoch.
Histories = dict[str, dict[str, list[float]]]

COMPLETED, INVALID, FAILED = "COMPLETED", "INVALID", "FAILED"
# It was stopped since the search ends, and comes first in the next call.
STOPPED = "STOPPED"


@dataclass(frozen=True)
class TrialRequest:
    """One run of one trial.

    Attributes:
        trial: Its id.
        attempt: Counts the starts of the trial in this call, from 0.
        hyperparameters: Configuration of its `keras_tuner.HyperParameters`: space and values.
        seed: Seed of the run.
        epochs: The epoch that it is trained to.
        initial_epoch: The epoch that it begins with; more than 0 where it goes on from another trial.
        weights: Where the weights of its best epoch go.
        to_beat: Score that an epoch must reach for its weights to be kept, or None.
        resume: State to go on from, or None.
        last: Where the state after the last epoch goes, or None.
        ends: `time.monotonic()` of this process at which it is to stop.
        timeout: Seconds that it may take, or None.
    """

    trial: str
    attempt: int
    hyperparameters: dict[str, Any]
    seed: int
    epochs: int
    weights: Path
    initial_epoch: int = 0
    to_beat: float | None = None
    resume: Path | None = None
    last: Path | None = None
    ends: float = float("inf")
    timeout: float | None = None

    def too_slow(self) -> Outcome:
        """What is recorded when the time of a trial is up."""
        text = f"the trial took longer than trial_timeout={self.timeout:g} s and was stopped"
        return Outcome(INVALID, self.hyperparameters, message=text)


@dataclass(frozen=True)
class Outcome:
    """How a run of a trial has ended.

    Attributes:
        status: COMPLETED, INVALID (to be run again while retries are left), FAILED or STOPPED.
        hyperparameters: As in the request, with what `build` has asked for besides.
        history: What Keras logged in each epoch.
        message: Why it is INVALID or FAILED; the last line says it in short.
        memory: The most bytes that the worker has held at once, or None.
    """

    status: str
    hyperparameters: dict[str, Any]
    history: tuple[Figures, ...] = ()
    message: str | None = None
    memory: int | None = None


class Watcher(Protocol):
    """What a trial that runs talks to."""

    def epoch(self, request: TrialRequest, epoch: int, figures: Figures) -> None:
        """Is told of an epoch that has ended, counted from 0."""

    def histories(self) -> Histories:
        """The figures so far of all trials that have completed or are running."""


class Listener(Watcher, Protocol):
    """What a runner tells of its trials."""

    def ended(self, request: TrialRequest, outcome: Outcome) -> None:
        """Is told that a run has ended."""

    def lost(self, request: TrialRequest, reason: str, log: str) -> None:
        """Is told that a run has no outcome and is to be started again.

        Args:
            request: The run.
            reason: What became of its worker, such as "died (signal 9)".
            log: The end of what it has printed.
        """

    def postponed(self, request: TrialRequest) -> None:
        """Is told that a run never began, and is to be started again."""


class Task(Protocol):
    """What the trials of a search have in common; it is pickled for child processes."""

    @property
    def set_up(self) -> str | None:
        """ "module:function" that a child calls with its number of threads before it reads the task, or None."""

    def run(self, request: TrialRequest, watcher: Watcher) -> Outcome:
        """Runs a trial; what is raised ends the search."""


class Runner(Protocol):
    """A place where trials run."""

    def free(self) -> int:
        """How many trials can be started now."""

    def start(self, request: TrialRequest) -> None:
        """Starts a trial."""

    def wait(self, listener: Listener) -> None:
        """Waits for something to happen, a second at most where the trials run elsewhere, and tells of it."""

    def close(self) -> None:
        """Ends whatever runs. Called again, it does nothing."""

"""What a fit has shown: its curves, its classes, its units, its time and its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Observed:
    """What the faults are told by.

    Attributes:
        curves: What Keras logs, a value for each epoch.
        classes: Labels of each class in the last epoch, shape (classes,); None where the task has none.
        hits: How many of them the model got right while it trained, likewise.
        baseline: The loss of a model that always answers with the mean of the labels; None where it is not known.
        silent: For each layer with ReLU units how many of them gave 0 for every row of the last epoch, and how many it
            has.
        seconds: Of the steps that were timed, from the end of one to the end of the next.
        waited: The part of them in which there was no batch yet.
        steps: How many they were.
        memory: Bytes that this process takes, and that there are; None where neither is known.
    """

    curves: Mapping[str, Sequence[float]]
    classes: np.ndarray | None = None
    hits: np.ndarray | None = None
    baseline: float | None = None
    silent: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0
    memory: tuple[int, int] | None = None

    def curve(self, name: str) -> np.ndarray:
        """A curve as float64 of shape (epochs,), empty where it was not logged."""
        return np.asarray(self.curves.get(name, ()), "float64")

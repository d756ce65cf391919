"""What the calls but `predict` return."""

from __future__ import annotations

from typing import NamedTuple


class Classification(NamedTuple):
    """A class that `classify` gives an example.

    Attributes:
        label: Its name; "" where the model names none.
        score: Its score; 0 where the model gives none.
    """

    label: str
    score: float

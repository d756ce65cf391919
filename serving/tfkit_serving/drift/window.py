"""A window over the last rows, kept as counts: a ring of blocks, each a vector of counts."""

from __future__ import annotations

import numpy as np


class Window:
    """Sums of count vectors over about the last `rows` rows.

    The ring holds `blocks` blocks; the oldest is dropped whole, so that the window spans between
    rows·(1 − 1 / blocks) and `rows` rows once it is full.

    Args:
        size: Length of the count vectors.
        rows: Rows that the window spans.
        blocks: Blocks in the ring.

    Attributes:
        total: The sum over the window, shape (size,), int64.
        block_rows: Rows that a block takes before the next one begins.

    Example:
        >>> window = Window(2, rows=4, blocks=2)
        >>> for bin in (0, 0, 0, 1, 1):
        ...     window.add(np.eye(2, dtype="int64")[bin], 1)
        >>> window.total.tolist(), window.rows
        ([1, 2], 3)
    """

    def __init__(self, size: int, rows: int, blocks: int = 20) -> None:
        blocks = max(1, min(blocks, rows))
        self.block_rows = -(-rows // blocks)
        self.total: np.ndarray = np.zeros(size, "int64")
        self._counts: np.ndarray = np.zeros((blocks, size), "int64")
        self._rows: np.ndarray = np.zeros(blocks, "int64")
        self._at = 0

    @property
    def rows(self) -> int:
        """Rows in the window."""
        return int(self._rows.sum())

    @property
    def room(self) -> int:
        """Rows that the block of now still takes."""
        return self.block_rows - int(self._rows[self._at]) or self.block_rows

    def add(self, counts: np.ndarray, rows: int) -> None:
        """Adds the counts of some rows, at most `room` of them."""
        if self._rows[self._at] >= self.block_rows:
            self._turn()
        self._counts[self._at] += counts
        self._rows[self._at] += rows
        self.total += counts

    def _turn(self) -> None:
        self._at = (self._at + 1) % len(self._rows)
        self.total -= self._counts[self._at]
        self._counts[self._at] = 0
        self._rows[self._at] = 0

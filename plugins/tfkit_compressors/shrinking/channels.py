"""Channels, numbered over a whole model, and which of them can only go together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Labels:
    """Which channels the positions along one axis of a tensor belong to.

    Attributes:
        axis: The axis, from 1 on (0 is the batch).
        channels: The channel's number for each position; one channel may have several, as after Flatten.
    """

    axis: int
    channels: np.ndarray


class Channels:
    """Numbers channels, ties those that can only be removed together and freezes those that cannot be removed.

    A union-find: a channel's root stands for all that are tied to it, a unit.

    Example:
        >>> channels = Channels()
        >>> left, right = channels.new("left", 2), channels.new("right", 2)
        >>> channels.tie(left, right)
        >>> channels.freeze(right[:1], "because")
        >>> channels.roots(np.concatenate([left, right])).tolist(), channels.reasons(left)
        ([0, 1, 0, 1], ['because', ''])
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}
        self.makers: list[str] = []
        self._maker_of: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._parents)

    def new(self, maker: str, count: int) -> np.ndarray:
        """Numbers for the channels that a layer makes."""
        found = np.arange(len(self), len(self) + count)
        self._parents.extend(found.tolist())
        self._maker_of.append(np.full(count, len(self.makers)))
        self.makers.append(maker)
        return found

    def tie(self, one: np.ndarray, other: np.ndarray) -> None:
        """Ties channels pairwise."""
        for left, right in zip(one.tolist(), other.tolist()):
            left, right = sorted((self._root(left), self._root(right)))
            if left != right:
                self._parents[right] = left
                self._freeze_root(left, self._reasons.pop(right, ""))

    def freeze(self, channels: Iterable[int], reason: str) -> None:
        """Says that these channels stay, and why; the first reason counts."""
        for channel in channels:
            self._freeze_root(self._root(int(channel)), reason)

    def refreeze(self, channels: Iterable[int], reason: str) -> None:
        """Says that these channels stay for a reason that counts more than those before it."""
        for channel in channels:
            self._reasons[self._root(int(channel))] = reason

    def roots(self, channels: np.ndarray) -> np.ndarray:
        """The unit of each channel."""
        return np.array([self._root(each) for each in channels.tolist()], np.int64)

    def reasons(self, channels: np.ndarray) -> list[str]:
        """Why each channel stays; empty for those that may go."""
        return [self._reasons.get(self._root(each), "") for each in channels.tolist()]

    def makers_of(self, channels: np.ndarray) -> np.ndarray:
        """The positions in `makers` of the layers that make these channels."""
        return np.concatenate([np.zeros(0, np.int64), *self._maker_of])[channels]

    def _freeze_root(self, root: int, reason: str) -> None:
        if reason:
            self._reasons.setdefault(root, reason)

    def _root(self, channel: int) -> int:
        root = channel
        while self._parents[root] != root:
            root = self._parents[root]
        while self._parents[channel] != root:
            self._parents[channel], channel = root, self._parents[channel]
        return root

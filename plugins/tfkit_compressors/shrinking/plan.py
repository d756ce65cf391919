"""plan: which channels of a model can go, together with which others, and why the rest stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkit import ModelError
from tfkit_compressors.shrinking.rules import RULES
from tfkit_compressors.shrinking.trace import Cut, Trace, traced


@dataclass(frozen=True, eq=False)
class Group:
    """Units that are made by the same layers, ranked against each other.

    Attributes:
        layers: The names of the layers that make them; several where an Add or the like ties them.
        units: Their numbers.
        reason: Why they stay; empty where they may go.
        family: Groups of one family lose equally many units.
    """

    layers: tuple[str, ...]
    units: np.ndarray
    reason: str
    family: int

    @property
    def name(self) -> str:
        """Its layers in a few words.

        Example:
            >>> Group(("a", "b", "c", "d"), np.arange(4), "", 0).name
            'a, b, c and 1 more'
        """
        told = ", ".join(self.layers[:3])
        return told if len(self.layers) <= 3 else f"{told} and {len(self.layers) - 3} more"


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model would lose.

    Attributes:
        model: The model.
        trace: Its channels.
        groups: The groups, in the order of their first layers.
        units: The unit of each channel.
        removed: Whether each unit is to go, by its number.
        rounded: Names of groups that some units were to go of, and which stay whole as counts are rounded up.
    """

    model: Any
    trace: Trace
    groups: tuple[Group, ...]
    units: np.ndarray
    removed: np.ndarray
    rounded: tuple[str, ...] = ()

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that may lose units."""
        return tuple(group for group in self.groups if not group.reason)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row for each group: layers, units, removed, and stays (why, or an empty text)."""
        return [
            {
                "layers": group.layers,
                "units": len(group.units),
                "removed": int(self.removed[group.units].sum()),
                "stays": group.reason,
            }
            for group in self.groups
        ]

    def __str__(self) -> str:
        lines = ["units removed  layers"]
        for row, group in zip(self.table, self.groups):
            stays = f": stays, {row['stays']}" if row["stays"] else ""
            lines.append(f"{row['units']:5} {row['removed']:7}  {group.name}{stays}")
        return "\n".join(lines)

    def without(self, units: Iterable[int]) -> Plan:
        """The plan to remove these units, by their numbers in `Group.units`, and no others.

        Raises:
            ModelError: One of them stays, or nothing would be left of a group.
        """
        removed = np.zeros_like(self.removed)
        removed[list(units)] = True
        for group in self.groups:
            gone = int(removed[group.units].sum())
            if gone and group.reason:
                raise ModelError(f"units of {group.name} cannot be removed: {group.reason}")
            if gone == len(group.units):
                raise ModelError(f"all {gone} units of {group.name} are to go: leave one at least")
        return dataclasses.replace(self, removed=removed, rounded=())

    def kept(self, channels: np.ndarray) -> np.ndarray:
        """Whether each of these channels stays."""
        return ~self.removed[self.units[channels]]

    def cuts(self, *roles: str) -> Iterator[Cut]:
        """The cuts of these roles, of all where none is given."""
        return (cut for cut in self.trace.cuts.values() if not roles or cut.role in roles)


def plan(model: Any) -> Plan:
    """Reads which channels of a model can go, removing none yet.

    Args:
        model: A built Functional or Sequential model; nested models are looked into.

    Returns:
        The plan; `print(plan(model))` shows its groups.

    Raises:
        ModelError: The model is not built, or is a subclassed model.

    Example:
        >>> import keras
        >>> layers = [keras.layers.Dense(8, name="hidden"), keras.layers.Dense(2, name="out")]
        >>> print(plan(keras.Sequential([keras.Input((4,)), *layers])))
        units removed  layers
            8       0  hidden
            2       0  out: stays, it is an output of the model
    """
    trace = traced(model, RULES)
    groups = tuple(_groups(trace, _alike_keys(trace)))
    count = len(trace.channels)
    units = trace.channels.roots(np.arange(count))
    return Plan(model, trace, groups, units, np.zeros(count, bool))


# The layers that make a unit, by their positions in `Channels.makers`, and whether it stays.
Key = tuple[frozenset[int], bool]
Keys = dict[int, Key]


def _groups(trace: Trace, keys: Keys) -> Iterator[Group]:
    found: dict[Key, list[int]] = {}
    for unit, key in keys.items():
        found.setdefault(key, []).append(unit)
    found = dict(sorted(found.items(), key=lambda item: min(item[0][0])))
    families = _families(trace, keys, found)
    for key, units in found.items():
        reasons = dict.fromkeys(filter(None, trace.channels.reasons(np.array(units))))
        names = tuple(dict.fromkeys(trace.channels.makers[each] for each in sorted(key[0])))
        yield Group(names, np.array(units), " and ".join(reasons), families[key])


def _families(trace: Trace, keys: Keys, found: Iterable[Key]) -> dict[Key, int]:
    """A number for each group, the same for those that lose equally many units."""
    families = {key: position for position, key in enumerate(found)}
    for one, other in trace.alike:
        low, high = sorted(families[_of(trace, keys, each)[0]] for each in (one, other))
        families = {key: low if family == high else family for key, family in families.items()}
    return families


def _alike_keys(trace: Trace) -> Keys:
    """The keys of all units, once pairs that cannot keep equally many units are frozen.

    What freezes one pair may reach another by a tie, so it goes on until all pairs are well.
    """
    keys = _keys(trace)
    while unlike := [pair for pair in trace.alike if not _can_be_alike(trace, keys, *pair)]:
        for one, other in unlike:
            trace.channels.freeze([*one, *other], "both directions must keep as many units")
        keys = _keys(trace)
    return keys


def _can_be_alike(trace: Trace, keys: Keys, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all of both stay, or each is a group of its own and they are of equal size."""
    first, second = (_of(trace, keys, each) for each in (one, other))
    if all(stays for _, stays in (*first, *second)):
        return True
    sizes = [sum(key in found for key in keys.values()) for found in (first, second)]
    return len(first) == len(second) == 1 and sizes[0] == sizes[1] and first[0][1] == second[0][1]


def _of(trace: Trace, keys: Keys, channels: np.ndarray) -> list[Key]:
    return list(dict.fromkeys(keys[unit] for unit in trace.channels.roots(channels).tolist()))


def _keys(trace: Trace) -> Keys:
    """The key of each unit that weights make."""
    made = [cut.channels for cut in trace.cuts.values() if cut.role == "makes"]
    channels = np.unique(np.concatenate([np.zeros(0, np.int64), *made]))
    makers: dict[int, set[int]] = {}
    for unit, maker in zip(trace.channels.roots(channels).tolist(), trace.channels.makers_of(channels).tolist()):
        makers.setdefault(unit, set()).add(maker)
    reasons = trace.channels.reasons(np.array(list(makers), np.int64))
    return {unit: (frozenset(found), bool(reason)) for (unit, found), reason in zip(makers.items(), reasons)}

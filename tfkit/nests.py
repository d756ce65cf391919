"""Nests of arrays: dicts, lists and tuples, as Keras takes several inputs or outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """The arrays of a nest of dicts, lists and tuples, dicts in the order of their keys as given."""
    if isinstance(structure, dict):
        return [leaf for value in structure.values() for leaf in leaves(value)]
    if isinstance(structure, (tuple, list)):
        return [leaf for value in structure for leaf in leaves(value)]
    return [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nest with a function of each leaf; visits them in the order of `leaves`, lists become tuples."""
    if isinstance(structure, dict):
        return {key: map_leaves(function, value) for key, value in structure.items()}
    if isinstance(structure, (tuple, list)):
        return tuple(map_leaves(function, value) for value in structure)
    return function(structure)

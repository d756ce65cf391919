"""Bounds: what is done on the event loop, where each millisecond keeps every other client waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkit_serving.servables.framing import Packed
from tfkit_serving.servables.requests import ModelSpec

Arrays = Mapping[str, np.ndarray]
Find = Callable[[ModelSpec], Any]


class TooLong(Exception):
    """A request that is not for the event loop; another process is to answer it.

    Attributes:
        find: finds the version for a model spec; `Pinned.servable` where it has been found, and perhaps run, already.
        nbytes: the bytes of the outputs that wait.
    """

    def __init__(self, find: Find, nbytes: int = 0) -> None:
        super().__init__("a request is left to another process")
        self.find, self.nbytes = find, nbytes


@dataclass(frozen=True)
class Bounds:
    """Up to where a request is answered on the event loop; each takes less than 10 ms there.

    Attributes:
        body_bytes: a REST body that orjson and numpy read.
        exact_bytes: a REST body that Python reads value by value.
        message_bytes: a gRPC message.
        examples: tf.Examples of a gRPC message.
        values: values of an output that Python writes one by one.
        strings: strings of a tensor that goes over gRPC.
        numbers: numbers of such a tensor, which are copied as they lie.

    Example:
        >>> ON_THE_LOOP.written({"y": np.zeros((2, 5000))}), ANY.written({"y": np.zeros((2, 5000))})
        (False, True)
    """

    body_bytes: float = 1 << 18
    exact_bytes: float = 1 << 14
    message_bytes: float = 1 << 21
    examples: float = 1 << 12
    values: float = 1 << 12
    strings: float = 1 << 16
    numbers: float = 1 << 21

    def written(self, outputs: Arrays) -> bool:
        """Whether outputs are few enough to be written value by value."""
        if type(outputs) is Packed:
            return all(size <= self.values for _, size in _sizes(outputs))
        return all(each.size <= self.values for each in outputs.values())

    def copied(self, tensors: Arrays) -> bool:
        """Whether tensors are few enough to be made, or read, as protocol buffers."""
        return all(size <= (self.strings if strings else self.numbers) for strings, size in _sizes(tensors))


ON_THE_LOOP = Bounds()
ANY = Bounds(*[math.inf] * 7)
"""No bounds: where there is no event loop to hold."""


def nbytes(arrays: Arrays) -> int:
    """The bytes of arrays, without a look at those of a long frame; strings count as their references."""
    return arrays.data.nbytes if type(arrays) is Packed else sum(each.nbytes for each in arrays.values())


def _sizes(arrays: Arrays) -> Iterator[tuple[bool, int]]:
    if type(arrays) is Packed:
        return ((dtype == "O", math.prod(shape)) for _, dtype, shape in arrays.table)
    return ((each.dtype == object, each.size) for each in arrays.values())

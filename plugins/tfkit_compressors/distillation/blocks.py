"""Blocks of a model that can be left out: what comes out of them has the shape of what goes in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tfkit.graph import Call, calls


@dataclass(frozen=True)
class Block:
    """Calls between two places that all ways through a model pass.

    Attributes:
        calls: The calls.
        sized: Whether one of them is of a layer with a width, such as a Dense or a convolution.
        keeps_shape: Whether it gives the shape that it takes.
    """

    calls: tuple[Call, ...]
    sized: bool
    keeps_shape: bool


def left_out(model: Any, depth: float, sized: Collection[int], fixed: Collection[int]) -> set[int]:
    """The operations that a model of less depth does without.

    A stage is a block that changes the shape and those after it that keep it. Of a stage's n blocks
    the first ceil(depth · n) stay.

    Args:
        model: A built Functional or Sequential model; nested models count as one layer each.
        depth: The share of blocks that stay, in (0, 1].
        sized: Ids of the operations that have a width.
        fixed: Ids of operations that must stay.

    Returns:
        Ids of operations.
    """
    shared = [each for each, count in Counter(id(call.operation) for call in calls(model)).items() if count > 1]
    must = {*fixed, *shared}
    found: set[int] = set()
    for stage in _stages(_blocks(model, sized), must):
        for block in stage[math.ceil(depth * len(stage)) :]:
            found |= {id(call.operation) for call in block.calls}
    return found


def _stages(blocks: list[Block], must: Collection[int]) -> Iterator[list[Block]]:
    """Runs of blocks with widths, each but the first one that could be left out."""
    stage: list[Block] = []
    for position, block in enumerate(blocks):
        stays = position == 0 or not block.keeps_shape or any(id(call.operation) in must for call in block.calls)
        if stage and (stays or not block.sized):
            yield stage
            stage = []
        if block.sized:
            stage.append(block)
    if stage:
        yield stage


def _blocks(model: Any, sized: Collection[int]) -> list[Block]:
    """The model's segments, each that has no width and keeps the shape put to the one before it."""
    found: list[Block] = []
    for segment, keeps in _segments(model):
        is_sized = any(id(call.operation) in sized for call in segment)
        if found and keeps and not is_sized:
            last = found.pop()
            found.append(Block(last.calls + segment, last.sized, last.keeps_shape))
        else:
            found.append(Block(segment, is_sized, keeps))
    return found


def _segments(model: Any) -> Iterator[tuple[tuple[Call, ...], bool]]:
    """Calls from one single tensor to the next, and whether those two have one shape."""
    steps = calls(model)
    last_use = {id(each): position for position, call in enumerate(steps) for each in call.inputs}
    last_use.update((id(each), len(steps)) for each in model.outputs)
    alive = {id(each): each for each in model.inputs}
    segment: list[Call] = []
    entry = model.inputs[0] if len(alive) == 1 else None
    for position, call in enumerate(steps):
        segment.append(call)
        alive.update((id(each), each) for each in call.outputs)
        alive = {key: each for key, each in alive.items() if last_use.get(key, -1) > position}
        if len(alive) == 1:
            (out,) = alive.values()
            yield tuple(segment), entry is not None and tuple(entry.shape) == tuple(out.shape)
            segment, entry = [], out
    if segment:
        yield tuple(segment), False

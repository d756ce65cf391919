"""Service: one request of a task, from checked rows to answers in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkit_serving.gateway.answers import class_answers, raw_answers, value_answers
from tfkit_serving.gateway.catalog import Catalog
from tfkit_serving.gateway.metrics import GatewayMetrics
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.gateway.problem import Problem
from tfkit_serving.gateway.task import Task
from tfkit_serving.gateway.upstream import UnknownLabel, Upstream
from tfkit_serving.gateway.values import stack
from tfkit_serving.gateway.watch import Watch
from tfkit_serving.offload.bounds import nbytes
from tfkit_serving.routing import Split
from tfkit_serving.routing.comparison import near
from tfkit_serving.routing.shadow import Shadow


@dataclass(frozen=True)
class Call:
    """What a request asks besides its rows.

    Attributes:
        request_id: Its id.
        version: The version that it names, or None.
        label: The version label that it names, or None.
        every: Whether it wants the scores of all classes.
        sticky: What keeps it on one label of a split, or None.
    """

    request_id: str
    version: int | None = None
    label: str | None = None
    every: bool = False
    sticky: str | None = None


@dataclass(frozen=True)
class Answered:
    """What was answered.

    Attributes:
        answers: One per row.
        version: The version they are from.
        label: The version label that the request went to, or None.
    """

    answers: list[dict[str, Any]]
    version: int
    label: str | None


class Service:
    """Asks the model server, says it in words, and lets drift, feedback and shadow see it.

    Args:
        upstream: The server.
        catalog: The tasks.
        watch: Drift and quality.
        metrics: Where rows are counted.
        options: Where requests go that name no version.
    """

    def __init__(
        self, upstream: Upstream, catalog: Catalog, watch: Watch, metrics: GatewayMetrics, options: GatewayOptions
    ) -> None:
        self.upstream = upstream
        self.catalog = catalog
        self.watch = watch
        self.shadow = Shadow(metrics.shadow)
        self._metrics = metrics
        self._routing = options.routing

    async def answer(self, task: Task, rows: Sequence[Mapping[str, np.ndarray]], call: Call) -> Answered:
        """Answers the rows of a request.

        Args:
            task: What it is for.
            rows: Arrays by the inputs' names, without the batch's dimension.
            call: What else it asks.

        Raises:
            Problem: The rows do not fit each other, or the server refuses, fails, is not there or takes too long.
        """
        inputs = _stacked(task, rows)
        outputs, version, label = await self._ask(task, inputs, call)
        of_version = self.catalog.of_version(task, version)
        answers = _answers(of_version, outputs, len(rows), call.every)
        self._metrics.routed.add((task.name, label or "", str(version)), len(rows))
        self.watch.observe(of_version, version, inputs, _named(of_version, outputs))
        self.watch.remember(call.request_id, of_version, version, label, answers)
        self._shadow(task, inputs, label, answers)
        return Answered(answers, version, label)

    async def version(self, name: str) -> int:
        """The version that answers a task's requests: by its split, that of the heaviest label which the server has.

        Raises:
            Problem: None does, or the server is not there.
        """
        split = self._routing.split(name)
        if split is None:
            return await self.upstream.version(name)
        for _, label in sorted(zip(split.weights, split.labels), key=lambda pair: -pair[0]):
            try:
                return await self.upstream.version(name, label)
            except UnknownLabel:
                continue
        raise _without_label(name, split)

    async def _ask(
        self, task: Task, inputs: Mapping[str, np.ndarray], call: Call
    ) -> tuple[dict[str, np.ndarray], int, str | None]:
        split = self._routing.split(task.name)
        if call.version is not None or call.label is not None or split is None:
            outputs, version = await self.upstream.predict(task.name, inputs, version=call.version, label=call.label)
            return outputs, version, call.label
        for label in split.in_turn(call.sticky):
            try:
                outputs, version = await self.upstream.predict(task.name, inputs, version=None, label=label)
            except UnknownLabel:
                continue  # taken back, or not yet given: the split's other labels take its share
            return outputs, version, label
        raise _without_label(task.name, split)

    def _shadow(
        self, task: Task, inputs: Mapping[str, np.ndarray], label: str | None, answers: Sequence[Mapping[str, Any]]
    ) -> None:
        shadow = self._routing.shadow(task.name)
        if shadow is None or shadow.label == label or not shadow.takes():
            return

        async def ask() -> int:
            outputs, version = await self.upstream.predict(task.name, inputs, version=None, label=shadow.label)
            others = _answers(self.catalog.of_version(task, version), outputs, len(answers), False)
            return sum(map(agree, answers, others))

        self.shadow.send(task.name, shadow.label, len(answers), nbytes(inputs), ask)


def _without_label(name: str, split: Split) -> Problem:
    labels = ", ".join(split.labels)
    return Problem(503, f"the model server has none of the labels {labels} of {name!r}", retry_after=1.0)


def agree(answer: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers say the same: one label, or values within a thousandth.

    Example:
        >>> agree({"label": "cat", "score": 0.9}, {"label": "cat", "score": 0.6})
        True
        >>> agree({"value": 1.0}, {"value": 1.1})
        False
    """
    if "label" in answer or "label" in other:
        return bool(answer.get("label") == other.get("label"))
    return answer.keys() == other.keys() and all(_near(answer[name], other[name]) for name in answer)


def _near(value: Any, other: Any) -> bool:
    one, two = np.asarray(value), np.asarray(other)
    if one.shape != two.shape or one.dtype.kind not in "biuf" or two.dtype.kind not in "biuf":
        return bool(one.shape == two.shape and one.tolist() == two.tolist())
    return bool(near(one, two).all())


def _stacked(task: Task, rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    try:
        return {tensor.name: stack(tensor, [row[tensor.name] for row in rows]) for tensor in task.signature.inputs}
    except ValueError as error:
        raise Problem(422, str(error)) from None


def _answers(task: Task, outputs: Mapping[str, np.ndarray], rows: int, every: bool) -> list[dict[str, Any]]:
    try:
        if task.output is None:
            return raw_answers(_named(task, outputs), rows)
        found = _named(task, outputs).get(task.output.name)
        if found is None or found.shape[:1] != (rows,):
            raise ValueError(f"the output {task.output.name!r} is not there with one entry for each of {rows} rows")
        if task.kind == "regression":
            return value_answers(found)
        return class_answers(found, task.labels, logits=task.logits, every=every)
    except ValueError as error:
        raise Problem(502, f"the reply of the model server does not fit {task.name}'s tfkit.json: {error}") from None


def _named(task: Task, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs by their names: a client leaves away the name of an only one."""
    if set(outputs) == {""} and task.signature.outputs:
        return {task.signature.outputs[0].name: outputs[""]}
    return dict(outputs)

"""Task: what a model is for, read from the `tfkit.json` of its newest version folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit.errors import VerificationError
from tfkit.formats.purpose import classes
from tfkit.formats.sidecar import read_sidecar
from tfkit.formats.signature import Signature, Tensor
from tfkit_serving.configuration.names import check_name
from tfkit_serving.gateway.values import carries
from tfkit_serving.routing.classes import main_output

# Paths that are the gateway's own; a model of such a name would hide behind them.
RESERVED = frozenset({"docs", "redoc", "openapi.json", "healthz", "readyz", "metrics"})


class TaskError(ValueError):
    """A model that no route can be made of; the text says why and what to do."""


@dataclass(frozen=True)
class Task:
    """A model in the words of what it is for.

    Attributes:
        name: The model's name, and its route's.
        version: The version whose `tfkit.json` this is.
        signature: Inputs and outputs.
        kind: "classification", "regression", or None: then outputs are answered by their names.
        labels: Names of the classes, in the order of the scores.
        logits: Whether the scores are logits, of which the gateway makes probabilities.
        example: A row of input as JSON has it, by the inputs' names; empty without one.
        profile: How the training data were distributed, or None.
        description: What the docs page says.
    """

    name: str
    version: int
    signature: Signature
    kind: str | None = None
    labels: tuple[str, ...] = ()
    logits: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] | None = None
    description: str = ""

    @property
    def output(self) -> Tensor | None:
        """The output that holds the answer; None where the task is not known."""
        return main_output(self.signature.outputs, self.labels) if self.kind else None


def read_tasks(directory: Path) -> tuple[dict[str, Task], dict[str, str]]:
    """The tasks of a folder `<model>/<version>/tfkit.json`.

    Args:
        directory: The folder that the model server serves, or a copy of its `tfkit.json` files.

    Returns:
        Tasks by name, and why models were left out, by name.

    Raises:
        TaskError: There is no such folder, or no model in it that a route can be made of.
    """
    if not directory.is_dir():
        raise TaskError(f"--models {str(directory)!r} is no folder; it holds <model>/<version>/tfkit.json")
    tasks, left_out = {}, {}
    for model in sorted(each for each in directory.iterdir() if each.is_dir() and not each.name.startswith(".")):
        try:
            tasks[model.name] = newest_task(model)
        except (TaskError, VerificationError) as error:
            left_out[model.name] = str(error)
    if not tasks:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise TaskError(f"--models {str(directory)!r} holds no <model>/<version>/tfkit.json. {reasons}".strip())
    return tasks, left_out


def newest_task(model: Path) -> Task:
    """The task of a model's newest version.

    Raises:
        TaskError: There is no version, or a route cannot be made of it.
        VerificationError: Its `tfkit.json` is missing or damaged.
    """
    versions = [each for each in model.iterdir() if each.is_dir() and each.name.isdecimal() and each.name.isascii()]
    if not versions:
        raise TaskError(f"{str(model)!r} holds no version folder")
    return read_task(max(versions, key=lambda each: int(each.name)))


def read_task(folder: Path) -> Task:
    """The task of a version folder `<model>/<version>`.

    Raises:
        TaskError: A route cannot be made of it: its name, or a dtype or shape that JSON rows do not carry.
        VerificationError: Its `tfkit.json` is missing or damaged.
    """
    name, content = folder.parent.name, read_sidecar(folder)
    signature = Signature.from_dict(content["signature"])
    _check_name(name)
    _check_inputs(name, signature)
    labels = tuple(map(str, content.get("labels") or ()))
    kind = content.get("task") or ("classification" if labels else None)
    return Task(
        name,
        int(folder.name),
        signature,
        kind if main_output(signature.outputs, labels) else None,
        labels or (_numbered(signature) if kind == "classification" else ()),
        content.get("scores") == "logits",
        _example(content.get("example"), signature),
        content.get("profile"),
        _describe(content),
    )


def _check_name(name: str) -> None:
    if name in RESERVED:
        raise TaskError(f"the model {name!r} has the name of one of the gateway's own paths: rename its folder")
    try:
        check_name("model", name)
    except ValueError as error:
        raise TaskError(f"{error}, to be a route: rename its folder") from None


def _check_inputs(name: str, signature: Signature) -> None:
    for tensor in signature.inputs:
        if tensor.name == "rows":
            raise TaskError(f"an input of {name!r} is named 'rows', as batches are: export it with another name")
        if not carries(tensor):
            raise TaskError(
                f"the input {tensor.name!r} of {name!r}, {tensor.dtype} {list(tensor.shape)}, cannot be sent as rows "
                "of JSON: it takes an open first dimension, and numbers, booleans or strings"
            )


def _numbered(signature: Signature) -> tuple[str, ...]:
    """Classes without names are numbers; an output of one number is the probability of the second of two."""
    output = main_output(signature.outputs, ())
    return tuple(map(str, range((output and classes(output)) or 0)))


def _example(row: Any, signature: Signature) -> dict[str, Any]:
    """The example as a caller would send it; bytes that are no text have no such form."""
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    if not isinstance(row, Mapping) or set(row) != set(tensors) or "b64" in str(row):
        return {}
    return {name: _single(value) if tensors[name].shape[1:] == (1,) else value for name, value in row.items()}


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _describe(content: Mapping[str, Any]) -> str:
    metrics = content.get("metadata", {}).get("metrics") or {}
    figures = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, (int, float)))
    return f"Exported {content.get('created', 'at a time unknown')}{'; measured then: ' * bool(figures)}{figures}."

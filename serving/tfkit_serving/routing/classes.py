"""Classes: how the class of each row is read off a classifier's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfkit.errors import VerificationError
from tfkit.formats.purpose import classes
from tfkit.formats.sidecar import read_sidecar
from tfkit.formats.signature import Signature, Tensor

# What TensorFlow Serving's classification signatures name their outputs.
_CLASSES, _SCORES = "classes", "scores"


@dataclass(frozen=True)
class Classes:
    """Where a version's scores are, and what they are of.

    Attributes:
        output: The output with a score for each class, or with one number: the score of the second of two.
        labels: Names of the classes; empty where they are numbers.
        logits: Whether the scores are logits.
    """

    output: str
    labels: tuple[str, ...] = ()
    logits: bool = False


def row_classes(outputs: Mapping[str, np.ndarray], where: Classes | None = None) -> np.ndarray | None:
    """The class of each row of an answer.

    Args:
        outputs: The answer, by output.
        where: Where scores are; not needed for the answers of a classification signature, which names the classes.

    Returns:
        A name or a number a row, None for a row whose scores are no numbers; None where the outputs do not tell, as
        when others were asked for.

    Example:
        >>> row_classes({"p": np.array([[0.9, 0.1], [0.2, 0.8]])}, Classes("p", ("cat", "dog"))).tolist()
        ['cat', 'dog']
    """
    names, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if names is not None and scores is not None and names.shape == scores.shape and _is_table(scores):
        return _known(names[np.arange(len(names)), scores.argmax(axis=1)], scores)
    scores = outputs.get(where.output) if where else None
    if where is None or scores is None:
        return None
    table = scores[:, None] if scores.ndim == 1 else scores
    if not _is_table(table):
        return None
    one = table.shape[1] == 1
    found = (table[:, 0] > (0.0 if where.logits else 0.5)).astype(int) if one else table.argmax(axis=1)
    return _known(np.array(where.labels, object)[found] if len(where.labels) > found.max() else found, table)


def classes_of(folder: Path) -> Classes | None:
    """What a version folder's `tfkit.json` says of its classes; None where it is no classifier, or has no such file."""
    try:
        content = read_sidecar(folder)
    except (VerificationError, OSError):
        return None
    labels = tuple(map(str, content.get("labels") or ()))
    if content.get("task") != "classification" and not labels:
        return None
    output = main_output(Signature.from_dict(content["signature"]).outputs, labels)
    return None if output is None else Classes(output.name, labels, content.get("scores") == "logits")


def main_output(outputs: Sequence[Tensor], labels: Sequence[str]) -> Tensor | None:
    """The output that holds the answer: the one with as many scores as labels, else the first of numbers.

    Args:
        outputs: The signature's.
        labels: Names of the classes; empty for values.
    """
    numbers = [each for each in outputs if each.dtype.startswith(("float", "bfloat"))]
    fitting = [each for each in numbers if len(each.shape) in (1, 2) and classes(each) == len(labels)]
    return next(iter(fitting or numbers), None)


def _is_table(scores: np.ndarray) -> bool:
    return scores.ndim == 2 and scores.dtype.kind == "f" and scores.size > 0


def _known(found: np.ndarray, scores: np.ndarray) -> np.ndarray:
    known: np.ndarray = np.where(np.isnan(scores).any(axis=1), None, found.astype(object))
    return known

"""From a model's outputs to words: a label and its score, or a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def class_answers(
    scores: np.ndarray, labels: Sequence[str], *, logits: bool = False, every: bool = False
) -> list[dict[str, Any]]:
    """The label of each row and its score.

    Args:
        scores: A classifier's output, shape (rows, classes), or (rows, 1) or (rows,) for the probability of the
            second of two classes.
        labels: Names of the classes.
        logits: Whether the output holds logits, of which probabilities are made here.
        every: Whether to give the scores of all classes too.

    Returns:
        Per row "label", "score" and, on demand, "scores"; a score that is not a number makes the label null.

    Raises:
        ValueError: There are more or fewer classes than labels.

    Example:
        >>> class_answers(np.array([[0.25]]), ["negative", "positive"])
        [{'label': 'negative', 'score': 0.75}]
    """
    table = scores.reshape(len(scores), -1)
    if table.shape[1] == 1 and len(labels) == 2:
        table = np.column_stack([np.zeros_like(table) if logits else 1 - table, table])
    if logits:
        table = _softmax(table)
    if table.shape[1] != len(labels):
        raise ValueError(f"the model answered {table.shape[1]} scores a row, and it has {len(labels)} labels")
    return [_class_answer(row, labels, every) for row in plain(table)]


def value_answers(values: np.ndarray) -> list[dict[str, Any]]:
    """The value of each row: a number, or a list where the output has more than one.

    Example:
        >>> value_answers(np.array([[1.5], [2.0]]))
        [{'value': 1.5}, {'value': 2.0}]
    """
    flat = values.reshape(len(values)) if values.size == len(values) else values
    return [{"value": each} for each in plain(flat)]


def raw_answers(outputs: Mapping[str, np.ndarray], rows: int) -> list[dict[str, Any]]:
    """Each row's outputs by their names, of a model whose task is not known.

    Raises:
        ValueError: An output does not have one entry per row.

    Example:
        >>> raw_answers({"y": np.array([[1.0], [2.0]])}, 2)
        [{'y': [1.0]}, {'y': [2.0]}]
    """
    for name, output in outputs.items():
        if not output.ndim or len(output) != rows:
            raise ValueError(f"the output {name!r} has the shape {output.shape}: not one entry for each of {rows} rows")
    lists = {name: plain(output) for name, output in outputs.items()}
    return [{name: lists[name][row] for name in lists} for row in range(rows)]


def plain(array: np.ndarray) -> list[Any]:
    """What JSON carries of an array; bytes become text."""
    if array.dtype.kind in "OS":
        return [_text(each) for each in array.tolist()]
    if array.dtype.kind in "biu" or array.dtype == "float64":
        return list(array.tolist())
    # By way of text: 0.9 of a float32 is 0.8999999761581421 as JSON's float64.
    return list(array.astype("float32").astype(str).astype("float64").tolist())


def _softmax(logits: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinite logits have no probabilities; they become NaN, and null
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found


def _class_answer(row: list[float], labels: Sequence[str], every: bool) -> dict[str, Any]:
    best = int(np.argmax(row))
    known = row[best] == row[best]
    answer: dict[str, Any] = {"label": labels[best] if known else None, "score": row[best] if known else None}
    if every:
        answer["scores"] = dict(zip(labels, row))
    return answer


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

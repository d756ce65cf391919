"""The labels of a mixed batch, and what a loss and a metric make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import tfkit


class Mixed(NamedTuple):
    """The labels of a mixed batch, in the place of `y` on its way through a training step.

    It is a nest of tensors of as many rows each, which parts of a batch can be taken from.

    Attributes:
        labels: Labels of the rows.
        others: Labels of the rows that were mixed into them.
        weights: Weights of the rows, or None.
        other_weights: Those of the rows that were mixed into them, or None.
        share: The share of the former, the same for each row, float32 of shape (rows,).
    """

    labels: Any
    others: Any
    weights: Any
    other_weights: Any
    share: Any

    def first_share(self) -> Any:
        """The share; 1 where there are no rows."""
        return tf.concat([self.share[:1], [1.0]], axis=0)[0]

    def weight(self) -> Any:
        """The weights that the mixed rows have, or None."""
        return _mixed(self.weights, self.other_weights, self.first_share())

    def dominant(self) -> tuple[Any, Any]:
        """The labels and the weights with the larger share."""
        is_first = self.first_share() >= 0.5

        def chosen(one: Any, other: Any) -> Any:
            return one if one is None else tf.where(is_first, one, other)

        return _map(chosen, self.labels, self.others), _map(chosen, self.weights, self.other_weights)


def mixed_loss(loss: Callable[[Any, Any, Any], Any], mixed: Mixed, y_pred: Any) -> Any:
    """The loss of a mixed batch.

    Numbers are mixed, each by its weight, and so are one-hot rows and labels that are true or not; of class ids,
    which cannot be, the losses are. For crossentropies the two are the same.

    Args:
        loss: Called as `loss(y, sample_weight, share)` for a share of the loss, or for the whole with None.
        mixed: The labels, in the order of the predictions.
        y_pred: The predictions, which tell ids from numbers by their shape.
    """
    share = mixed.first_share()
    labels, others = keras.tree.flatten(mixed.labels), keras.tree.flatten(mixed.others)
    predictions = keras.tree.flatten(y_pred)
    if len(labels) != len(predictions):
        raise tfkit.ModelError(
            f"a batch has {len(labels)} labels for {len(predictions)} outputs: mixing needs a label for each output"
        )
    are_ids = [_are_ids(*each) for each in zip(labels, predictions)]
    weights, other_weights = _for_each(mixed.weights, labels), _for_each(mixed.other_weights, labels)
    numbers = [
        None if ids else _mixed_numbers(*each, share)
        for ids, *each in zip(are_ids, labels, others, weights, other_weights)
    ]

    def told(own: list[Any], own_weights: list[Any], part: Any) -> Any:
        found = [(y, w) if new is None else new for new, y, w in zip(numbers, own, own_weights)]
        whole = keras.tree.pack_sequence_as(mixed.labels, [y for y, _ in found])
        if mixed.weights is None:
            return loss(whole, None, part)
        each = [w for _, w in found]
        return loss(whole, each[0] if len(each) == 1 else keras.tree.pack_sequence_as(mixed.labels, each), part)

    if not any(are_ids):
        return told(labels, weights, None)
    return share * told(labels, weights, share) + (1 - share) * told(others, other_weights, 1 - share)


def in_order(mixed: Mixed, y_pred: Any, names: Sequence[str] | None) -> Mixed:
    """Labels and weights that are dicts by the names of a list of outputs, as lists in the order of these.

    Args:
        mixed: The labels, in any form that Keras takes.
        y_pred: The predictions.
        names: The names of the model's outputs, None where it has none.

    Raises:
        ModelError: The labels have other names.
    """
    if not isinstance(mixed.labels, dict) or not isinstance(y_pred, (list, tuple)):
        return mixed
    if names is None or set(names) != set(mixed.labels):
        raise tfkit.ModelError(
            f"the labels are named {sorted(mixed.labels)} and the outputs {names}: name a label for each output, "
            "or give a list in their order"
        )

    def listed(part: Any) -> Any:
        return [part[name] for name in names] if isinstance(part, dict) else part

    return Mixed(*map(listed, mixed[:4]), mixed.share)


def _are_ids(y: Any, y_pred: Any) -> bool:
    """Whether labels are class ids: they have another shape than predictions, but for an axis of one."""
    if y.dtype == tf.string:
        raise tfkit.DataError("labels are strings: make them class ids, keras.layers.StringLookup does")
    if y.shape.rank is None:
        raise tfkit.DataError("labels have no known number of axes: set it with tf.ensure_shape")
    own, theirs = list(y.shape), list(y_pred.shape)
    if len(own) + 1 == len(theirs):
        return theirs[-1] != 1
    if len(own) == len(theirs) + 1:
        return own[-1] != 1
    return own[-1] == 1 != theirs[-1] if len(own) == len(theirs) else True


def _mixed_numbers(y: Any, other: Any, weight: Any, other_weight: Any, share: Any) -> tuple[Any, Any]:
    """Mixed labels and their weights."""
    y, other = _float(y), _float(other)
    if weight is None:
        return _mixed(y, other, share), None
    total = _mixed(weight, other_weight, share)
    own = _of_rank(tf.math.divide_no_nan(share * _float(weight), total), y)
    return tf.cast(own, y.dtype) * y + tf.cast(1 - own, y.dtype) * other, total


def _of_rank(weight: Any, y: Any) -> Any:
    """Weights with as many axes as labels, by axes of one at the end."""
    found = weight
    while found.shape.rank > y.shape.rank and found.shape[-1] == 1:
        found = tf.squeeze(found, axis=-1)
    while found.shape.rank < y.shape.rank:
        found = found[..., None]
    fits = [None in pair or pair[0] in (1, pair[1]) for pair in zip(found.shape, y.shape)]
    if found.shape.rank != y.shape.rank or not all(fits):
        raise tfkit.DataError(
            f"sample_weight has shape {tuple(weight.shape)} and the labels {tuple(y.shape)}: give a weight for each row"
        )
    return found


def _mixed(one: Any, other: Any, share: Any) -> Any:
    def mixed(a: Any, b: Any) -> Any:
        if a is None:
            return None
        a, b = _float(a), _float(b)
        return tf.cast(share, a.dtype) * a + tf.cast(1 - share, a.dtype) * b

    return _map(mixed, one, other)


def _for_each(weights: Any, labels: list[Any]) -> list[Any]:
    found = keras.tree.flatten(weights)
    return found * len(labels) if len(found) == 1 else found


def _map(function: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    return keras.tree.map_structure(function, one, other)


def _float(tensor: Any) -> Any:
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype.is_floating else tf.cast(tensor, tf.float32)

"""importances: what each unit of a plan is worth, by its weights, by gradients or by what it computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit import Data, ModelError, ParameterError
from tfkit.models import require_compiled
from tfkit_compressors.shrinking.observed import observed
from tfkit_compressors.shrinking.parts import Parts
from tfkit_compressors.shrinking.plan import Group, Plan

Own = Callable[[Sequence[np.ndarray]], np.ndarray]
# Batches of the train part that gradients are read on.
_BATCHES = 16
_ROWS = 64


class Importances:
    """The worth of each unit of a plan, the same scale within a group.

    A group's kernels come as matrices with a row for each unit: the weights that make it, of all layers
    that are tied.

    - "l2", "l1": norm of the rows. Source: Pruning filters for efficient convnets, Li et al. 2017.
    - "taylor": sum of |gradient · weight| over the row, biases included, mean over batches of the train
      part. Source: Importance estimation for neural network pruning, Molchanov et al. 2019.
    - "activation": mean |value| of the unit where other weights read it, on rows of the train part.
    - "bn-scale": sum of |gamma|. Source: Learning efficient convolutional networks through network
      slimming, Liu et al. 2017.
    - A function of a list of such matrices, one for each kernel, that gives a number for each row.

    Where a group has no such value, a head of attention no activation or a layer no
    BatchNormalization, "l2" ranks it and a note says so.

    Args:
        plan: The plan.
        parts: Where its groups lie.
        importance: One of the names, or a function.
        data: The train part is read for "taylor" and "activation".

    Attributes:
        notes: What was ranked otherwise.
    """

    def __init__(self, plan: Plan, parts: Parts, importance: str | Own, data: Data) -> None:
        self._parts = parts
        self._importance = importance
        self.notes: tuple[str, ...] = ()
        self._products = _products(plan, data) if importance == "taylor" else {}
        self._means = observed(plan, data, _ROWS)[0] if importance == "activation" else np.zeros(0)

    def of(self, group: Group) -> np.ndarray:
        """The worth of each unit of a group.

        Raises:
            ParameterError: An own function gives something else than a finite number for each unit.
            ModelError: Weights are NaN or infinite.
        """
        found = self._found(group)
        if found is None:
            self.notes += (f"{group.name}: ranked by l2, since there is no {self._importance!r} of it",)
            found = _norm(self._kernels(group), 2)
        if callable(self._importance):
            return _checked(found, group)
        if not np.isfinite(found).all():
            raise ModelError(f"the weights of {group.name} hold NaN or infinity: nothing can be ranked by them")
        return found

    def _found(self, group: Group) -> np.ndarray | None:
        if callable(self._importance):
            return self._importance(self._kernels(group))
        if self._importance in ("l1", "l2"):
            return _norm(self._kernels(group), int(self._importance[1]))
        if self._importance == "taylor":
            return _norm(self._parts.rows(group, lambda weight: self._products[id(weight)], "makes"), 1)
        if self._importance == "bn-scale":
            scales = self._parts.rows(group, array, "carries", names=("gamma",))
            return _norm(scales, 1) if scales else None
        means = self._means[group.units]
        return None if np.isnan(means).any() else means

    def _kernels(self, group: Group) -> list[np.ndarray]:
        cuts = self._parts.cuts(group, "makes")
        names = tuple({cut.variable.name for cut, _ in cuts} - {"bias"})
        return self._parts.rows(group, array, "makes", names=names)


def array(weight: keras.Variable) -> np.ndarray:
    """A weight's values in float64."""
    return np.asarray(keras.ops.convert_to_numpy(weight), "float64")


def _norm(matrices: Sequence[np.ndarray], order: int) -> np.ndarray:
    powers = sum((np.abs(each) ** order).sum(axis=1) for each in matrices)
    return np.asarray(powers ** (1 / order))


def _checked(found: Any, group: Group) -> np.ndarray:
    scores = np.asarray(found, "float64")
    if scores.shape == (len(group.units),) and np.isfinite(scores).all():
        return scores
    raise ParameterError(
        f"the parameter 'importance' of compressor 'shrink' must give a finite number for each of the "
        f"{len(group.units)} units of {group.name}; got shape {scores.shape}"
    )


def _products(plan: Plan, data: Data) -> dict[int, np.ndarray]:
    """|gradient · weight| of the weights that make units, mean over batches."""
    model = require_compiled(plan.model)
    weights = list({id(cut.variable): cut.variable for cut in plan.cuts("makes")}.values())
    values = [each.value for each in weights]

    @tf.function(reduce_retracing=True)
    def products(*batch: Any) -> list[Any]:
        x, y, *rest = batch
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            outputs = model(x, training=False)
            loss = model.compute_loss(x, y, outputs, rest[0] if rest else None, training=False)
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.abs(tf.convert_to_tensor(slope) * value) for slope, value in zip(gradients, values)]

    sums: list[Any] = [0.0] * len(weights)
    count = 0
    for batch in itertools.islice(iter(data.dataset("train")), _BATCHES):
        sums = [total + each.numpy().astype("float64") for total, each in zip(sums, products(*batch))]
        count += 1
    model.reset_metrics()
    return {id(weight): total / count for weight, total in zip(weights, sums)}

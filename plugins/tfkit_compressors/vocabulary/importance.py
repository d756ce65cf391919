"""What each token of a vocabulary is worth on the train part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfkit import Data
from tfkit.graph import flattened
from tfkit.models import require_compiled
from tfkit.replay import flat_inputs, values
from tfkit_compressors.vocabulary.lookups import divisors, first_token, homes, mode, weights, width
from tfkit_compressors.vocabulary.readers import Vocabulary, table

Importance = Literal["taylor", "norm", "frequency"]


@dataclass(frozen=True)
class Worth:
    """What the tokens of one vocabulary are worth.

    Attributes:
        importance: A number of at least 0 for each token; comparable between the vocabularies of a model.
        occurrences: How often each token is in the train part.
    """

    importance: np.ndarray
    occurrences: np.ndarray


def worth(model: keras.Model, found: Sequence[Vocabulary], importance: Importance, data: Data) -> list[Worth]:
    """What the tokens of some vocabularies are worth.

    - "taylor": |sum over the occurrences of gradient · (OOV row − row)|, the change of the loss to first order
      where a token is taken for one out of the vocabulary, summed over batches of the train part. Source:
      Importance estimation for neural network pruning, Molchanov et al. 2019.
    - "norm": occurrences · distance of the row to the OOV row.
    - "frequency": occurrences.

    A token that the train part does not hold is worth 0 by each.

    Args:
        model: A built model; compiled for "taylor".
        found: Its vocabularies.
        importance: One of the names.
        data: The train part is read through.

    Raises:
        ModelError: The model is not compiled, and "taylor" is asked for.
    """
    counts = _occurrences(model, found, data)
    if importance == "frequency":
        return [Worth(count, count) for count in counts]
    slopes = _gradients(model, found, data) if importance == "taylor" else {}
    made = []
    for each, count in zip(found, counts):
        moves = {id(reader): _to_oov(each, reader) for reader in each.readers}
        if importance == "norm":
            scores = sum(count * np.linalg.norm(move, axis=1) for move in moves.values())
        else:
            scores = np.abs(sum((slopes[key] * move).sum(axis=1) for key, move in moves.items()))
        made.append(Worth(np.asarray(scores), count))
    return made


def _to_oov(vocabulary: Vocabulary, reader: Any) -> np.ndarray:
    """For each token, how what an occurrence adds would change if it were out of the vocabulary."""
    scale = weights(vocabulary.lookup)[:, None]
    rows = np.asarray(table(reader), "float64")[: len(scale)] * scale
    home = homes(vocabulary.lookup, np.zeros(vocabulary.size, bool))
    return _of_tokens(vocabulary, rows[home] - rows)


def _of_tokens(vocabulary: Vocabulary, array: np.ndarray) -> np.ndarray:
    first = first_token(vocabulary.lookup)
    return array[first : first + vocabulary.size]


def _occurrences(model: keras.Model, found: Sequence[Vocabulary], data: Data) -> list[np.ndarray]:
    """How often each token is in the train part, as far as the lookup hands it on."""
    graph = flattened(model)
    counts = {id(each.lookup): np.zeros(width(each.lookup)) for each in found}
    wanted = {tensor: call.operation for call in graph.calls for tensor in call.outputs if id(call.operation) in counts}
    for x, *_ in data.dataset("train", shuffle=False):
        left = len(wanted)
        for tensor, value in values(graph, flat_inputs(model, x)):
            if tensor in wanted:
                left -= 1
                counts[id(wanted[tensor])] += _count(wanted[tensor], np.asarray(value))
            if not left:  # what comes after the last lookup tells nothing
                break
    return [_of_tokens(each, counts[id(each.lookup)]) for each in found]


def _count(lookup: Any, value: np.ndarray) -> np.ndarray:
    if mode(lookup) == "int":
        return np.bincount(value.reshape(-1), minlength=width(lookup)).astype("float64")
    return value.reshape(-1, value.shape[-1]).sum(axis=0) / divisors(lookup)


def _gradients(model: keras.Model, found: Sequence[Vocabulary], data: Data) -> dict[int, np.ndarray]:
    """The loss's gradient by what an occurrence of each token adds, summed over the train part, by the reader's id."""
    require_compiled(model)
    readers = [(reader, each) for each in found for reader in each.readers]
    tables = [table(reader).value for reader, _ in readers]

    @tf.function(reduce_retracing=True)
    def slopes(*batch: Any) -> list[Any]:
        x, y, *rest = batch
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tables)
            loss = model.compute_loss(x, y, model(x, training=False), rest[0] if rest else None, training=False)
        made = tape.gradient(loss, tables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(each) for each in made]

    sums: list[Any] = [0.0] * len(readers)
    for batch in data.dataset("train", shuffle=False):
        sums = [total + each.numpy().astype("float64") for total, each in zip(sums, slopes(*batch))]
    model.reset_metrics()
    return {
        id(reader): _of_tokens(each, total[: width(each.lookup)] / divisors(each.lookup)[:, None])
        for (reader, each), total in zip(readers, sums)
    }

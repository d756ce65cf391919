"""The ways in which the train part of a task can be handed to `fit`."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from typing import Any

from tfkit.data import LABELS, Data, is_dataset
from tfkit.errors import DataError
from tfkit.mapped import is_mapped
from tfkit.nests import leaves, map_leaves

Preprocess = Callable[[Any], Any]
# What `fit` is called with, made for a batch size.
Layout = Callable[[int], dict[str, Any]]

# Made by a pass over all rows.
WHOLE_PASS = ("cached", "mapped once")
_COMPARED = 8  # batches that are looked at twice
_ROWS = 256  # rows over the whole part that a function is tried on
# Operations that draw at random, keep something, or call Python.
_IMPURE = re.compile("^(?!Stateless)(.*(Random|Rng|Multinomial|TruncatedNormal|Assign|PyFunc)|Stateful(?!Partitioned))")


def layouts(data: Data, preprocess: Preprocess | None = None) -> dict[str, Layout]:
    """The layouts that give the same batches, by name; the first is what one does without thinking of it.

    Rows come in a new order each epoch in all of them; a dataset comes in the order that it was given in.

    Args:
        data: The data, of which the train part is taken.
        preprocess: What is done to a row of x before it goes into the model.

    Raises:
        DataError: `preprocess` goes with a dataset, which holds its own.
    """
    part = data.part("train")
    if is_dataset(part):
        if preprocess is not None:
            raise DataError("preprocess= takes arrays; a dataset has its own: dataset.map(…)")
        return _of_dataset(part)
    if preprocess is not None:
        return _of_preprocessed(part, preprocess)
    found: dict[str, Layout] = {"arrays": lambda size: {**dict(zip(LABELS, part)), "batch_size": size}}
    if not is_mapped(part) and _fits(leaves(part), len(leaves(part)[0])):
        gathered = _gathered(part)
        found["gathered"] = lambda size: _fit(gathered(size))
    return found


def _of_dataset(dataset: Any) -> dict[str, Layout]:
    import tensorflow as tf

    found: dict[str, Layout] = {
        "dataset": lambda size: _fit(dataset),
        "prefetched": lambda size: _fit(dataset.prefetch(tf.data.AUTOTUNE)),
    }
    if _can_be_cached(dataset):
        found["cached"] = lambda size: _fit(_filled(dataset.cache()).prefetch(tf.data.AUTOTUNE))
    return found


def _filled(cached: Any) -> Any:
    """The cache once it holds everything: what is left half read is thrown away."""
    for _ in cached:
        pass
    return cached


def _of_preprocessed(part: Any, preprocess: Preprocess) -> dict[str, Layout]:
    import tensorflow as tf

    def mapped(x: Any, *rest: Any) -> Any:
        return (preprocess(x), *rest)

    def by_row(size: int) -> Any:
        rows = tf.data.Dataset.from_tensor_slices(part).shuffle(len(leaves(part)[0]))
        return rows.map(mapped, num_parallel_calls=tf.data.AUTOTUNE).batch(size).prefetch(tf.data.AUTOTUNE)

    found: dict[str, Layout] = {"mapped": lambda size: _fit(by_row(size))}
    rows = len(leaves(part)[0])
    if not is_pure(preprocess, part[0]):
        return found  # neither a batch nor a copy of its results is the same
    some = map_leaves(lambda leaf: tf.constant(leaf[:: -(-rows // _ROWS)]), part[0])
    singly = _stacked(preprocess, some)
    if _is_by_row(preprocess, some, singly):
        gathered = _gathered(part)
        found["batched, then mapped"] = lambda size: _fit(
            gathered(size).map(mapped, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        )
    if _fits(leaves(singly), rows):
        found["mapped once"] = lambda size: _fit(_gathered(_mapped_once(part, mapped))(size))
    return found


def _fit(dataset: Any) -> dict[str, Any]:
    # y is there so that settings of any layout take the place of those of another; Keras warns of the shuffle that
    # it takes for given.
    return {"x": dataset, "y": None, "shuffle": False}


def _gathered(part: Any) -> Callable[[int], Any]:
    """Makes batches that are gathered from tensors, by an order of the rows that is new each epoch."""
    import keras
    import tensorflow as tf

    rows = len(leaves(part)[0])

    @functools.cache
    def tensors() -> Any:
        with tf.device("CPU:0"):
            return map_leaves(lambda leaf: tf.constant(_as_keras(leaf, keras.config.floatx())), part)

    def batches(size: int) -> Any:
        whole = tensors()
        # tf.random.shuffle in a dataset would begin anew each epoch after keras.utils.set_random_seed.
        order = tf.data.Dataset.range(rows).shuffle(rows, reshuffle_each_iteration=True).batch(size)
        return order.map(
            lambda chosen: map_leaves(lambda leaf: tf.gather(leaf, chosen), whole), num_parallel_calls=tf.data.AUTOTUNE
        ).prefetch(tf.data.AUTOTUNE)

    return batches


def _as_keras(leaf: Any, floatx: str) -> Any:
    """Floats as Keras makes them of arrays that are given to `fit`."""
    return leaf.astype(floatx) if leaf.dtype.kind == "f" else leaf


def _mapped_once(part: Any, mapped: Callable[..., Any]) -> Any:
    import numpy as np
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(part).map(mapped, num_parallel_calls=tf.data.AUTOTUNE)
    whole = next(iter(rows.batch(len(leaves(part)[0]))))
    return map_leaves(np.asarray, whole)


def is_pure(function: Preprocess, rows: Any) -> bool:
    """Whether a function draws nothing at random, keeps nothing and calls no Python, as far as its graph tells.

    Args:
        function: A function of a row.
        rows: Rows as arrays.
    """
    import tensorflow as tf

    spec = tf.data.Dataset.from_tensor_slices((rows,)).element_spec
    graph = tf.function(function).get_concrete_function(*spec).graph.as_graph_def()
    operations = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return not any(_IMPURE.search(each.op) for each in operations)


def _stacked(preprocess: Preprocess, rows: Any) -> Any:
    """What the function makes of rows one by one."""
    import tensorflow as tf

    return next(iter(tf.data.Dataset.from_tensor_slices((rows,)).map(preprocess).batch(len(leaves(rows)[0]))))


def _is_by_row(preprocess: Preprocess, rows: Any, singly: Any) -> bool:
    """Whether the function makes the same of batches of several sizes; not so where it takes rows alone."""
    import tensorflow as tf

    count, begin = len(leaves(rows)[0]), 0
    for size in (1, 7, 32, count):
        end = min(begin + size, count)
        if begin == end:
            return True
        batch, wanted = (map_leaves(operator.itemgetter(slice(begin, end)), each) for each in (rows, singly))
        try:
            made = next(iter(tf.data.Dataset.from_tensors((batch,)).map(preprocess)))
        except Exception:  # whatever it says to a batch
            return False
        if not _same(wanted, made):
            return False
        begin = end
    return True


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    pairs = list(zip(map(np.asarray, leaves(one)), map(np.asarray, leaves(other))))
    return len(leaves(one)) == len(leaves(other)) and all(
        a.shape == b.shape and (np.allclose(a, b, atol=1e-6) if a.dtype.kind == "f" else np.array_equal(a, b))
        for a, b in pairs
    )


def _can_be_cached(dataset: Any) -> bool:
    """Whether it ends, gives the same batches each time as far as it is looked at, and memory holds it."""
    import itertools

    import numpy as np
    import tensorflow as tf

    count = int(dataset.cardinality())
    if count in (tf.data.INFINITE_CARDINALITY, tf.data.UNKNOWN_CARDINALITY):
        return False
    if not all(isinstance(each, tf.TensorSpec) for each in tf.nest.flatten(dataset.element_spec)):
        return False  # ragged and sparse ones
    one, other = ([map_leaves(np.asarray, each) for each in itertools.islice(dataset, _COMPARED)] for _ in range(2))
    return bool(one) and all(map(_same, one, other)) and _fits(leaves(one[0]), count, per=1)


def _fits(arrays: Any, count: int, per: int | None = None) -> bool:
    """Whether `count` rows, or batches, such as these fit into half of the memory that is left."""
    import numpy as np

    from tfkit import memory

    found = list(map(np.asarray, arrays))
    size = sum(each.nbytes for each in found) / (per or len(found[0])) * count
    left = memory.left()
    return left is not None and size <= left / 2

"""The ways in which the train part of a task can be handed to `fit`."""

from __future__ import annotations

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
_COMPARED = 8  # rows, or batches, that two ways are compared on


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
    if not is_mapped(part):
        found["gathered"] = lambda size: _fit(_gathered(part, size))
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
    first = map_leaves(lambda leaf: tf.constant(leaf[:_COMPARED]), part[0])
    singly, again = (_stacked(preprocess, first) for _ in range(2))
    if not _same(singly, again):
        return found  # it draws at random: neither a batch nor a copy of its results is the same
    if _same(singly, _or_none(preprocess, first)):
        found["batched, then mapped"] = lambda size: _fit(
            _gathered(part, size).map(mapped, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        )
    if _fits(leaves(singly), len(leaves(part)[0])):
        found["mapped once"] = lambda size: _fit(_gathered(_mapped_once(part, mapped), size))
    return found


def _fit(dataset: Any) -> dict[str, Any]:
    # y is there so that settings of any layout take the place of those of another; Keras warns of the shuffle that
    # it takes for given.
    return {"x": dataset, "y": None, "shuffle": False}


def _gathered(part: Any, size: int) -> Any:
    """Batches that are gathered from tensors by an order that is drawn in one go each epoch."""
    import keras
    import tensorflow as tf

    with tf.device("CPU:0"):
        tensors = map_leaves(lambda leaf: tf.constant(_as_keras(leaf, keras.config.floatx())), part)
    rows = len(leaves(part)[0])

    def order(_: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(tf.random.shuffle(tf.range(rows))).batch(size)

    batches = tf.data.Dataset.range(1).flat_map(order)
    batches = batches.map(
        lambda chosen: map_leaves(lambda leaf: tf.gather(leaf, chosen), tensors), num_parallel_calls=tf.data.AUTOTUNE
    )
    known = batches.apply(tf.data.experimental.assert_cardinality(-(-rows // size)))
    return known.prefetch(tf.data.AUTOTUNE)


def _as_keras(leaf: Any, floatx: str) -> Any:
    """Floats as Keras makes them of arrays that are given to `fit`."""
    return leaf.astype(floatx) if leaf.dtype.kind == "f" else leaf


def _mapped_once(part: Any, mapped: Callable[..., Any]) -> Any:
    import numpy as np
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(part).map(mapped, num_parallel_calls=tf.data.AUTOTUNE)
    whole = next(iter(rows.batch(len(leaves(part)[0]))))
    return map_leaves(np.asarray, whole)


def _stacked(preprocess: Preprocess, rows: Any) -> Any:
    import tensorflow as tf

    count = len(leaves(rows)[0])
    dataset = tf.data.Dataset.from_tensor_slices(rows).map(preprocess).batch(count)
    return next(iter(dataset))


def _or_none(function: Preprocess, rows: Any) -> Any:
    """What the function makes of a batch; None where it takes rows alone, whatever it says to that."""
    import tensorflow as tf

    try:
        return next(iter(tf.data.Dataset.from_tensors(rows).map(function)))
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    if other is None:
        return False
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

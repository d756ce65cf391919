"""Data: the train, validation and test parts of a task, checked, and how they are batched."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from tfkit.errors import DataError
from tfkit.mapped import gathered_rows, is_mapped
from tfkit.nests import leaves, map_leaves

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
LABELS = ("x", "y", "sample_weight")


@dataclass(frozen=True, eq=False)
class Data:
    """The data of a task.

    Args:
        train: `(x, y)`, `(x, y, sample_weight)` or a `tf.data.Dataset` of such batches. x and y may be
            arrays or, for several inputs or outputs, dicts, lists or tuples of arrays, rows first.
        validation: What choices are made on; same forms.
        test: What only the last measurement reads; same forms.
        batch_size: Rows in a batch.
        seed: Seed of the order in which rows are shuffled.

    Raises:
        DataError: A part has no rows, lengths that differ, or a NaN; the text says which part and row.

    Example:
        >>> import numpy as np, tfkit
        >>> data = tfkit.Data((np.zeros((100, 8)), np.zeros(100)), batch_size=10)
        >>> data.rows("train")
        100
    """

    train: Any
    validation: Any = None
    test: Any = None
    batch_size: int = field(default=32, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for option, least in (("batch_size", 1), ("seed", 0)):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DataError(f"{option} must be an int >= {least}; got {value!r}")
        if self.train is None:
            raise DataError("the train part is None: pass (x, y) or a tf.data.Dataset of batches")
        for part in PARTS:
            object.__setattr__(self, part, checked_part(getattr(self, part), part))

    def part(self, name: Part) -> Any:
        """The part as `(x, y)`, `(x, y, sample_weight)` or a dataset of batches.

        Raises:
            DataError: If there is no such part.
        """
        found = getattr(self, name, None) if name in PARTS else None
        if found is None:
            given = ", ".join(each for each in PARTS if getattr(self, each) is not None)
            raise DataError(f"there is no {name!r} part; the data has: {given}")
        return found

    @property
    def held_out(self) -> Part:
        """The part that `tfkit.evaluate` measures on: test, else validation, else train."""
        return next(part for part in ("test", "validation", "train") if getattr(self, part) is not None)

    @property
    def choosing(self) -> Part:
        """The part that choices are made on: validation, else train. Never test."""
        return "validation" if self.validation is not None else "train"

    def rows(self, name: Part) -> int:
        """Number of rows of a part; reads a dataset through."""
        part = self.part(name)
        if not is_dataset(part):
            return _length(part[0])
        return sum(_length(_first(batch)) for batch in part)

    def dataset(self, name: Part, *, shuffle: bool | None = None) -> Any:
        """The part as a `tf.data.Dataset` of batches.

        Args:
            name: The part.
            shuffle: Whether rows come in a new order each epoch, drawn from `seed`; None shuffles
                the train part alone. A part given as a dataset comes as it is.
        """
        import tensorflow as tf

        part = self.part(name)
        if is_dataset(part):
            return part
        by_rows = is_mapped(part)
        dataset = tf.data.Dataset.range(self.rows(name)) if by_rows else tf.data.Dataset.from_tensor_slices(part)
        if (shuffle is None and name == "train") or shuffle:
            dataset = dataset.shuffle(self.rows(name), seed=self.seed, reshuffle_each_iteration=True)
        dataset = dataset.batch(self.batch_size)
        if by_rows:
            dataset = dataset.map(lambda rows: map_leaves(lambda leaf: gathered_rows(leaf, rows), part))
        return dataset.prefetch(tf.data.AUTOTUNE)

    def arrays(self, name: Part, limit: int | None = None) -> tuple[Any, ...]:
        """The part's first rows as `(x, y)` or `(x, y, sample_weight)` of numpy arrays.

        Args:
            name: The part.
            limit: Rows at most; None for all.
        """
        part = self.part(name)
        if is_dataset(part):
            return checked_part(_gathered(part, limit), name)
        return tuple(map_leaves(lambda leaf: leaf[:limit], each) for each in part)

    def without_test(self) -> Data:
        """The same data without its test part, for everything that makes choices."""
        return dataclasses.replace(self, test=None)

    def head(self, rows: int) -> Data:
        """The first rows of each part, for a quick try."""
        parts: dict[str, Any] = {name: self.arrays(name, rows) for name in PARTS if getattr(self, name) is not None}
        return dataclasses.replace(self, **parts)

    def sample(self, rows: int = 1) -> Any:
        """The first rows of input, from the validation part where there is one."""
        return self.arrays(self.choosing, rows)[0]

    def drawn(self, name: Part, rows: int) -> Any:
        """Rows of a part's input in random order by the seed, since a part may be sorted by its labels.

        Args:
            name: The part; of a dataset the first rows are taken.
            rows: Rows at most.
        """
        import numpy as np

        if is_dataset(self.part(name)):
            return self.arrays(name, rows)[0]
        chosen = np.random.default_rng(self.seed).permutation(self.rows(name))[:rows]
        return map_leaves(lambda leaf: leaf[chosen], self.part(name)[0])


def is_dataset(part: Any) -> bool:
    """Whether it is a dataset of batches and not arrays; imports no framework."""
    return not isinstance(part, (tuple, list)) and hasattr(part, "element_spec")


def checked_part(part: Any, name: str) -> Any:
    """A part with its leaves as numpy arrays; a dataset as it is.

    Args:
        part: `(x, y)`, `(x, y, sample_weight)`, or a dataset of batches.
        name: What the part is called in errors, such as "train".

    Raises:
        DataError: It has another form, no rows, rows that differ in number, or a value that is no number.
    """
    if part is None or is_dataset(part):
        return part
    if not isinstance(part, (tuple, list)) or len(part) not in (2, 3):
        raise DataError(
            f"the {name} part must be (x, y), (x, y, sample_weight) or a tf.data.Dataset of batches; "
            f"got {type(part).__name__}" + (f" of {len(part)} items" if isinstance(part, (tuple, list)) else "")
        )
    arrays = tuple(_as_arrays(value, label, name) for label, value in zip(LABELS, part))
    _check_lengths(arrays, name)
    for label, value in zip(LABELS, arrays):
        for leaf in leaves(value):
            _check_values(leaf, label, name)
    return arrays


def _as_arrays(value: Any, label: str, name: str) -> Any:
    try:
        arrays = as_arrays(value)
    except ValueError as error:
        raise DataError(
            f"the {name} part's {label} is no array, since its rows differ in shape: pad them, or give a "
            "tf.data.Dataset of batches"
        ) from error
    if not leaves(arrays):
        raise DataError(f"the {name} part's {label} holds no array: {value!r}")
    return arrays


def as_arrays(structure: Any) -> Any:
    """Turns leaves into numpy arrays; a list or tuple of arrays is several inputs, of numbers or strings it is one."""
    import numpy as np

    if isinstance(structure, dict):
        return {key: as_arrays(value) for key, value in structure.items()}
    if isinstance(structure, (tuple, list)) and structure and all(hasattr(each, "shape") for each in structure):
        return tuple(as_arrays(each) for each in structure)
    if type(structure).__module__.partition(".")[0] == "tensorflow":
        return structure.numpy()
    return np.asarray(structure)


def _check_lengths(arrays: tuple[Any, ...], name: str) -> None:
    lengths = {}
    for label, value in zip(LABELS, arrays):
        for position, leaf in enumerate(leaves(value)):
            if leaf.ndim == 0:
                raise DataError(f"the {name} part's {label} has no rows: it is a single value, {leaf!r}")
            lengths[label if position == 0 else f"{label}[{position}]"] = len(leaf)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{label} has {count}" for label, count in lengths.items())
        raise DataError(f"the {name} part's rows differ: {told}; give as many of each")
    if not all(lengths.values()):
        raise DataError(f"the {name} part has no rows")


def _check_values(leaf: Any, label: str, name: str) -> None:
    import numpy as np

    if leaf.dtype.kind == "O":
        _check_objects(leaf, label, name)
    if leaf.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(leaf)
    if not bad.any():
        return
    row = int(np.argwhere(bad)[0][0])
    value = leaf[tuple(np.argwhere(bad)[0])]
    raise DataError(
        f"the {name} part's {label} has {int(bad.sum())} values that are {value}, the first in row {row}; "
        "remove or fill those rows"
    )


def _check_objects(leaf: Any, label: str, name: str) -> None:
    """Refuses an array of Python objects that holds anything but strings, such as None for a missing value."""
    width = leaf.size // len(leaf)
    found = {type(value): (position, value) for position, value in reversed(list(enumerate(leaf.flat)))}
    for kind, (position, value) in sorted(found.items(), key=lambda each: issubclass(each[0], numbers.Number)):
        if not issubclass(kind, (str, bytes)):
            raise DataError(
                f"the {name} part's {label} has {value!r} in row {position // width}: "
                "make it an array of numbers or of strings alone"
            )


def _length(structure: Any) -> int:
    return int(leaves(structure)[0].shape[0])


def _first(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _gathered(dataset: Iterable[Any], limit: int | None) -> tuple[Any, ...]:
    import numpy as np

    batches: list[tuple[Any, ...]] = []
    count = 0
    for batch in dataset:
        whole = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if any(np.ndim(leaf) == 0 for leaf in leaves(whole)):
            raise DataError("the dataset yields single rows: give it in batches, dataset.batch(32)")
        batches.append(tuple(map_leaves(np.asarray, each) for each in whole))
        count += _length(whole[0])
        if limit is not None and count >= limit:
            break
    if not batches:
        raise DataError("the dataset yields no batches")
    columns = zip(*batches)
    return tuple(map_leaves(lambda leaf: leaf[:limit], _concatenated(column)) for column in columns)


def _concatenated(parts: tuple[Any, ...]) -> Any:
    import numpy as np

    first = parts[0]
    if isinstance(first, dict):
        return {key: _concatenated(tuple(part[key] for part in parts)) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_concatenated(tuple(part[i] for part in parts)) for i in range(len(first)))
    return np.concatenate(parts)

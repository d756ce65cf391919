"""What a search sends to its workers: the task as a pickle, the data in files that all workers share."""

from __future__ import annotations

import copy
import inspect
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.data import PARTS, Data, is_dataset
from tfkit.errors import ParameterError
from tfkit.missing import explain_missing
from tfkit.nests import map_leaves
from tfkit.pipeline.runners.protocol import Task

_TASK = "task.pkl"


@dataclass(frozen=True)
class Packed:
    """Stands for a dataset whose files it holds."""

    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Saved:
    """Stands for an array or a dataset that is in a file."""

    name: str


def ship(task: Task, folder: Path) -> None:
    """Writes a task to a folder.

    A part of the data that is a dataset is read once: where it shuffles or augments by itself, the workers see
    every epoch as that one.

    Args:
        task: What the trials have in common.
        folder: A folder; made where it does not exist.

    Raises:
        ParameterError: Something of it cannot be pickled, which is named; or a dataset has no end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = getattr(task, "data", None)
    light = task if data is None else _with_data(task, _emptied(data, folder))
    (folder / _TASK).write_bytes(_pickled(light))


def unship(folder: Path) -> Any:
    """The task that `ship` has written, its arrays mapped into memory."""
    task = pickle.loads((folder / _TASK).read_bytes())
    data = getattr(task, "data", None)
    return task if data is None else _with_data(task, _filled(data, folder))


def packed(task: Any) -> Any:
    """A task that can be pickled where there is no folder to share: datasets are in it, as files."""
    data = getattr(task, "data", None)
    if data is None:
        return task
    parts: dict[str, Any] = {name: _packed(getattr(data, name), name) for name in PARTS}
    return _with_data(task, _with_parts(data, {**parts, "test": None}))


def unpacked(task: Any, folder: Path) -> Any:
    """What `packed` was given, its datasets read from a folder that must live as long."""
    data = getattr(task, "data", None)
    if data is None:
        return task
    return _with_data(task, _with_parts(data, {name: _unpacked(getattr(data, name), folder / name) for name in PARTS}))


def _packed(part: Any, name: str) -> Any:
    if part is None or not is_dataset(part):
        return part
    with tempfile.TemporaryDirectory(prefix="tfkit-data-") as folder:
        _saved_dataset(part, name, Path(folder))
        root = Path(folder, name)
        return Packed({str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()})


def _unpacked(part: Any, folder: Path) -> Any:
    if not isinstance(part, Packed):
        return part
    for name, content in part.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return _opened(Saved(folder.name), folder.parent)


def _with_data(task: Any, data: Data | None) -> Any:
    copied = copy.copy(task)
    object.__setattr__(copied, "data", data)  # both are frozen
    return copied


def _with_parts(data: Data, parts: Mapping[str, Any]) -> Data:
    """A copy with other parts, which are not looked through again."""
    copied = copy.copy(data)
    for name, part in parts.items():
        object.__setattr__(copied, name, part)
    return copied


def _emptied(data: Data, folder: Path) -> Data:
    """The data with a `Saved` for everything that was written."""
    numbers = iter(range(10**9))

    def save(leaf: Any) -> Saved:
        import numpy as np

        saved = Saved(f"{next(numbers)}.npy")
        np.save(folder / saved.name, leaf, allow_pickle=True)
        return saved

    def kept(name: str, part: Any) -> Any:
        if part is None:
            return None
        return _saved_dataset(part, name, folder) if is_dataset(part) else map_leaves(save, part)

    # Trials never see the test part.
    return _with_parts(data, {name: kept(name, getattr(data, name)) if name != "test" else None for name in PARTS})


def _saved_dataset(dataset: Any, name: str, folder: Path) -> Saved:
    import tensorflow as tf

    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ParameterError(
            f"the {name} part is a dataset without an end, which workers cannot share: end it with dataset.take(…)"
        )
    dataset.save(str(folder / name))
    return Saved(name)


def _filled(data: Data, folder: Path) -> Data:
    return _with_parts(data, {name: _opened(getattr(data, name), folder) for name in PARTS})


def _opened(part: Any, folder: Path) -> Any:
    if part is None:
        return None
    if isinstance(part, Saved):
        import tensorflow as tf

        return tf.data.Dataset.load(str(folder / part.name))
    return map_leaves(lambda saved: mapped(folder / saved.name), part)


def mapped(path: Path) -> Any:
    """An array of a file in memory that other processes share; text of Python objects is read."""
    import numpy as np

    try:
        return np.load(path, mmap_mode="r")
    except ValueError:
        return np.load(path, allow_pickle=True)


def check_picklable(task: Any) -> None:
    """Checks that a task can be sent to another process, its data aside.

    Raises:
        ParameterError: Something of it cannot be pickled, which is named.
    """
    _pickled(task if getattr(task, "data", None) is None else _with_data(task, None))


def _pickled(task: Any) -> bytes:
    try:
        from tfkit.pipeline.runners.pickling import dumps
    except ModuleNotFoundError as error:
        raise ParameterError(explain_missing("search with workers", error)) from None
    try:
        return dumps(task)
    except Exception as error:
        named = next(_unpicklable(task, dumps), "the task")
        raise ParameterError(
            f"{named} cannot be sent to a worker ({str(error).splitlines()[0]}): make it inside the function that "
            "uses it, or search with workers=1"
        ) from None


def _unpicklable(task: Any, dumps: Any) -> Iterator[str]:
    """Names what cannot be pickled, the innermost that is found first."""
    for name, value in vars(task).items():
        if _is_picklable(value, dumps):
            continue
        if inspect.isfunction(value):
            for inner, used in _used(value).items():
                if not _is_picklable(used, dumps):
                    yield f"{inner!r}, which {name} uses,"
        yield repr(name)


def _used(function: Any) -> dict[str, Any]:
    found = inspect.getclosurevars(function)
    return {**found.globals, **found.nonlocals}


def _is_picklable(value: Any, dumps: Any) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True

"""dumps: a pickle that another process can read, whatever script its functions come from."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]


def dumps(value: Any) -> bytes:
    """Pickles by value what other processes cannot import: of the main program, of scripts and what is beside them.

    Args:
        value: Anything; what cannot be pickled raises whatever it raises.
    """
    file = io.BytesIO()
    with _by_value(list(_out_of_reach())):
        _Pickler(file).dump(value)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):
    """Cached functions go as the functions that they cache: Python's own way is their name, which a child may lack."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, functools._lru_cache_wrapper) and not _is_importable(obj.__module__):
            return _cached, (obj.__wrapped__, obj.cache_parameters())
        return super().reducer_override(obj)


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


@contextlib.contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    registered = set(cloudpickle.list_registry_pickle_by_value())
    mine = [module for module in modules if module.__name__ not in registered]
    for module in mine:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in mine:
            cloudpickle.unregister_pickle_by_value(module)


def _out_of_reach() -> Iterator[ModuleType]:
    """Modules and packages that were loaded from a folder which is not on Python's path."""
    folders = {str(Path(entry or ".").resolve()) for entry in sys.path}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or name == "__main__" or not file or getattr(module, "__name__", None) != name:
            continue
        place = Path(file).resolve().parents[1 if hasattr(module, "__path__") else 0]
        if str(place) not in folders and not _is_importable(name):
            yield module


def _is_importable(name: str) -> bool:
    """Whether a fresh process with the same path finds that module."""
    top = name.partition(".")[0]
    if top == "__main__":
        return False
    return any(_found(finder, top) for finder in sys.meta_path)


def _found(finder: Any, name: str) -> importlib.machinery.ModuleSpec | None:
    find = getattr(finder, "find_spec", None)
    return None if find is None else find(name, None)

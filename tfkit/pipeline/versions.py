"""Version folders: which there are, and how a new one comes to be whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfkit.errors import ParameterError
from tfkit.interrupt import heard_terminations

_ASIDE = ".tfkit-export-"
# TensorFlow Serving reads versions as int64.
_LARGEST = 2**63 - 1


def versions(directory: Path) -> list[int]:
    """The versions that a model's folder holds, as TensorFlow Serving reads their names, in ascending order."""
    if not directory.is_dir():
        return []
    names = [path.name for path in directory.iterdir() if path.name.isascii() and path.name.isdigit()]
    return sorted(version for version in map(int, names) if version <= _LARGEST)


@contextlib.contextmanager
def aside(directory: Path) -> Iterator[Path]:
    """An empty hidden folder inside `directory`, gone after the block whatever happens in it, also on SIGTERM.

    `directory` is made where it does not exist, and removed again if the block leaves it empty. What a
    process that was killed left behind is removed first: it holds no lock any more.

    Raises:
        ParameterError: `directory` is a file or cannot be written to.
    """
    if directory.exists() and not directory.is_dir():
        raise ParameterError(f"the directory {str(directory)!r} is a file: pass a folder to hold the versions")
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        with heard_terminations(), _locked_folder(directory) as folder:
            yield folder
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def free_version(directory: Path, wanted: int | None) -> int:
    """The version to write: the one wanted, else the highest there is and 1.

    Raises:
        ParameterError: It is no positive int, or exists.
    """
    taken = versions(directory)
    if wanted is None:
        return max(taken, default=0) + 1
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= _LARGEST:
        raise ParameterError(f"version= must be an int >= 1 or None, and int64 must hold it; got {wanted!r}")
    if wanted in taken:
        raise ParameterError(
            f"version {wanted} exists in {str(directory)!r}: pass version={taken[-1] + 1}, or None for the next"
        )
    return wanted


def move_in(folder: Path, directory: Path, version: int | None) -> int:
    """Makes a finished folder the version, on disk before it is seen, and returns its number.

    Raises:
        ParameterError: The version exists by now.
    """
    for path in (*folder.rglob("*"), folder):
        _sync(path)
    with alone_in(directory):
        number = free_version(directory, version)
        folder.rename(directory / str(number))
    _sync(directory)
    return number


@contextlib.contextmanager
def _locked_folder(directory: Path) -> Iterator[Path]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with alone_in(directory):  # so that no other export takes the new folder for a leftover
            _remove_leftovers(directory)
            outer = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=directory))
            lock = _acquire(outer)
    except OSError as error:
        raise ParameterError(f"the directory {str(directory)!r} cannot be written to: {error.strerror}") from None
    try:
        folder = outer / "model"  # mkdtemp's own folder is closed to other users
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(outer, ignore_errors=True)
        os.close(lock)


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError), alone_in(path, fcntl.LOCK_NB):  # an export at work holds it
            shutil.rmtree(path)


@contextlib.contextmanager
def alone_in(path: Path, flags: int = 0) -> Iterator[None]:
    """Waits until no other process is at work in a folder, and keeps others out; the lock dies with its process."""
    lock = _acquire(path, flags)
    try:
        yield
    finally:
        os.close(lock)


def _acquire(path: Path, flags: int = 0) -> int:
    """Takes the lock of a folder, which dies with the process that holds it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

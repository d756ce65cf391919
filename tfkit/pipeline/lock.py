"""A lock on a folder that dies with the process that holds it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfkit.errors import RunError

# A process may take its own file lock twice: these are the folders it holds.
_held: set[Path] = set()


@contextlib.contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Holds a folder for this process. The lock is no child process's: one that outlives its parent does not keep it.

    Args:
        directory: The folder; made where it does not exist.
        name: Name of the file in it that is locked.

    Raises:
        RunError: Another process, or this one, is at work there; or it cannot be written.
    """
    import fcntl  # Not on Windows; the rest of tfkit imports there.

    path = directory.resolve() / name
    with contextlib.ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = None if path in _held else stack.enter_context(path.open("a"))
        except OSError as error:
            raise RunError(f"the directory {directory} cannot be written ({error.strerror}): choose another") from None
        try:
            if file is None:
                raise BlockingIOError
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"a process is at work in {directory}: wait for it, or choose another directory") from None
        _held.add(path)
        stack.callback(_held.discard, path)
        yield

"""Temporary folders: one to work in, and ones that live as long as the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Works in a new empty folder for the length of a `with` block; what could be imported still can."""
    before, path = Path.cwd(), list(sys.path)
    with tempfile.TemporaryDirectory() as folder:
        sys.path[:] = [str(Path(each).resolve()) for each in path]
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
            sys.path[:] = path


def lasting_folder() -> Path:
    """A new empty folder, gone when the process ends."""
    folder = Path(tempfile.mkdtemp()).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def files(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())

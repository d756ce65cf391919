"""Progress of long work: a bar on a terminal, a line per stage elsewhere."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

# rich is imported when something is shown: `import tfkit` stays quick.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Advance = Callable[[str], None]

_shown: list[Progress] = []


@contextlib.contextmanager
def task(description: str, total: int | None = None) -> Iterator[Advance]:
    """Shows that something is under way until the block ends.

    Args:
        description: What is done, in a few words.
        total: Number of units of work, or None where it is not known.

    Yields:
        A function to call after each unit, with a few words on it (or "").
    """
    if not _console().is_terminal:
        with _lines(description) as advance:
            yield advance
        return
    with _progress() as progress:
        identity = progress.add_task(description, total=total)

        def step(words: str = "") -> None:
            progress.update(identity, advance=1, description=f"{description} {words}".rstrip())

        try:
            yield step
        finally:
            progress.remove_task(identity)


def say(text: str) -> None:
    """Prints one line to standard error, above the bars."""
    _console().print(text, highlight=False, markup=False, soft_wrap=True)


@functools.cache
def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """One live display for all tasks: rich allows only one at a time."""
    if _shown:
        yield _shown[-1]
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_console(), transient=True) as progress:
        _shown.append(progress)
        try:
            yield progress
        finally:
            _shown.pop()


@contextlib.contextmanager
def _lines(description: str) -> Iterator[Advance]:
    """Where there is no terminal: a line now and then, so that a log shows life."""
    last = time.monotonic()
    done = 0

    def step(words: str = "") -> None:
        nonlocal last, done
        done += 1
        if time.monotonic() - last > 10:
            last = time.monotonic()
            say(f"{description}: {done} done {words}".rstrip())

    yield step

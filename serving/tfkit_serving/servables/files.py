"""Threads of their own for what asks the file system: requests that are read in others never keep it waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="files")


async def in_file_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls a function that reads files, in a thread.

    Example:
        >>> asyncio.run(in_file_thread(len, "abc"))
        3
    """
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: function(*args, **kwargs))

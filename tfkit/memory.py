"""How much memory there is, and how much of it a process holds."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total() -> int:
    """Bytes of memory that this process may use: the machine's, or those of its container."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _CONTROL_GROUPS:
        with contextlib.suppress(OSError, ValueError):  # it says "max" where there is no limit
            found.append(int(Path(path).read_text()))
    return min(found)


def held(pid: int) -> int | None:
    """Bytes that a process holds for itself; files that it shares with others do not count.

    Returns:
        None where it is gone, or the system does not tell.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.partition(":")[::2] for line in lines)
    if "RssAnon" not in fields:
        return None
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))


def left() -> int | None:
    """Bytes that this process could still take; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.partition(":")[::2] for line in lines)
    free, mine = fields.get("MemAvailable"), held(os.getpid())
    if free is None or mine is None:
        return None
    return max(0, min(int(free.split()[0]) * 1024, total() - mine))


def peak() -> int:
    """The most bytes that this process has held at once, shared ones included."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

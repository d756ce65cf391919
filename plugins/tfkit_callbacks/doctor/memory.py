"""How much memory this process takes, and how much there is."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> tuple[int, int] | None:
    """Bytes that this process takes, and that it may take; None where the system does not tell.

    Example:
        >>> used, limit = memory() or (1, 2)
        >>> 0 < used < limit
        True
    """
    try:
        used = _kibibytes(Path("/proc/self/status"), "VmRSS")
        free = _kibibytes(Path("/proc/meminfo"), "MemAvailable")
        limit = used + free
        if _CGROUP.exists() and (text := _CGROUP.read_text().strip()).isdigit():
            limit = min(limit, int(text))
    except (OSError, StopIteration, ValueError):
        return None
    return used, limit


def _kibibytes(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])

"""API keys: hashed at rest, compared in constant time, each with its own rate and its own tasks."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """What a line of the keys file says.

    Attributes:
        name: Whose key it is; it is what logs and metrics say, never the key.
        digest: The key's SHA-256, in hex.
        rate: Requests a second; None for no bound.
        tasks: The tasks that it opens; empty for all.
    """

    name: str
    digest: str
    rate: float | None = None
    tasks: frozenset[str] = frozenset()


class KeyRing:
    """The keys that are known.

    A key is random and long, so that one round of SHA-256 is enough; a password would need a slow hash.

    Args:
        keys: The keys.

    Example:
        >>> ring = KeyRing([Key("web", digest("s3cret"))])
        >>> ring.find("s3cret").name, ring.find("guess") is None
        ('web', True)
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key: str) -> Key | None:
        """The entry of a key, or None; every entry is compared, so that time tells nothing."""
        given, found = digest(key), None
        for each in self._keys:
            if hmac.compare_digest(each.digest, given):
                found = each
        return found


class RateLimit:
    """Token buckets, one per name: a second's worth of requests may come at once.

    Args:
        clock: Seconds that never go back.

    Example:
        >>> limit = RateLimit(clock=lambda: 0.0)
        >>> [limit.wait("web", 2.0) for _ in range(3)]
        [0.0, 0.0, 0.5]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, name: str, rate: float) -> float:
        """Takes a token: 0.0, or the seconds until there is one, in which case none is taken.

        Args:
            name: Whose bucket.
            rate: Tokens a second; the bucket holds as many, and at least one.
        """
        now, full = self._clock(), max(1.0, rate)
        tokens, at = self._buckets.get(name, (full, now))
        tokens = min(full, tokens + (now - at) * rate)
        if tokens < 1.0:
            self._buckets[name] = (tokens, now)
            return (1.0 - tokens) / rate
        self._buckets[name] = (tokens - 1.0, now)
        return 0.0


def digest(key: str) -> str:
    """What the keys file holds of a key: its SHA-256, in hex, as `printf %s KEY | sha256sum` prints it."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> KeyRing:
    """Reads a keys file: a key per line, `NAME SHA256 [rate=N] [tasks=A,B]`; empty lines and `#` lines do not count.

    Raises:
        ValueError: A line that is none of this, a name twice, or no key at all. The key itself is never quoted.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--api_keys_file {str(path)!r} cannot be read: {error}") from None
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key = _read_line(line, f"{str(path)!r}, line {number}")
        if key.name in keys:
            raise ValueError(f"{str(path)!r}, line {number}: the name {key.name!r} is there twice")
        keys[key.name] = key
    if not keys:
        raise ValueError(
            f"{str(path)!r} holds no key, so nobody could call; a line is: NAME SHA256 [rate=N] [tasks=A,B]"
        )
    return KeyRing(keys.values())


def _read_line(line: str, where: str) -> Key:
    name, *rest = line.split()
    if not rest or not _DIGEST.fullmatch(rest[0].lower()):
        raise ValueError(f"{where}: expected NAME SHA256, 64 hex digits as `printf %s KEY | sha256sum` prints them")
    options = dict(each.partition("=")[::2] for each in rest[1:])
    if unknown := set(options) - {"rate", "tasks"}:
        raise ValueError(f"{where}: unknown option {sorted(unknown)[0]!r}; there are rate=N and tasks=A,B")
    tasks = frozenset(filter(None, options.get("tasks", "").split(",")))
    return Key(name, rest[0].lower(), _read_rate(options, where), tasks)


def _read_rate(options: Mapping[str, str], where: str) -> float | None:
    if "rate" not in options:
        return None
    try:
        rate = float(options["rate"])
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ValueError(f"{where}: rate= must be requests a second, a number > 0; got {options['rate']!r}")
    return rate

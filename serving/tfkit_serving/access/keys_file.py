"""read_keys: the file that says which keys there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tfkit_serving.access.keys import Key, KeyRing

_DIGEST = re.compile(r"[0-9a-f]{64}")
# What a key is bound to, and by which program.
_PROGRAMS = {"tasks": "tfkit gateway", "models": "tfkit serve"}


def read_keys(path: Path, bound: str) -> KeyRing:
    """Reads a keys file: a key per line, `NAME SHA256 [rate=N] [tasks=A,B]`; empty lines and `#` lines do not count.

    Args:
        path: The file.
        bound: The option that names what a key opens: "tasks" or "models".

    Raises:
        ValueError: A line that is none of this, a name twice, or no key at all. The key itself is never quoted.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--api_keys_file {str(path)!r} cannot be read: {error}") from None
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key = _read_line(line, bound, f"{str(path)!r}, line {number}")
        if key.name in keys:
            raise ValueError(f"{str(path)!r}, line {number}: the name {key.name!r} is there twice")
        keys[key.name] = key
    if not keys:
        raise ValueError(
            f"{str(path)!r} holds no key, so nobody could call; a line is: NAME SHA256 [rate=N] [{bound}=A,B]"
        )
    return KeyRing(keys.values())


def _read_line(line: str, bound: str, where: str) -> Key:
    name, *rest = line.split()
    if not rest or not _DIGEST.fullmatch(rest[0].lower()):
        raise ValueError(f"{where}: expected NAME SHA256, 64 hex digits as `printf %s KEY | sha256sum` prints them")
    options = _read_options(rest[1:], bound, where)
    return Key(name, rest[0].lower(), _read_rate(options, where), _read_names(options, bound, where))


def _read_options(words: list[str], bound: str, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for option, _, value in (each.partition("=") for each in words):
        if option in options:
            raise ValueError(f"{where}: {option}= is there twice")
        if option in _PROGRAMS and option != bound:
            raise ValueError(f"{where}: {option}= is for `{_PROGRAMS[option]}`; here it is {bound}=A,B")
        if option not in ("rate", bound):
            # Not quoted: it may be the key.
            raise ValueError(f"{where}: an unknown option; there are rate=N and {bound}=A,B")
        options[option] = value
    return options


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


def _read_names(options: Mapping[str, str], bound: str, where: str) -> frozenset[str]:
    if bound not in options:
        return frozenset()
    names = frozenset(filter(None, options[bound].split(",")))
    if not names:
        # Empty would open all.
        raise ValueError(f"{where}: {bound}= names none; leave it out for all")
    return names

"""check_name: names of models and labels that every URL, flag and file takes as they are."""

from __future__ import annotations

import re

# TensorFlow Serving's URLs end a name at "/" and ":", flags at "," and "="; all else takes escapes somewhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(what: str, name: str) -> None:
    """Refuses a name that some place would not take.

    Args:
        what: What it names, for the error's text.
        name: The name.

    Raises:
        ValueError: It holds other than letters and digits, and ".", "_" and "-" behind the first.

    Example:
        >>> check_name("label", "canary-2")
        >>> check_name("label", 'a"b')
        Traceback (most recent call last):
        ValueError: the label 'a"b' must be letters and digits, and ".", "_" or "-" behind the first
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f'the {what} {name!r} must be letters and digits, and ".", "_" or "-" behind the first')

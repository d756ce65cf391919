"""environment_key: the API key that commands show to a server."""

from __future__ import annotations

import os

API_KEY = "TFKIT_API_KEY"


def environment_key() -> str | None:
    """The value of TFKIT_API_KEY, or None; among a command's arguments, every user of the machine would see a key."""
    return os.environ.get(API_KEY) or None

"""Key and KeyRing: API keys, hashed at rest and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """What a line of the keys file says.

    Attributes:
        name: Whose key it is; it is what logs and metrics say, never the key.
        digest: The key's SHA-256, in hex.
        rate: Requests a second; None for no bound.
        opens: The tasks or models that it opens; empty for all.

    Example:
        >>> Key("web", digest(b"s3cret"), opens=frozenset({"digits"})).may_call("sentiment")
        False
    """

    name: str
    digest: str
    rate: float | None = None
    opens: frozenset[str] = frozenset()

    def may_call(self, name: str) -> bool:
        """Whether it opens a task or a model."""
        return not self.opens or name in self.opens


class KeyRing:
    """The keys that are known.

    A key is random and long, so that one round of SHA-256 is enough; a password would need a slow hash.

    Args:
        keys: The keys.

    Example:
        >>> ring = KeyRing([Key("web", digest(b"s3cret"))])
        >>> ring.find(b"s3cret").name, ring.find(b"guess") is None
        ('web', True)
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def find(self, key: bytes) -> Key | None:
        """The entry of a key, or None; every entry is compared, so that time tells nothing."""
        given, found = digest(key), None
        for each in self._keys:
            if hmac.compare_digest(each.digest, given):
                found = each
        return found


def digest(key: bytes) -> str:
    """What the keys file holds of a key: its SHA-256, in hex, as `printf %s KEY | sha256sum` prints it."""
    return hashlib.sha256(key).hexdigest()

"""Serving: a client, an embedded server and a gateway, with TensorFlow Serving's own APIs.

Example:
    >>> from tfkit_serving import Client
    >>> with Client("http://localhost:8501") as client:  # doctest: +SKIP
    ...     client.predict("digits", images)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfkit_serving.client.async_client import AsyncClient
    from tfkit_serving.client.sync_client import Client
    from tfkit_serving.protocol.errors import ServingError

__all__ = ["AsyncClient", "Client", "ServingError"]

# Imported when first asked for: who serves takes no client, and who asks takes no server.
_HOMES = {
    "AsyncClient": "tfkit_serving.client.async_client",
    "Client": "tfkit_serving.client.sync_client",
    "ServingError": "tfkit_serving.protocol.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"tfkit_serving has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)

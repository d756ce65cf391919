"""Message classes, by the short names of TensorFlow's and TensorFlow Serving's protocol buffers.

They are wire compatible with TensorFlow's own and import none of it.

Example:
    >>> from tfkit_serving.protocol.messages import PredictRequest
    >>> request = PredictRequest()
    >>> request.model_spec.name = "digits"
    >>> request.DESCRIPTOR.full_name, request.SerializeToString()
    ('tensorflow.serving.PredictRequest', b'\\n\\x08\\n\\x06digits')
"""

from __future__ import annotations

from typing import Any

from tfkit_serving.protocol.pool import CLASSES

__all__ = sorted(CLASSES)


def __getattr__(name: str) -> Any:
    try:
        return CLASSES[name]
    except KeyError:
        raise AttributeError(f"there is no message {name!r}; there are {', '.join(sorted(CLASSES))}") from None

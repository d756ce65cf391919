"""Method handlers: from a request's bytes to its response's, with errors as statuses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tfkit_serving.protocol.errors import ServingError

Answer = Callable[[Any], Awaitable[Any]]
_CODES = {code.name: code for code in grpc.StatusCode}
# An error's text travels in a header; clients refuse headers of 8 KiB, and show another error instead.
_LONGEST_TEXT = 6000
_LOG = logging.getLogger(__name__)


def unary(message: Any, answer: Answer) -> grpc.RpcMethodHandler:
    """The handler of a method with one request and one response.

    Args:
        message: The request's message class.
        answer: From a request to a response message; raises ServingError.
    """

    async def handle(request: bytes, context: Any) -> bytes:
        try:
            return (await answer(_parsed(message, request))).SerializeToString()
        except ServingError as error:
            refused = error
        except Exception as error:
            _LOG.exception("a gRPC request failed through a fault of the server")
            refused = ServingError("INTERNAL", f"{type(error).__name__} while answering; see the server's log")
        # Outside the handlers of exceptions: what abort raises should not drag the error along.
        return await context.abort(_CODES[refused.code], _header_text(refused.message))

    return grpc.unary_unary_rpc_method_handler(handle)


def _parsed(message: Any, request: bytes) -> Any:
    try:
        return message.FromString(request)
    except DecodeError:
        name = message.DESCRIPTOR.full_name
        raise ServingError("INVALID_ARGUMENT", f"the request's {len(request)} bytes are no {name}") from None


def _header_text(text: str) -> str:
    raw = text.encode("utf-8", "replace")
    length = 0
    for index, byte in enumerate(raw):
        length += 1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3  # gRPC's percent-encoding
        if length > _LONGEST_TEXT:
            return raw[:index].decode("utf-8", "ignore") + "..."
    return text

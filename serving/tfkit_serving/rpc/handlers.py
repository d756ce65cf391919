"""Method handlers: from a request's bytes to its response's, with errors as statuses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tfkit_serving.protocol.errors import ServingError

Answer = Callable[[Any, Any], Awaitable[Any]]
_CODES = {code.name: code for code in grpc.StatusCode}
# An error's text travels in a header; clients refuse headers of 8 KiB, and show another error instead.
_LONGEST_TEXT = 6000
_LOG = logging.getLogger(__name__)


def unary(message: Any, answer: Answer) -> grpc.RpcMethodHandler:
    """The handler of a method with one request and one response.

    Args:
        message: The request's message class.
        answer: From a request and its call's context to a response message; raises ServingError.
    """

    async def answer_bytes(request: bytes, context: Any) -> bytes:
        response: bytes = (await answer(parsed(message, request), context)).SerializeToString()
        return response

    return unary_bytes(answer_bytes)


def unary_bytes(answer: Callable[[bytes, Any], Awaitable[bytes]]) -> grpc.RpcMethodHandler:
    """The handler of a method whose messages are left to `answer`.

    Args:
        answer: From a request's bytes and its call's context to the response's; raises ServingError.
    """

    async def handle(request: bytes, context: Any) -> bytes:
        try:
            return await answer(request, context)
        except ServingError as error:
            refused = error
        except Exception as error:
            _LOG.exception("a gRPC request failed through a fault of the server")
            refused = ServingError("INTERNAL", f"{type(error).__name__} while answering; see the server's log")
        # Outside the handlers of exceptions: what abort raises should not drag the error along.
        return await refuse(context, refused)

    return grpc.unary_unary_rpc_method_handler(handle)


async def refuse(context: Any, error: ServingError) -> bytes:
    """Ends a call with an error's code and text; raises what gRPC waits for."""
    ended: bytes = await context.abort(_CODES[error.code], _header_text(error.message))
    return ended


def parsed(message: Any, request: bytes) -> Any:
    """The message that a request's bytes are.

    Raises:
        ServingError: INVALID_ARGUMENT: they are none.
    """
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

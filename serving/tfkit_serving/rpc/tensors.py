"""The tensors of a Predict request, checked against the signature in TensorFlow Serving's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.tensors import to_array
from tfkit_serving.servables.signature import Signature


def request_inputs(request: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Arrays for a signature's inputs, in the signature's order; its defaults stand for those that are not sent.

    Args:
        request: The PredictRequest.
        signature: The signature that it names.

    Raises:
        ServingError: INVALID_ARGUMENT: an input is missing, unknown, or no tensor.
    """
    sent, defaults = request.inputs, signature.proto.defaults
    if len(sent) > len(signature.inputs) or (len(sent) < len(signature.inputs) and not defaults):
        raise _wrong_number(sent, signature)
    arrays = {}
    for name in signature.inputs:
        if name not in sent and name not in defaults:
            raise _missing(name, sent, signature)
        arrays[name] = _array(name, sent[name] if name in sent else defaults[name])
    if any(name not in arrays for name in sent):
        used = [name for name in sent if name in arrays]
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Inputs contains invalid name. Used request inputs: {_joined(used)}, request input: {_joined(sent)}",
        )
    return arrays


def requested_outputs(request: Any, signature: Signature) -> list[str] | None:
    """Names of the outputs that a request's output_filter asks for; None for all.

    Raises:
        ServingError: INVALID_ARGUMENT: it names what is no output, or one twice.
    """
    seen: list[str] = []
    for name in request.output_filter:
        if name not in signature.outputs:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{_joined(signature.outputs)}}}.",
            )
        if name in seen:
            raise ServingError("INVALID_ARGUMENT", f"duplicate output tensor alias: {name}")
        seen.append(name)
    return seen or None


def _array(name: str, tensor: Any) -> np.ndarray:
    try:
        return to_array(tensor)
    except ServingError as error:
        raise ServingError(error.code, f"tensor parsing error: {name}: {error.message}") from None


def _wrong_number(sent: Any, signature: Signature) -> ServingError:
    wanted = signature.inputs
    extra = [name for name in sent if name not in wanted]
    missing = [name for name in wanted if name not in sent]
    return ServingError(
        "INVALID_ARGUMENT",
        f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{_joined(sent)}}}) != "
        f"len({{{_joined(wanted)}}}). Sent extra: {{{_joined(extra)}}}. Missing but required: {{{_joined(missing)}}}.",
    )


def _missing(name: str, sent: Any, signature: Signature) -> ServingError:
    return ServingError(
        "INVALID_ARGUMENT",
        f"Signature input alias: {name}(feed name: {signature.inputs[name].name}) not found in request and no default "
        f"value provided. Inputs expected to be in the request {{{_joined(sent)}}}, or default input alias set: "
        f"{_joined(signature.proto.defaults)}",
    )


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))

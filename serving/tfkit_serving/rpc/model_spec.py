"""Model specs on the wire: which version a request is for, and which one answered."""

from __future__ import annotations

from typing import Any

from tfkit_serving.inference import DEFAULT_SIGNATURE
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec


def requested(request: Any) -> ModelSpec:
    """What a request message's model_spec names.

    Raises:
        ServingError: INVALID_ARGUMENT: it has none, or one without a name.

    Example:
        >>> from tfkit_serving.protocol.messages import PredictRequest
        >>> requested(PredictRequest(model_spec={"name": "digits", "version": {"value": 3}}))
        ModelSpec(name='digits', version=3, label=None)
    """
    if not request.HasField("model_spec"):
        raise ServingError("INVALID_ARGUMENT", "Missing ModelSpec")
    return named(request.model_spec)


def named(spec: Any) -> ModelSpec:
    """What a model_spec message names.

    Raises:
        ServingError: INVALID_ARGUMENT: it has no name.
    """
    if not spec.name:
        raise ServingError("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version":
        return ModelSpec(spec.name, version=spec.version.value)
    if choice == "version_label":
        return ModelSpec(spec.name, label=spec.version_label)
    return ModelSpec(spec.name)


def tell(answered: Any, spec: Any, version: int) -> None:
    """Writes into a response's model_spec which version and signature answered a request's."""
    answered.name = spec.name
    answered.signature_name = spec.signature_name or DEFAULT_SIGNATURE
    answered.version.value = version

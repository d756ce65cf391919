"""Calls: what a client does for each of its methods, as generators that give requests and take replies.

`sync_client` and `async_client` run them, each in its own way; nothing here waits or connects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Error as MessageError

from tfkit_serving.client.examples import Features, read_example, read_examples
from tfkit_serving.client.exchange import Call
from tfkit_serving.client.inputs import fit_inputs, plain_inputs, shape_notes
from tfkit_serving.client.metadata import MetadataCache, ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.client.words import Words
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.status import VersionStatus

T = TypeVar("T")

_DEFAULT_SIGNATURE = "serving_default"
# What the real server, or one behind a proxy, says where it has no readiness check: it is there.
_NO_SUCH_CHECK = ("NOT_FOUND", "UNIMPLEMENTED", "INVALID_ARGUMENT")
# Where the metadata cannot be had for one of these, the call itself could not be made either.
_HOPELESS = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


class Calls:
    """The calls of one client.

    Args:
        words: The protocol.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._cache = MetadataCache()

    def predict(self, spec: ModelSpec, inputs: Any, signature: str | None) -> Call[np.ndarray | dict[str, np.ndarray]]:
        """Checks the inputs against the signature, and asks for a prediction."""
        metadata = yield from self._known(spec)
        try:
            found, fitted = self._fit(spec, inputs, signature, metadata)
        except ServingError:
            if not self._may_have_changed(spec, metadata):
                raise
            self._cache.forget(spec)
            metadata = yield from self._known(spec)
            found, fitted = self._fit(spec, inputs, signature, metadata)
        try:
            reply = yield self._words.predict(spec, signature, fitted)
        except ServingError as error:
            raise _explained(error, fitted, found, _where(spec, signature)) from None
        if metadata is None:
            self._cache.keep(spec, None)
        outputs = _read(self._words.outputs, reply, found)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def classify(
        self, spec: ModelSpec, examples: Iterable[Any], context: Any, signature: str | None
    ) -> Call[list[list[Classification]]]:
        """Asks for the classes of examples."""
        reply = yield self._words.classify(spec, signature, read_examples(examples), _context(context))
        return _read(self._words.classes, reply)

    def regress(
        self, spec: ModelSpec, examples: Iterable[Any], context: Any, signature: str | None
    ) -> Call[np.ndarray]:
        """Asks for the values of examples."""
        reply = yield self._words.regress(spec, signature, read_examples(examples), _context(context))
        return _read(self._words.values, reply)

    def metadata(self, spec: ModelSpec) -> Call[ModelMetadata]:
        """Asks for signatures, whatever is known of them."""
        reply = yield self._words.metadata(spec)
        metadata = _read(self._words.signatures, reply)
        self._cache.keep(spec, metadata)
        return metadata

    def status(self, spec: ModelSpec) -> Call[list[VersionStatus]]:
        """Asks for the states of versions."""
        reply = yield self._words.status(spec)
        return _read(self._words.states, reply)

    def ready(self) -> Call[bool]:
        """Asks whether the server serves; one that knows no such question does, since it answers."""
        try:
            reply = yield self._words.ready()
        except ServingError as error:
            return error.code in _NO_SUCH_CHECK
        return _read(self._words.is_ready, reply)

    def reload(self, config: Any) -> Call[None]:
        """Has the server serve what a configuration says."""
        reply = yield self._words.reload(config)
        _read(self._words.reloaded, reply)

    def _known(self, spec: ModelSpec) -> Call[ModelMetadata | None]:
        known, metadata = self._cache.find(spec)
        if known:
            return metadata
        try:
            return (yield from self.metadata(spec))
        except ServingError as error:
            if error.code in _HOPELESS:
                raise
            return None  # the server says to the call itself what is wrong

    def _fit(
        self, spec: ModelSpec, inputs: Any, signature: str | None, metadata: ModelMetadata | None
    ) -> tuple[Signature | None, Any]:
        found = metadata.signatures.get(signature or _DEFAULT_SIGNATURE) if metadata else None
        if found is None:
            return None, plain_inputs(inputs)
        where = _where(spec, signature)
        fitted = fit_inputs(inputs, found, where)
        self._words.check(fitted, found, where)
        return found, fitted

    def _may_have_changed(self, spec: ModelSpec, metadata: ModelMetadata | None) -> bool:
        return metadata is not None and spec.version is None


def _where(spec: ModelSpec, signature: str | None) -> str:
    return f"model {spec.name!r}" + ("" if signature is None else f", signature {signature!r}")


def _explained(error: ServingError, fitted: Any, found: Signature | None, where: str) -> ServingError:
    """The server's refusal, and after it what the signature says of shapes that are not its own."""
    notes = shape_notes(fitted, found, where) if found and error.code == "INVALID_ARGUMENT" else ""
    return ServingError(error.code, f"{error.message} ({notes})") if notes else error


def _context(given: Any) -> Features | None:
    return None if given is None else read_example(given)


def _read(reader: Callable[..., T], reply: bytes, *more: Any) -> T:
    try:
        return reader(reply, *more)
    except (LookupError, ValueError, TypeError, AttributeError, MessageError) as error:
        raise ServingError("INTERNAL", f"the server's reply cannot be read: {type(error).__name__}: {error}") from error

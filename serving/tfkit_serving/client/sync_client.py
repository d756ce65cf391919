"""Client: asks a model server and waits for the answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

from tfkit_serving.client.exchange import Call, Deadline, Request, next_wait, waits
from tfkit_serving.client.metadata import ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.client.settings import Settings, model_spec
from tfkit_serving.client.tls import Path
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.status import VersionStatus

T = TypeVar("T")


class _Connections(Protocol):
    def send(self, request: Request, deadline: Deadline) -> bytes:
        """Sends a request and returns the reply's body."""

    def close(self) -> None:
        """Closes what is open."""


class Client:
    """A client of TensorFlow Serving's APIs: of `tfkit serve`, and of the real server alike.

    Threads may share one. It keeps its connections, so that one client for many calls is faster than many clients.

    Args:
        url: The server: "http://host:8501", "https://host/prefix", "grpc://host:8500", "grpcs://…" or "host:port".
        transport: "rest" or "grpc"; None for what the URL's scheme says, REST where it says nothing.
        timeout: Seconds that a call may take, with all retries; None for no bound, as a server that hangs then has it.
        retries: How often a request is sent again, after growing waits, where the server is not reached or says that
            it is UNAVAILABLE (503). Other errors are raised at once.
        headers: Header lines, with gRPC metadata, of every request, such as {"X-Request-Id": "job-7"}.
        authority: A PEM file of the certificate authorities to trust; None for the system's.
        certificate: PEM files of the client's own certificate and its key.
        api_key: The key that the server asks for, sent as `Authorization: Bearer KEY`.

    Raises:
        ValueError: An argument is wrong.

    Example:
        >>> with Client("http://localhost:8501") as client:  # doctest: +SKIP
        ...     client.predict("half_plus_two", [[1.0], [2.0]])
        array([[2.5],
               [3. ]], dtype=float32)
    """

    def __init__(
        self,
        url: str,
        *,
        transport: str | None = None,
        timeout: float | None = 10.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        api_key: str | None = None,
    ) -> None:
        self._settings = Settings.make(url, transport, timeout, retries, headers, authority, certificate, api_key)
        self._calls = self._settings.calls()
        self._connections = _connect(self._settings)
        self._is_closed = False

    def predict(
        self,
        model: str,
        inputs: Any,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Asks for a prediction.

        Args:
            model: The model's name.
            inputs: Arrays by input name, or one array where the signature has one input; nested lists and scalars do
                as well. Strings are str or bytes. They are checked against the signature, which is asked for once:
                names must be its own, dtypes are cast where no value changes (floats may lose digits).
            version: The version; None for the newest.
            label: A version label, such as "stable", instead of a version.
            signature: The signature's name; None for "serving_default".

        Returns:
            The output if there is one, else the outputs by name; strings are objects holding bytes.

        Raises:
            ServingError: The inputs do not fit, the server refuses (with its own text), or it is not reached.
        """
        return self._run(self._calls.predict(model_spec(model, version, label), inputs, signature))

    def classify(
        self,
        model: str,
        examples: Iterable[Any],
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Any = None,
    ) -> list[list[Classification]]:
        """Asks for the classes of examples.

        Args:
            model: The model's name.
            examples: Each a mapping of values by feature name, a serialized tensorflow.Example, or a message.
            version: The version; None for the newest.
            label: A version label instead of a version.
            signature: The signature's name; None for "serving_default".
            context: An example whose features all examples share.

        Returns:
            The classes of each example, each with its label and score.

        Raises:
            ServingError: The server refuses (with its own text), or it is not reached.
        """
        return self._run(self._calls.classify(model_spec(model, version, label), examples, context, signature))

    def regress(
        self,
        model: str,
        examples: Iterable[Any],
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Any = None,
    ) -> np.ndarray:
        """Asks for the values of examples.

        Args:
            model: The model's name.
            examples: As `classify`'s.
            version: The version; None for the newest.
            label: A version label instead of a version.
            signature: The signature's name; None for "serving_default".
            context: An example whose features all examples share.

        Returns:
            float32 of shape (examples,).

        Raises:
            ServingError: The server refuses (with its own text), or it is not reached.
        """
        return self._run(self._calls.regress(model_spec(model, version, label), examples, context, signature))

    def metadata(self, model: str, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """Asks what a version takes and gives.

        Returns:
            Its name, version and signatures, with dtypes and shapes.

        Raises:
            ServingError: The server has no such version, or is not reached.
        """
        return self._run(self._calls.metadata(model_spec(model, version, label)))

    def status(self, model: str, version: int | None = None, label: str | None = None) -> list[VersionStatus]:
        """Asks for the states of a model's versions.

        Returns:
            Each with `.version`, `.state` ("AVAILABLE", …), `.code` and `.message`, as the server orders them. With
            REST, TensorFlow Serving ignores a label here and tells of all versions.

        Raises:
            ServingError: The server has no such model or version, or is not reached.
        """
        return self._run(self._calls.status(model_spec(model, version, label)))

    def ready(self) -> bool:
        """Whether the server is there and serves; never raises for one that is not."""
        try:
            return self._run(self._calls.ready(), retries=0)
        except ServingError:
            return False

    def reload(self, config: Any) -> None:
        """Has the server serve what a configuration says; goes over gRPC alone.

        Args:
            config: A ModelServerConfig: a message, its text, or the `pathlib.Path` of a file such as models.config.

        Raises:
            ServingError: The configuration is wrong, the server refuses it, or it is not reached.
        """
        self._run(self._calls.reload(config))

    def close(self) -> None:
        """Closes its connections; further calls are refused."""
        self._is_closed = True
        self._connections.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[T], retries: int | None = None) -> T:
        if self._is_closed:
            raise ServingError("CANCELLED", f"the client of {self._settings.address} is closed; make another")
        deadline = self._settings.deadline()
        count = self._settings.retries if retries is None else retries
        with contextlib.closing(call):
            try:
                request = next(call)
                while True:
                    try:
                        reply = self._send(request, deadline, waits(count))
                    except ServingError as error:
                        request = call.throw(error)
                    else:
                        request = call.send(reply)
            except StopIteration as end:
                return end.value

    def _send(self, request: Request, deadline: Deadline, pending: Iterator[float]) -> bytes:
        while True:
            try:
                return self._connections.send(request, deadline)
            except ServingError as error:
                wait = next_wait(error, pending, deadline)
            time.sleep(wait)


def _connect(settings: Settings) -> _Connections:
    if settings.address.transport == "grpc":
        from tfkit_serving.client.grpc_channels import GrpcChannel

        return GrpcChannel(settings.address, settings.headers, settings.tls)
    from tfkit_serving.client.http_connections import HttpConnections

    return HttpConnections(settings.address, settings.headers, settings.tls_context())

"""What a running server says of its versions, and telling it of a new configuration."""

from __future__ import annotations

from typing import Any

from tfkit_serving.access.environment import environment_key
from tfkit_serving.client.sync_client import Client
from tfkit_serving.deployment.models_file import DeploymentError
from tfkit_serving.protocol.errors import ServingError

# A reload loads and warms up what is new before it is answered.
_SECONDS = 60.0


def statuses(server: str, model: str) -> dict[int, tuple[str, str]]:
    """States and error texts of a model's versions, by number; none where the server does not know the model.

    Raises:
        DeploymentError: The server's address is none.
        ServingError: The server did not answer.
    """
    with _client(server) as client:
        try:
            return {each.version: (each.state, each.message) for each in client.status(model)}
        except ServingError as error:
            if error.code == "NOT_FOUND":
                return {}
            raise


def reload(server: str, config: Any) -> None:
    """Makes a server follow a ModelServerConfig.

    Raises:
        DeploymentError: The server's address is none.
        ServingError: It did not answer, or refused.
    """
    with _client(server) as client:
        client.reload(config)


def _client(server: str) -> Client:
    try:
        return Client(server, transport="grpc", timeout=_SECONDS, retries=0, api_key=environment_key())
    except ValueError as error:
        raise DeploymentError(f"--server {server!r}: {error}") from None

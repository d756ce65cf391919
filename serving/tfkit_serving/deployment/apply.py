"""apply: a move written to its file and told to a server; kubectl: the command that brings the file to a cluster."""

from __future__ import annotations

import shlex
from pathlib import Path

from tfkit_serving.deployment.models_file import ModelsFile
from tfkit_serving.deployment.moves import Move
from tfkit_serving.deployment.running import reload
from tfkit_serving.protocol.errors import ServingError

_CONFIGMAP = "model-server-models"


def apply(move: Move, server: str | None = None) -> None:
    """Writes the file, then tells the server; a server that refuses leaves the file as it was.

    Raises:
        ServingError: The server did not answer, or refused.
    """
    before = ModelsFile(move.file.path, move.file.path.read_text(encoding="utf-8"))
    move.file.write()
    if server is None:
        return
    try:
        reload(server, move.file.message())
    except ServingError:
        before.write()
        raise


def kubectl(path: Path, target: str) -> str:
    """The command that puts a models.config into a ConfigMap, which the servers read again by themselves.

    Args:
        path: The file.
        target: "namespace", or "namespace/configmap".

    Example:
        >>> print(kubectl(Path("serving/models.config"), "models"))  # doctest: +ELLIPSIS
        kubectl -n models create configmap model-server-models --from-file=models.config=serving/models.config ...
    """
    namespace, _, name = target.partition("/")
    space = shlex.quote(namespace)
    made = f"kubectl -n {space} create configmap {shlex.quote(name or _CONFIGMAP)}"
    source = shlex.quote(f"--from-file=models.config={path}")
    return f"{made} {source} --dry-run=client -o yaml | kubectl -n {space} apply -f -"

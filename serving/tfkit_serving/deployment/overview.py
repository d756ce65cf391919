"""overview: models, versions and labels of a models.config, beside what a running server says of them."""

from __future__ import annotations

from typing import Any

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.deployment.models_file import DeploymentError, ModelsFile
from tfkit_serving.deployment.moves import FLAG, Disk, findings
from tfkit_serving.deployment.running import statuses


def overview(file: ModelsFile, disk: Disk, server: str | None = None) -> dict[str, Any]:
    """What is served, and what is wrong.

    Args:
        file: The models.config.
        disk: Where its versions lie here.
        server: gRPC address of a running server, or None.

    Returns:
        "models": each with "name", "base_path" and "versions", each of those with "version", "labels", "policy"
        ("loaded", "left out" or "not on disk") and, from the server, "state" and "message"; "findings": sentences;
        "labels": whether there are any; "flag": what those need at a server's first start.

    Raises:
        ServingError: The server did not answer.
    """
    models = file.models()
    told = findings(file, disk)
    rows = [_model(each, disk, server, file) for each in models]
    if server is not None:
        told += [text for model in rows for text in _not_served(model)]
    return {
        "models": rows,
        "findings": told,
        "labels": any(each.labels for each in models),
        "flag": FLAG,
    }


def _model(config: ModelConfig, disk: Disk, server: str | None, file: ModelsFile) -> dict[str, Any]:
    try:
        on_disk = disk.versions(config)
    except DeploymentError:
        on_disk = {}
    running = statuses(server, config.name) if server is not None else {}
    loaded = config.aspired(on_disk)
    rows = []
    for version in sorted({*on_disk, *running, *config.labels.values()}, reverse=True):
        state, message = running.get(version, ("", ""))
        policy = "not on disk" if version not in on_disk else "loaded" if version in loaded else "left out"
        labels = [label for label, at in sorted(config.labels.items()) if at == version]
        rows.append({"version": version, "labels": labels, "policy": policy, "state": state, "message": message})
    before = {label: at for label in config.labels if (at := file.before(config.name, label)) is not None}
    return {"name": config.name, "base_path": str(config.base_path), "versions": rows, "before": before}


def _not_served(model: dict[str, Any]) -> list[str]:
    return [
        f"{', '.join(row['labels'])} of {model['name']!r} is version {row['version']}, which the server does not serve"
        f" ({row['state'] or 'unknown to it'}{': ' + row['message'] if row['message'] else ''})"
        for row in model["versions"]
        if row["labels"] and row["state"] != "AVAILABLE"
    ]

"""What can be wrong with a configuration beside what is on disk, told before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.aspired import Found


def check_labels(configs: Sequence[ModelConfig], found: Found) -> None:
    """Refuses a label for a version that is not to be served.

    Raises:
        ServingError: FAILED_PRECONDITION, with the label and the versions there are.
    """
    for config in configs:
        for label, version in config.labels.items():
            if version not in found[config.name]:
                raise _label_without_version(config.name, label, version, sorted(found[config.name]))


def check_versions(configs: Sequence[ModelConfig], found: Found) -> None:
    """Refuses a model without a version to serve: its old ones would go, and nothing come in their place.

    Raises:
        ServingError: FAILED_PRECONDITION, with the model and its base path.
    """
    for each in configs:
        if not found.get(each.name):
            raise ServingError(
                "FAILED_PRECONDITION",
                f"{no_versions(each)}; nothing was changed",
            )


def no_versions(config: ModelConfig) -> str:
    """TensorFlow Serving's words for a model without a version to serve."""
    return f"No versions of servable {config.name} found under base path {config.base_path}"


def _label_without_version(name: str, label: str, version: int, aspired: Sequence[int]) -> ServingError:
    return ServingError(
        "FAILED_PRECONDITION",
        f"Request to assign label to version {version} of model {name}, which is not currently available for "
        f"inference: for the label {label!r}, add it to base_path and to model_version_policy (now "
        f"{', '.join(map(str, aspired)) or 'none'}), or pass --allow_version_labels_for_unavailable_models",
    )

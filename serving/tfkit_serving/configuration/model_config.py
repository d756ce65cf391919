"""ModelConfig: a model to serve, as `models.config` names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import ModelServerConfig

_PLATFORM = "tensorflow"
_TENSORFLOW_TYPE = 1


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: Its name.
        base_path: The folder whose subfolders are its versions.
        num_versions: How many of the highest versions are served; None for all.
        specific: The versions that are served, and no others; None for the policy of `num_versions`.
        labels: Versions by label.
    """

    name: str
    base_path: Path
    num_versions: int | None = 1
    specific: frozenset[int] | None = None
    labels: Mapping[str, int] = field(default_factory=dict)

    def aspired(self, versions: Iterable[int]) -> list[int]:
        """Which of the versions that there are shall be served, lowest first.

        Example:
            >>> ModelConfig("m", Path("/models/m"), num_versions=2).aspired([7, 9, 8])
            [8, 9]
            >>> ModelConfig("m", Path("/models/m"), specific=frozenset({7, 5})).aspired([7, 9, 8])
            [7]
        """
        found = sorted(versions)
        if self.specific is not None:
            return [each for each in found if each in self.specific]
        return found if self.num_versions is None else found[-self.num_versions :]


def read_model_config(path: str | Path) -> Any:
    """Reads a file as `--model_config_file` names it.

    Returns:
        The ModelServerConfig message.

    Raises:
        ValueError: It is no ModelServerConfig in text form.
        OSError: It cannot be read.
    """
    return parse_text(Path(path), ModelServerConfig())


def model_configs(message: Any) -> list[ModelConfig]:
    """The models of a ModelServerConfig.

    Raises:
        ServingError: INVALID_ARGUMENT: a model lacks a name or a base_path, or is there twice, or its platform or
            policy is not known; says which and what to write. UNIMPLEMENTED: the configuration is a custom one.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise ServingError("UNIMPLEMENTED", "custom_model_config is not served; list the models in model_config_list")
    models = [_model(each) for each in message.model_config_list.config]
    names = [each.name for each in models]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"Illegal to list model {name} multiple times in config list")
    return models


def _model(proto: Any) -> ModelConfig:
    if not proto.name:
        raise _invalid(f"a model has no name (its base_path is {proto.base_path!r})")
    if not proto.base_path:
        raise _invalid(f"the model {proto.name!r} has no base_path")
    _check_platform(proto)
    policy = proto.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    labels = {str(key): int(value) for key, value in proto.version_labels.items()}
    config = ModelConfig(proto.name, Path(proto.base_path), labels=labels)
    if kind == "all":
        return ModelConfig(config.name, config.base_path, None, None, labels)
    if kind == "specific":
        versions = frozenset(policy.specific.versions)
        if not versions:
            raise _invalid(f"model_version_policy of {proto.name!r} is specific and lists no versions")
        return ModelConfig(config.name, config.base_path, None, versions, labels)
    # As the real server has it, 0 is what is not set.
    return ModelConfig(config.name, config.base_path, policy.latest.num_versions or 1, None, labels)


def _check_platform(proto: Any) -> None:
    typed, platform = proto.model_type, proto.model_platform
    if typed and platform:
        raise _invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform. "
            f"Leave out the model_type of {proto.name!r}"
        )
    if typed == _TENSORFLOW_TYPE or platform == _PLATFORM:
        return
    if not platform and not typed:
        raise _invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform. "
            f'Write model_platform: "{_PLATFORM}" for {proto.name!r}'
        )
    raise _invalid(f'Model {proto.name} requests unsupported platform {platform or typed}; it must be "{_PLATFORM}"')


def _invalid(text: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", text)

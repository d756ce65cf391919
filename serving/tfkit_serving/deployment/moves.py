"""Moving labels: promote, roll back and canary, each refused where the server could not follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.deployment.models_file import DeploymentError, ModelsFile
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.folders import version_folders

STABLE, CANARY = "stable", "canary"
FLAG = "--allow_version_labels_for_unavailable_models"

Verify = Callable[[Path], object]


@dataclass(frozen=True)
class Disk:
    """Where the servers' paths lie on this machine.

    Attributes:
        paths: Folders here by the server's: {"/models": Path("runs/digits/1/serving")}.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)

    def folder(self, base_path: Path) -> Path:
        """The folder here of a base_path."""
        for theirs, ours in self.paths.items():
            if base_path == Path(theirs) or Path(theirs) in base_path.parents:
                return ours / base_path.relative_to(theirs)
        return base_path

    def versions(self, config: ModelConfig) -> dict[int, Path]:
        """The whole versions of a model, by number.

        Raises:
            DeploymentError: Its base_path is not there, which TensorFlow Serving answers by hanging.
        """
        folder = self.folder(config.base_path)
        try:
            found = version_folders(folder)
        except ServingError as error:
            where = "" if folder == config.base_path else f" (here {folder})"
            raise DeploymentError(
                f"the base_path {config.base_path}{where} of {config.name!r} is not there: TensorFlow Serving would "
                "hang at all later reloads. Give the folder, or where it lies on this machine: --path /models=FOLDER"
            ) from error
        return found


@dataclass(frozen=True)
class Move:
    """A label that moves.

    Attributes:
        model: The model's name.
        label: The label.
        version: Where it goes.
        old: Where it was; None for a new one.
        file: The models.config with it moved, not written yet.
    """

    model: str
    label: str
    version: int
    old: int | None
    file: ModelsFile


def promote(
    file: ModelsFile, model: str | None, disk: Disk, verify: Verify, *, source: str = CANARY, label: str = STABLE
) -> Move:
    """Moves a label to the version of another: stable to canary's.

    Args:
        file: The models.config.
        model: The model's name; None for the only one.
        disk: Where its versions lie.
        verify: Raises for a version folder that is damaged.
        source: The label whose version is taken.
        label: The label that moves.

    Raises:
        DeploymentError: There is nothing to move, or the server could not follow.
    """
    config = file.model(model)
    version = config.labels.get(source)
    if version is None:
        raise DeploymentError(
            f"{config.name!r} has no label {source!r} to promote; "
            f"set one: tfkit deploy canary {file.path} {config.name} VERSION"
        )
    old = config.labels.get(label)
    if old == version:
        raise DeploymentError(f"{label!r} of {config.name!r} is at version {version} already, as {source!r} is")
    _check(config, disk, verify, version)
    return Move(config.name, label, version, old, file.move(config.name, label, version, before=old))


def roll_back(file: ModelsFile, model: str | None, disk: Disk, verify: Verify, *, label: str = STABLE) -> Move:
    """Moves a label back to the version that it had before `promote`.

    Raises:
        DeploymentError: No earlier version is known, or the server could not follow.
    """
    config = file.model(model)
    version, old = file.before(config.name, label), config.labels.get(label)
    if version is None:
        raise DeploymentError(
            f"no earlier version of {label!r} of {config.name!r} is known: "
            f"{file.path} has no '# before: N' behind the label"
        )
    _check(config, disk, verify, version)
    return Move(config.name, label, version, old, file.move(config.name, label, version))


def set_label(
    file: ModelsFile, model: str | None, version: int, disk: Disk, verify: Verify, *, label: str = CANARY
) -> Move:
    """Sets a label to a version, which is added to a policy that lists versions.

    Raises:
        DeploymentError: The server could not follow.
    """
    serving = file.serve(file.model(model).name, version)
    config = serving.model(model)
    old = config.labels.get(label)
    _check(config, disk, verify, version)
    return Move(config.name, label, version, old, serving.move(config.name, label, version, before=old))


def findings(file: ModelsFile, disk: Disk) -> list[str]:
    """What a server could not follow, one sentence each: paths that are not there, labels without their versions."""
    return [text for config in file.models() for text in _findings(config, disk)]


def _findings(config: ModelConfig, disk: Disk) -> Sequence[str]:
    try:
        versions = disk.versions(config)
    except DeploymentError as error:
        return [str(error)]
    if not versions:
        return [f"{config.base_path} of {config.name!r} holds no whole version"]
    loaded = config.aspired(versions)
    return [
        _unloaded(config, label, version, loaded, versions)
        for label, version in sorted(config.labels.items())
        if version not in loaded
    ]


def _check(config: ModelConfig, disk: Disk, verify: Verify, version: int) -> None:
    versions = disk.versions(config)
    loaded = config.aspired(versions)
    if version not in loaded:
        raise DeploymentError(_unloaded(config, "", version, loaded, versions))
    verify(versions[version])


def _unloaded(
    config: ModelConfig, label: str, version: int, loaded: Sequence[int], versions: Mapping[int, Path]
) -> str:
    what = f"the label {label!r} of {config.name!r} names version {version}, which" if label else f"version {version}"
    of = "" if label else f" of {config.name!r}"
    if version not in versions:
        return f"{what}{of} is not below {config.base_path} as a whole; there are {_listed(versions)}"
    listed = " ".join(f"versions: {each}" for each in sorted({*loaded, version}))
    return (
        f"{what}{of} is on disk, but model_version_policy loads {_listed(loaded)}: "
        f"write model_version_policy {{ specific {{ {listed} }} }}"
    )


def _listed(versions: Sequence[int] | Mapping[int, Path]) -> str:
    return ", ".join(map(str, sorted(versions))) or "none"

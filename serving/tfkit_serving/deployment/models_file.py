"""ModelsFile: a models.config whose labels are moved; what is not moved, comments too, stays as it was."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_encoding, text_format

from tfkit_serving.configuration.model_config import ModelConfig, model_configs
from tfkit_serving.configuration.names import check_name
from tfkit_serving.deployment.text_fields import Field, read_fields
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import ModelServerConfig

# Written behind a label that was moved: the version that a roll back goes to.
_BEFORE = re.compile(r"[ \t]*# before: (\d+)")
_INDENT = "  "


class DeploymentError(ValueError):
    """A label that cannot be moved, and why."""


@dataclass(frozen=True)
class ModelsFile:
    """The text of a models.config.

    Attributes:
        path: Where it lies.
        text: What is in it.
    """

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> ModelsFile:
        """Reads a models.config.

        Raises:
            DeploymentError: It cannot be read, or is no models.config.
        """
        try:
            made = cls(path, path.read_text(encoding="utf-8"))
            made.models()
        except (OSError, ValueError, text_format.ParseError, ServingError) as error:
            reason = error.message if isinstance(error, ServingError) else error
            raise DeploymentError(f"{path} is no models.config that can be served: {reason}") from error
        return made

    def message(self) -> Any:
        """The ModelServerConfig."""
        return text_format.Parse(self.text, ModelServerConfig())

    def models(self) -> list[ModelConfig]:
        """The models that it names."""
        return model_configs(self.message())

    def model(self, name: str | None) -> ModelConfig:
        """The model of that name, or the only one.

        Raises:
            DeploymentError: There is no such model, or several to choose from.
        """
        models = {each.name: each for each in self.models()}
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name is None or name not in models:
            asked = "name a model" if name is None else f"there is no model {name!r}"
            raise DeploymentError(f"{asked}; {self.path} has {', '.join(models) or 'none'}")
        return models[name]

    def before(self, model: str, label: str) -> int | None:
        """The version that a label had before it was moved last, or None."""
        entry = self._entry(model, label)
        found = _BEFORE.match(self.text, entry.end) if entry is not None else None
        return int(found[1]) if found else None

    def move(self, model: str, label: str, version: int, before: int | None = None) -> ModelsFile:
        """The file with a label at a version; the label is added where there is none.

        Args:
            model: The model's name.
            label: The label.
            version: Where it goes.
            before: The version to remember for a roll back; None forgets it.

        Raises:
            DeploymentError: There is no such label, and the new one's name is none; or the file cannot be edited.
        """
        entry = self._entry(model, label)
        note = "" if before is None else f"  # before: {before}"
        if entry is None:
            _check_label(label)
            key = text_encoding.CEscape(label.encode(), as_utf8=True)
            added = f'version_labels {{ key: "{key}" value: {version} }}{note}'
            return self._checked(model, label, version, self._insert(self._config(model), added))
        behind = _BEFORE.match(self.text, entry.end)
        tail = self.text[behind.end() if behind else entry.end :]
        if note and tail.lstrip(" \t")[:1] not in ("", "\n", "#"):
            note += "\n"  # what else stands in the line must not become part of the comment
        return self._checked(model, label, version, self._upto(entry, version) + note + tail)

    def serve(self, model: str, version: int) -> ModelsFile:
        """The file with a version among those of a policy that lists them; as it was with any other policy."""
        policies = self._config(model).all("model_version_policy")
        lists = [each for policy in policies for each in policy.all("specific")]
        config = self.model(model)
        if not lists or config.specific is None or version in config.specific:
            return self
        return ModelsFile(self.path, self._insert(lists[-1], f"versions: {version}"))

    def write(self) -> None:
        """Writes the file by rename: a server that reads it meanwhile finds the old one or the new one, whole."""
        folder = self.path.resolve().parent
        handle, name = tempfile.mkstemp(prefix=".models-", suffix=".config", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644)
            Path(name).replace(self.path.resolve())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _config(self, model: str) -> Field:
        lists = [each for each in read_fields(self.text) if each.name == "model_config_list"]
        for config in (each for part in lists for each in part.all("config")):
            if config.text("name") == model:
                return config
        raise DeploymentError(f"there is no model {model!r} in {self.path}")

    def _entry(self, model: str, label: str) -> Field | None:
        found = [each for each in self._config(model).all("version_labels") if each.text("key") == label]
        return found[-1] if found else None

    def _upto(self, entry: Field, version: int) -> str:
        """The text up to a label's end, with its version changed; a version that is left out is 0."""
        values = entry.all("value")
        if not values:
            return f"{self.text[: entry.end - 1].rstrip()} value: {version} {self.text[entry.end - 1 : entry.end]}"
        start = values[-1].value_start
        behind = self.text[start + len(values[-1].value) : entry.end]
        return f"{self.text[:start]}{version}{behind}"

    def _insert(self, message: Field, added: str) -> str:
        """The text with a field added before a message's closing brace, indented as its other fields."""
        close = message.end - 1
        line = self.text.rfind("\n", 0, close) + 1
        if self.text[line:close].strip():  # the brace stands behind something in its line
            return f"{self.text[:close].rstrip()} {added}{'' if '#' not in added else chr(10)} {self.text[close:]}"
        inner = self.text[line:close] + _INDENT
        return f"{self.text[:line]}{inner}{added}\n{self.text[line:]}"

    def _checked(self, model: str, label: str, version: int, text: str) -> ModelsFile:
        """The new file, if it says what was meant and nothing else."""
        wanted = self.message()
        for config in wanted.model_config_list.config:
            if config.name == model:
                config.version_labels[label] = version
        made = ModelsFile(self.path, text)
        if made.message() != wanted:
            raise DeploymentError(f"the labels of {model!r} in {self.path} are written in a way that cannot be edited")
        return made


def _check_label(label: str) -> None:
    try:
        check_name("label", label)
    except ValueError as error:
        raise DeploymentError(str(error)) from None

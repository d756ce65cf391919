"""Finder: looks for models and versions again and again, and says what is wrong with one once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.aspired import Found, aspired_versions
from tfkit_serving.servables.configured import no_versions
from tfkit_serving.servables.folders import models_in

_LOG = logging.getLogger(__name__)


class Finder:
    """Looks at directories and base paths; what cannot be read stays as it is.

    Example:
        >>> Finder().listed(Path("nowhere"), {})
        {}
    """

    def __init__(self) -> None:
        self._complaints: dict[str, str] = {}

    def listed(self, directory: Path, before: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
        """The models of a directory by name; the same object as before where nothing has changed.

        Args:
            directory: Holds `<model>/<version>/`.
            before: What was found last.
        """
        try:
            listed = {each.name: each for each in models_in(directory)}
        except ServingError as error:
            self._complain(str(directory), error.message)
            return before
        self._complaints.pop(str(directory), None)
        return before if listed == before else listed

    def found(self, configs: Sequence[ModelConfig]) -> Found:
        """The versions to serve that are on disk, of each model whose base path can be read."""
        found: Found = {}
        for each in configs:
            try:
                found[each.name] = aspired_versions(each)
            except ServingError as error:
                self._complain(each.name, error.message)
                continue
            if found[each.name]:
                self._complaints.pop(each.name, None)
            else:
                self._complain(each.name, no_versions(each))
        return found

    def _complain(self, about: str, text: str) -> None:
        if self._complaints.get(about) != text:
            self._complaints[about] = text
            _LOG.warning("%s", text)

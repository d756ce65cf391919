"""ServerCore: which versions are served, found on disk, by the configuration's policies, under their labels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit_serving.batching import BatchingOptions, batching_of_version
from tfkit_serving.configuration.model_config import ModelConfig, model_configs
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables import status
from tfkit_serving.servables.aspired import Found, look
from tfkit_serving.servables.configured import check_labels, check_versions
from tfkit_serving.servables.files import in_file_thread
from tfkit_serving.servables.finder import Finder
from tfkit_serving.servables.folders import models_in
from tfkit_serving.servables.metrics import collect
from tfkit_serving.servables.model import ModelVersions
from tfkit_serving.servables.nursery import Nursery
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.servable import Servable
from tfkit_serving.servables.status import VersionStatus

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CoreOptions:
    """How models are found and loaded.

    Attributes:
        poll_seconds: How often base paths are looked at; 0 once, below 0 never.
        retries: How often loading a version is tried again.
        retry_seconds: How long to wait before.
        loads: How many versions are loaded at the same time.
        labels_of_unavailable: Whether a label may name a version that is not available.
        process: How versions are loaded and run.
        batching: Bounds of batches; None for no batches.
        batching_of_versions: Whether each version brings its own bounds instead, or has no batches.
    """

    poll_seconds: float = 1.0
    retries: int = 5
    retry_seconds: float = 60.0
    loads: int = 2
    labels_of_unavailable: bool = False
    process: ProcessOptions = field(default_factory=ProcessOptions)
    batching: BatchingOptions | None = field(default_factory=BatchingOptions)
    batching_of_versions: bool = False


class ServerCore:
    """Serves versions of models.

    Args:
        options: How.
        nursery: Who forks processes; None for one of its own, which ends with it.

    Example:
        >>> core = ServerCore()  # doctest: +SKIP
        >>> await core.serve_directory(Path("models"))  # doctest: +SKIP
        >>> await core.servable(ModelSpec("digits")).run("serving_default", {"image": images})  # doctest: +SKIP
    """

    def __init__(self, options: CoreOptions | None = None, nursery: Nursery | None = None) -> None:
        self._options = options or CoreOptions()
        self._nursery, self._owns_nursery = nursery or Nursery(), nursery is None
        self._slots = asyncio.Semaphore(self._options.loads)
        self._configs: dict[str, ModelConfig] = {}
        self._models: dict[str, ModelVersions] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._directory: Path | None = None
        self._polling: asyncio.Task[None] | None = None
        self._closed = False
        self._finder = Finder()
        METRICS.collector(self._collect)

    # What the protocols ask.

    def servable(self, spec: ModelSpec) -> Servable:
        """The version that a request is for.

        Raises:
            ServingError: NOT_FOUND: no such version is available. INVALID_ARGUMENT: no such label.
        """
        version = spec.version
        if spec.label is not None:
            version = self._labels.get(spec.name, {}).get(spec.label)
            if version is None:
                raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.label}")
        model = self._models.get(spec.name)
        found = model.servable(version) if model is not None else None
        if found is None:
            raise ServingError("NOT_FOUND", f"Servable not found for request: {ModelSpec(spec.name, version)}")
        return found

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """States of a model's versions, newest first, or of one of them.

        Raises:
            ServingError: NOT_FOUND: no such version was ever known.
        """
        model = self._models.get(name)
        known = model.statuses() if model is not None else []
        found = known if version is None else [each for each in known if each.version == version]
        if found:
            return found
        if version is None:
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
        raise ServingError("NOT_FOUND", f"Could not find version {version} of model {name}")

    def models(self) -> list[str]:
        """Names of the models that are configured."""
        return sorted(self._configs)

    def waiting(self) -> list[str]:
        """Names of those that have no version available."""
        return [name for name in self.models() if name not in self._models or not self._models[name].servables()]

    def servables(self) -> list[Servable]:
        """All versions that are available, by model, newest first."""
        return [each for name in sorted(self._models) for each in self._models[name].servables()]

    def labels(self, name: str) -> dict[str, int]:
        """Versions of a model by label."""
        return dict(self._labels.get(name, {}))

    async def reload(self, config: Any) -> None:
        """Serves the models of a ModelServerConfig, and no others, from now on.

        What can be wrong is looked for first: then nothing has changed.

        Args:
            config: The ModelServerConfig message.

        Raises:
            ServingError: A model is configured wrong, its base path is missing, or a label names a version that is
                not there; nothing has changed. Or a version that shall be served could not be loaded.
        """
        await self._serve(model_configs(config), strict=True)

    # What the server asks.

    async def serve(self, configs: Sequence[ModelConfig]) -> None:
        """Serves models, as far as they can be loaded.

        Returns when each version that shall be served is available or has failed once.

        Raises:
            ServingError: A base path is missing, or a label names a version that is not there.
        """
        await self._serve(configs, strict=False)

    async def serve_directory(self, directory: Path) -> None:
        """Serves the newest version of each model of a directory with `<model>/<version>/`, and of those to come.

        Raises:
            ServingError: NOT_FOUND: there is no such directory.
        """
        configs = await in_file_thread(models_in, directory)
        self._directory = directory
        self._apply({each.name: each for each in configs}, await look(configs))
        self._poll()
        await self._tried()

    async def close(self, drain_seconds: float = 30.0) -> None:
        """Unloads everything, once what runs has finished."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        await asyncio.gather(*(each.close(drain_seconds) for each in self._models.values()))
        if self._owns_nursery:
            await self._nursery.close()
        if not self._closed:
            METRICS.remove_collector(self._collect)
        self._closed = True

    def start(self) -> None:
        """Starts what takes long, the import of TensorFlow, in the background."""
        self._nursery.start()

    # How it is done.

    def _collect(self) -> None:
        collect({name: each.statuses() for name, each in self._models.items()}, self.servables())

    async def _serve(self, configs: Sequence[ModelConfig], strict: bool) -> None:
        found = await look(configs)
        if not self._options.labels_of_unavailable:
            check_labels(configs, found)
        if strict:
            check_versions(configs, found)
        self._directory = None
        by_name = {each.name: each for each in configs}
        self._apply(by_name, found)
        self._poll()
        await self._tried()
        if self._configs is not by_name:
            return  # a later configuration has taken its place
        self._label(configs)
        if strict:
            self._raise_if_failed(configs)

    def _apply(self, configs: dict[str, ModelConfig], found: Found) -> None:
        """Makes a configuration the one that holds; no other can come between."""
        self._configs = configs
        for name, versions in found.items():
            if name not in self._models:
                self._models[name] = self._model(name)
            folders = {version: folder for version, (folder, _) in versions.items()}
            self._models[name].aspire(folders, {version: each for version, (_, each) in versions.items()})
        for name, model in self._models.items():
            if name not in configs:
                model.aspire({})
                self._labels.pop(name, None)

    def _model(self, name: str) -> ModelVersions:
        options = self._options
        return ModelVersions(
            name, self._load, self._slots, retries=options.retries, retry_seconds=options.retry_seconds
        )

    async def _load(self, name: str, version: int, path: Path) -> Servable:
        options = self._options
        batching = options.batching
        if options.batching_of_versions:
            batching = await in_file_thread(batching_of_version, path)
        return await Servable.load(name, version, path, self._nursery, options.process, batching)

    async def _tried(self) -> None:
        await asyncio.gather(*(each.tried() for each in self._models.values()))

    def _poll(self) -> None:
        if self._polling is None and self._options.poll_seconds > 0:
            self._polling = asyncio.create_task(self._poll_for_ever())

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                await self._poll_once()
            except Exception:
                _LOG.exception("looking for versions failed")

    async def _poll_once(self) -> None:
        before, directory = self._configs, self._directory
        configs = before if directory is None else await in_file_thread(self._finder.listed, directory, before)
        found = await in_file_thread(self._finder.found, list(configs.values()))
        if self._configs is before:  # nobody has configured anything meanwhile
            self._apply(configs, found)

    def _label(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            kept = {label: version for label, version in config.labels.items() if self._may_label(config.name, version)}
            for label in config.labels.keys() - kept.keys():
                _LOG.error("the label %r of %s names a version that was not loaded", label, config.name)
                before = self._labels.get(config.name, {}).get(label)
                if before is not None:
                    kept[label] = before
            self._labels[config.name] = kept

    def _may_label(self, name: str, version: int) -> bool:
        return self._options.labels_of_unavailable or self._models[name].servable(version) is not None

    def _raise_if_failed(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            for each in self._models[config.name].statuses():
                if each.state == status.END and each.code != "OK":
                    raise ServingError(each.code, f"the model {config.name} version {each.version}: {each.message}")

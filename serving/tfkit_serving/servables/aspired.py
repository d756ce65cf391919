"""aspired_versions and look: which versions shall be served, by the configuration and by what is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.files import in_file_thread
from tfkit_serving.servables.folders import Stamp, stamp, version_folders

Aspired = dict[int, tuple[Path, Stamp]]
Found = dict[str, Aspired]

_LOOK_SECONDS = 10.0


def aspired_versions(config: ModelConfig) -> Aspired:
    """Folders and stamps of the versions that shall be served and are whole on disk.

    Raises:
        ServingError: NOT_FOUND: the base path is missing.
    """
    folders = version_folders(config.base_path)
    return {version: (folders[version], stamp(folders[version])) for version in config.aspired(folders)}


async def look(configs: Sequence[ModelConfig]) -> Found:
    """The versions to serve of each model, whose base paths must all be there.

    Raises:
        ServingError: NOT_FOUND: a base path is missing. DEADLINE_EXCEEDED: the file system does not answer.
    """
    looking = in_file_thread(lambda: {each.name: aspired_versions(each) for each in configs})
    try:
        return await asyncio.wait_for(looking, _LOOK_SECONDS)
    except asyncio.TimeoutError:
        raise ServingError(
            "DEADLINE_EXCEEDED", f"the base paths could not be read within {_LOOK_SECONDS:g} s; nothing was changed"
        ) from None

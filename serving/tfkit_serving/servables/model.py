"""ModelVersions: the versions of one model, from those that shall be served to those that are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables import status
from tfkit_serving.servables.folders import Stamp, stamp
from tfkit_serving.servables.servable import Servable
from tfkit_serving.servables.status import VersionStatus

_LOG = logging.getLogger(__name__)
# Versions that have ended and are still told of.
_REMEMBERED = 32

Load = Callable[[str, int, Path], Awaitable[Servable]]


@dataclass(eq=False)
class _Record:
    """What is known of a version."""

    version: int
    path: Path
    stamp: Stamp
    state: str = status.START
    code: str = "OK"
    message: str = ""
    aspired: bool = True
    servable: Servable | None = None
    task: asyncio.Task[None] | None = None
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def become(self, state: str, error: ServingError | None = None) -> None:
        self.state = state
        self.code, self.message = ("OK", "") if error is None else (error.code, error.message)


class ModelVersions:
    """Loads the versions of a model that shall be served, and unloads the others when that costs no availability.

    A new version is loaded before an old one is unloaded, and an old one goes on when the new one cannot be loaded. One
    that cannot be loaded is tried again some times, and again when its files have changed.

    Args:
        name: The model's name.
        load: Loads a version.
        slots: How many may be loaded at the same time, shared by all models.
        retries: How often loading is tried again.
        retry_seconds: How long to wait before.
    """

    def __init__(
        self, name: str, load: Load, slots: asyncio.Semaphore, *, retries: int = 5, retry_seconds: float = 60.0
    ) -> None:
        self.name = name
        self._slots = slots
        self._load, self._retries, self._retry_seconds = load, retries, retry_seconds
        self._records: dict[int, _Record] = {}
        self._latest: Servable | None = None
        # A version whose folder is another by a new configuration serves until its successor is loaded.
        self._replaced: list[Servable] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def servable(self, version: int | None = None) -> Servable | None:
        """The version of that number, or the highest, if it is available."""
        if version is None:
            return self._latest
        record = self._records.get(version)
        return None if record is None else record.servable

    def servables(self) -> list[Servable]:
        """Those that are available, highest version first."""
        found = [each.servable for _, each in sorted(self._records.items(), reverse=True)]
        return [each for each in found if each is not None]

    def statuses(self) -> list[VersionStatus]:
        """The state of every version that is known, newest first."""
        records = sorted(self._records.values(), key=lambda each: -each.version)
        return [VersionStatus(each.version, each.state, each.code, each.message) for each in records]

    def aspire(self, folders: Mapping[int, Path], stamps: Mapping[int, Stamp] | None = None) -> None:
        """Says which versions shall be served; loading and unloading go on in the background.

        Args:
            folders: Folders by version.
            stamps: What `folders.stamp` says of them, where it has been asked for already.
        """
        for version, path in folders.items():
            self._aspire(version, path, (stamps or {}).get(version) or stamp(path))
        for version, record in self._records.items():
            if version not in folders:
                record.aspired = False
                if record.servable is None and record.task is not None:
                    record.task.cancel()
                    record.task = None
                    record.tried.set()
                    record.become(status.END)
        self._unload_stale()
        self._forget()

    async def tried(self) -> None:
        """Returns when each version that shall be served is available or has failed at least once."""
        for each in list(self._records.values()):
            if each.aspired:
                await each.tried.wait()

    async def close(self, drain_seconds: float = 30.0) -> None:
        """Unloads all versions, once what runs in them has finished."""
        for record in self._records.values():
            record.aspired = False
            if record.task is not None:
                record.task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        servables = [*self.servables(), *self._replaced]
        await asyncio.gather(*(each.close(drain_seconds) for each in servables))
        for record in self._records.values():
            self._assign(record, None)
            record.become(status.END)

    def _aspire(self, version: int, path: Path, now: Stamp) -> None:
        record = self._records.get(version)
        if record is not None and record.path == path:
            if record.state not in (status.UNLOADING, status.END):
                record.aspired = True
                return
            if record.aspired and record.stamp == now:
                return  # what failed is loaded again when its files have changed
        self._begin(_Record(version, path, now), record)

    def _begin(self, record: _Record, before: _Record | None) -> None:
        if before is not None and before.servable is not None:
            record.servable = servable = before.servable
            servable.failed = lambda error: self._fail(record, servable, error)
            record.state = before.state
        if before is not None and before.task is not None:
            before.task.cancel()
            before.tried.set()
        self._records[record.version] = record
        record.task = self._spawn(self._load_until_it_works(record))

    async def _load_until_it_works(self, record: _Record) -> None:
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(self._retry_seconds)
            try:
                async with self._slots:
                    await self._load_once(record)
                break
            except ServingError as error:
                self._not_loaded(record, error)
            except Exception as error:
                self._not_loaded(record, ServingError("INTERNAL", f"{type(error).__name__}: {error}"))
            finally:
                record.tried.set()
        record.task = None
        self._unload_stale()

    async def _load_once(self, record: _Record) -> None:
        before = record.servable
        if before is None and record.code == "OK":  # else it goes on saying what went wrong the last time
            record.become(status.LOADING)
        servable = await self._load(self.name, record.version, record.path)
        servable.failed = lambda error: self._fail(record, servable, error)
        self._assign(record, servable)
        record.become(status.AVAILABLE)
        _LOG.info("model %s version %d is available, from %s", self.name, record.version, record.path)
        if before is not None:
            self._replaced.append(before)
            self._spawn(self._close_replaced(before))

    def _not_loaded(self, record: _Record, error: ServingError) -> None:
        _LOG.error("model %s version %d was not loaded: %s", self.name, record.version, error.message)
        if record.servable is None:
            record.become(status.END, error)

    async def _close_replaced(self, servable: Servable) -> None:
        await servable.close()
        self._replaced.remove(servable)

    def _fail(self, record: _Record, servable: Servable, error: ServingError) -> None:
        if record.servable is servable:
            self._assign(record, None)
            record.become(status.END, error)
        self._spawn(servable.close(0.0))

    def _assign(self, record: _Record, servable: Servable | None) -> None:
        record.servable = servable
        self._latest = next(iter(self.servables()), None)

    def _unload_stale(self) -> None:
        """Unloads what shall not be served any more, unless nothing of what shall be is available yet."""
        aspired = [each for each in self._records.values() if each.aspired]
        if aspired and not any(each.servable is not None for each in aspired):
            return
        for record in self._records.values():
            if not record.aspired and record.servable is not None:
                servable = record.servable
                self._assign(record, None)
                record.become(status.UNLOADING)
                self._spawn(self._unload(record, servable))

    async def _unload(self, record: _Record, servable: Servable) -> None:
        await servable.close()
        record.become(status.END)
        _LOG.info("model %s version %d is unloaded", self.name, record.version)

    def _forget(self) -> None:
        ended = sorted(
            number for number, each in self._records.items() if not each.aspired and each.state == status.END
        )
        for number in ended[:-_REMEMBERED]:
            del self._records[number]

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""OnRay, the runner on a Ray cluster: each trial is a task of Ray's."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from tfkit.errors import ParameterError, SearchError
from tfkit.missing import explain_missing
from tfkit.parameters import Ge, Gt, check
from tfkit.pipeline.runners import ray_task
from tfkit.pipeline.runners.protocol import INVALID, Listener, Outcome, Runner, Task, TrialRequest
from tfkit.pipeline.runners.shipped import check_picklable, packed
from tfkit.reasons import reason

_WAIT_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """What `workers=("ray", {…})` takes."""

    address: Annotated[str | None, "Of a cluster, such as 'ray://host:10001' or 'auto'; None for this machine."] = None
    count: Annotated[int | None, Gt(0), "Trials that run at once; None for what the cluster has room for."] = None
    cpus: Annotated[float, Gt(0), "Cores of a trial."] = 1.0
    gpus: Annotated[float, Ge(0), "GPUs of a trial."] = 0.0


def ray_runner(params: dict[str, Any]) -> Callable[[Task, Path], Runner]:
    """Makes a runner of a task in a search's directory.

    Raises:
        ParameterError: A wrong parameter, or Ray is not installed.
    """
    options = RayOptions(**check(RayOptions, params, owner="search's Ray workers"))
    try:
        importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ParameterError(explain_missing("search on Ray", error)) from None
    return lambda task, directory: OnRay(task, options)


@dataclass
class _Run:
    """A trial that Ray has been given; `since` is when it began, once that is known."""

    request: TrialRequest
    since: float | None = None


class OnRay:
    """Runs trials as tasks of Ray's, on whichever machine has room; each must have tfkit installed.

    Nothing but Ray's own connections is needed: data, weights and states travel over them. A cluster that this
    process is connected to already is used and left as it is.

    Args:
        task: What the trials have in common.
        options: Where, and how many.

    Raises:
        ParameterError: The task cannot be sent.
        SearchError: The cluster cannot be reached.
    """

    def __init__(self, task: Task, options: RayOptions) -> None:
        check_picklable(task)
        self._ray: Any = importlib.import_module("ray")
        self._exceptions: Any = importlib.import_module("ray.exceptions")
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._connect(options.address)
        try:
            self._count = options.count or max(1, int(self._ray.cluster_resources().get("CPU", 1) // options.cpus))
            # In a list Ray leaves it to the worker to fetch it, once it can import what this process can.
            self._shipped = ray_task.Shipped([self._ray.put(packed(task))], task.set_up, tuple(sys.path))
            self._mailbox = self._new_mailbox()
            self._run = self._ray.remote(ray_task.run).options(
                num_cpus=options.cpus, num_gpus=options.gpus, max_retries=0
            )
        except BaseException:
            self.close()
            raise
        self._runs: dict[Any, _Run] = {}

    def free(self) -> int:
        """How many trials can be started now."""
        return self._count - len(self._runs)

    def start(self, request: TrialRequest) -> None:
        """Gives Ray a trial, which begins as soon as there is room for it."""
        resume = request.resume.read_bytes() if request.resume is not None and request.resume.exists() else None
        far = replace(request, ends=float("inf"), timeout=None)
        self._runs[self._run.remote(self._shipped, far, resume, self._mailbox)] = _Run(request)

    def wait(self, listener: Listener) -> None:
        """Hears what the trials have reported, for a moment."""
        done, _ = self._ray.wait(list(self._runs), timeout=_WAIT_SECONDS) if self._runs else ([], [])
        self._hear(listener)
        for reference in done:
            self._end(reference, listener)
        for reference in list(self._runs):
            self._look(reference, listener)

    def close(self) -> None:
        """Ends all trials that run, and the connection if it was made here."""
        for reference in self.__dict__.pop("_runs", {}):
            self._cancel(reference)
        mailbox = self.__dict__.pop("_mailbox", None)
        if mailbox is not None:
            self._ray.kill(mailbox)
        if self._is_ours:
            self._is_ours = False
            self._ray.shutdown()

    def _connect(self, address: str | None) -> None:
        local = {"include_dashboard": False} if address is None else {"address": address}
        try:
            self._ray.init(log_to_driver=False, **local)
        except Exception as error:
            self._is_ours = False
            where = "on this machine" if address is None else f"at {address!r}"
            raise SearchError(f"no Ray cluster {where}: {type(error).__name__}: {reason(error)}") from error

    def _new_mailbox(self) -> Any:
        """A mailbox near this process: its machine outlives the others."""
        node = self._ray.get_runtime_context().get_node_id()
        near = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(node, soft=True)
        return self._ray.remote(ray_task.Mailbox).options(num_cpus=0, scheduling_strategy=near).remote()

    def _hear(self, listener: Listener) -> None:
        try:
            messages = self._ray.get(self._mailbox.take.remote())
        except self._exceptions.RayActorError:  # gone with its machine; what ends a trial does not go through it
            self._mailbox = self._new_mailbox()
            return
        runs = {(run.request.trial, run.request.attempt): run for run in self._runs.values()}
        for trial, attempt, kind, value in messages:
            run = runs.get((trial, attempt))
            if run is None:  # it was given up
                continue
            if kind == "begin":
                run.since = time.monotonic()
            else:
                listener.epoch(run.request, *value)
        if messages:
            self._mailbox.publish.remote(listener.histories())

    def _end(self, reference: Any, listener: Listener) -> None:
        request = self._runs.pop(reference).request
        try:
            outcome, files = self._ray.get(reference)
        except self._exceptions.RayTaskError as error:
            raise getattr(error, "cause", None) or SearchError(reason(error)) from None
        except self._exceptions.OutOfMemoryError as error:
            text = f"Ray has stopped the worker, which held too much memory: {reason(error)}"
            outcome, files = Outcome(INVALID, request.hyperparameters, message=text), {}
        except self._exceptions.RayError as error:
            listener.lost(request, f"died ({type(error).__name__})", reason(error))
            return
        for name, path in (("weights", request.weights), ("last", request.last)):
            if name in files and path is not None:
                path.write_bytes(files[name])
        listener.ended(request, outcome)

    def _look(self, reference: Any, listener: Listener) -> None:
        run = self._runs[reference]
        limit = run.request.timeout
        if limit is not None and run.since is not None and time.monotonic() - run.since > limit:
            del self._runs[reference]
            self._cancel(reference)
            listener.ended(run.request, run.request.too_slow())

    def _cancel(self, reference: Any) -> None:
        with contextlib.suppress(Exception):  # it has ended since, or its machine has
            self._ray.cancel(reference, force=True)

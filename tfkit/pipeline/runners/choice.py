"""Which runner `workers=` asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfkit.errors import ParameterError
from tfkit.parameters import check
from tfkit.pipeline.runners.here import Here
from tfkit.pipeline.runners.processes import Processes, ProcessOptions
from tfkit.pipeline.runners.protocol import Runner, Task
from tfkit.pipeline.session import share_gpus

Workers = int | str | tuple[str, Mapping[str, Any]]
Choice = Callable[[Task, Path], Runner]


def runner_for(workers: Any) -> Choice:
    """Makes a runner of a task in a search's directory.

    Args:
        workers: As for `tfkit.search`.

    Raises:
        ParameterError: It is none of these, or what it needs is not installed.
    """
    if workers == 1 and workers is not True:
        return lambda task, directory: Here(task)
    name, params = _named(workers)
    if name == "ray":
        from tfkit.pipeline.runners.ray import ray_runner

        return ray_runner(params)
    options = ProcessOptions(**check(ProcessOptions, params, owner="search's worker processes"))
    # The models that this process builds must not take what the workers need.
    gpus = _gpus(share_gpus())
    return lambda task, directory: Processes(task, directory, options, gpus)


def _named(workers: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(workers, int) and not isinstance(workers, bool) and workers > 0:
        return "processes", {"count": workers}
    if workers == "ray":
        return "ray", {}
    if isinstance(workers, str) and ":" in workers:
        return "ray", {"address": workers}
    if isinstance(workers, (tuple, list)) and len(workers) == 2 and workers[0] in ("ray", "processes"):
        return workers[0], dict(workers[1])
    raise ParameterError(
        "the parameter 'workers' of search must be an int > 0, 'ray', an address of a Ray cluster such as "
        f"'ray://host:10001', ('processes', {{…}}) or ('ray', {{…}}); got {workers!r}"
    )


def _gpus(count: int) -> list[str]:
    """The ids of so many GPUs, as CUDA_VISIBLE_DEVICES takes them."""
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return visible[:count] if visible else [str(number) for number in range(count)]

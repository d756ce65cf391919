"""Cluster: the processes that train one model together, as the environment variable TF_CONFIG names them."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.errors import ParameterError

VARIABLE = "TF_CONFIG"
# In the order in which TensorFlow counts those that train.
_JOBS = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
        jobs: Addresses, as "host:port", by job: "worker", and "chief" where there is one.
        job: This process's job.
        index: This process's number in its job, counted from 0.
    """

    jobs: Mapping[str, Sequence[str]]
    job: str = "worker"
    index: int = 0

    @property
    def name(self) -> str:
        """This process's name, such as "worker-0"."""
        return f"{self.job}-{self.index}"

    @property
    def addresses(self) -> list[str]:
        """The addresses of all that train, the chief's first."""
        return [address for job in _JOBS for address in self.jobs.get(job, ())]

    @property
    def address(self) -> str:
        """This process's address."""
        return self.jobs[self.job][self.index]

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what one alone may write."""
        return self.address == self.addresses[0]

    def variable(self) -> str:
        """The text of TF_CONFIG that says this.

        Example:
            >>> cluster_of(Cluster({"worker": ["127.0.0.1:4000"]}).variable()).address
            '127.0.0.1:4000'
        """
        jobs = {job: list(addresses) for job, addresses in self.jobs.items()}
        return json.dumps({"cluster": jobs, "task": {"type": self.job, "index": self.index}})


def cluster_here() -> Cluster | None:
    """The cluster that this process is in, by TF_CONFIG; None where it is alone.

    Raises:
        ParameterError: As for `cluster_of`.
    """
    return cluster_of(os.environ.get(VARIABLE, ""))


def is_chief_here() -> bool:
    """Whether this process writes what one alone may write, by TF_CONFIG: the chief, or one that is alone.

    Raises:
        ParameterError: As for `cluster_of`.

    Example:
        >>> is_chief_here()
        True
    """
    here = cluster_here()
    return here is None or here.is_chief


def worker_name() -> str:
    """A name for this process among its workers, by TF_CONFIG; "worker-0" where it is alone.

    Raises:
        ParameterError: As for `cluster_of`.

    Example:
        >>> worker_name()
        'worker-0'
    """
    here = cluster_here()
    if here is not None:
        return here.name
    task = _parsed(os.environ.get(VARIABLE, "")).get("task", {})
    return f"{task.get('type', 'worker')}-{task.get('index', 0)}"


def cluster_of(text: str) -> Cluster | None:
    """The cluster that a text of TF_CONFIG names; None where it names none.

    Args:
        text: JSON, such as `{"cluster": {"worker": ["10.0.0.1:2222", …]}, "task": {"type": "worker", "index": 0}}`.

    Raises:
        ParameterError: It is malformed, or has parameter servers or an evaluator; the text says which field.

    Example:
        >>> found = cluster_of('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}')
        >>> found.name, found.is_chief, cluster_of("")
        ('worker-1', False, None)
    """
    config = _parsed(text)
    if not config.get("cluster"):
        return None
    jobs = {job: _addresses(job, found) for job, found in _mapping(config, "cluster").items()}
    _check_jobs(jobs)
    return Cluster(jobs, *_task(_mapping(config, "task"), jobs))


def require_free(address: str) -> None:
    """Checks that this machine can listen at the port of an address.

    Raises:
        ParameterError: Another process listens there.
    """
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise ParameterError(
                f"the address {address} of {VARIABLE} is in use by another process: "
                "end that, or name another port in every worker's cluster"
            ) from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text or "{}")
    except ValueError as error:
        raise ParameterError(f"{VARIABLE} is no JSON ({error}); got {text[:80]!r}") from None
    if not isinstance(config, dict):
        raise ParameterError(f"{VARIABLE} must be a JSON object with 'cluster' and 'task'; got {text[:80]!r}")
    return config


def _mapping(config: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = config.get(field)
    if not isinstance(found, dict):
        raise ParameterError(f"{field!r} of {VARIABLE} must be a JSON object; got {found!r}")
    return found


def _addresses(job: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not found or not all(map(_is_address, found)):
        raise ParameterError(f"'cluster.{job}' of {VARIABLE} must be a list of 'host:port'; got {found!r}")
    return tuple(found)


def _is_address(value: Any) -> bool:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536


def _check_jobs(jobs: Mapping[str, Sequence[str]]) -> None:
    others = [job for job in jobs if job not in _JOBS]
    if others:
        raise ParameterError(
            f"'cluster.{others[0]}' of {VARIABLE}: tfkit trains on workers that are equals, 'worker' (and 'chief'); "
            f"leave {', '.join(others)} out"
        )
    addresses = [address for each in jobs.values() for address in each]
    twice = next((each for each in addresses if addresses.count(each) > 1), None)
    if twice:
        raise ParameterError(f"'cluster' of {VARIABLE} names the address {twice} twice")


def _task(task: Mapping[str, Any], jobs: Mapping[str, Sequence[str]]) -> tuple[str, int]:
    job, index = task.get("type"), task.get("index")
    if not isinstance(job, str) or job not in jobs:
        raise ParameterError(f"'task.type' of {VARIABLE} must be one of {', '.join(jobs)}; got {job!r}")
    if isinstance(index, str) and index.isdigit():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(jobs[job]):
        raise ParameterError(
            f"'task.index' of {VARIABLE} must be a number from 0 to {len(jobs[job]) - 1}, "
            f"as there are {len(jobs[job])} of cluster.{job}; got {index!r}"
        )
    return job, index

"""Plan: what load is put on which server; plain values, so that it travels to the processes that make the load."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """A load.

    Attributes:
        transport: "rest" or "grpc".
        host: The server's host.
        port: Its port.
        path: The path of a REST call, or the full name of a gRPC method.
        bodies: Requests, sent in turn: JSON, or serialized messages.
        clients: Connections, each with one request under way at most.
        rate: Requests a second in an open loop; None is a closed loop, whose clients ask again once answered.
        duration: Seconds that are measured.
        warm_up: Seconds of load before them that are not.
        timeout: Seconds after which a request counts as failed.
        arrivals: "poisson" (independent users) or "uniform" (equal gaps), in an open loop.
        tls: Whether the server speaks TLS; its certificate is not checked, as for a load only speed counts.
        headers: Further header lines, such as an API key's.
    """

    transport: str
    host: str
    port: int
    path: str
    bodies: tuple[bytes, ...]
    clients: int = 32
    rate: float | None = None
    duration: float = 10.0
    warm_up: float = 1.0
    timeout: float = 10.0
    arrivals: str = "poisson"
    tls: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    def share(self, processes: int) -> list[Plan]:
        """The parts of so many processes: clients and rate are shared out, no part is without a client."""
        processes = max(1, min(processes, self.clients))
        counts = [self.clients // processes + (each < self.clients % processes) for each in range(processes)]
        rate = self.rate
        return [
            dataclasses.replace(self, clients=count, rate=None if rate is None else rate * count / self.clients)
            for count in counts
        ]

    def to_json(self) -> str:
        """What `from_json` takes."""
        bodies = [base64.b64encode(each).decode() for each in self.bodies]
        return json.dumps({**dataclasses.asdict(self), "bodies": bodies})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        bodies = tuple(base64.b64decode(each) for each in found.pop("bodies"))
        headers = tuple((name, value) for name, value in found.pop("headers"))
        return cls(**found, bodies=bodies, headers=headers)

"""How a gateway is set up."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfkit_serving.access import KeyRing
from tfkit_serving.routing import STICKY_HEADER
from tfkit_serving.routing.options import RoutingOptions


@dataclass(frozen=True)
class GatewayOptions:
    """Bounds and routes.

    Attributes:
        timeout: Seconds that a call of the model server may take.
        max_body_bytes: Length of a request's body at most.
        body_timeout: Seconds that a request's body may take to arrive.
        max_concurrent: Requests answered at a time; more get 503.
        max_rows: Rows of one request at most.
        routing: Weights of version labels, and labels that are sent requests too, by task.
        sticky: The header that keeps a caller on one label of a split; "api-key" goes by the caller's key.
        keys: API keys; None asks for none.
        drift_window: Rows that the comparison with the profile spans.
        feedback_rows: Labelled rows that the quality window holds.
        feedback_seconds: Age at which a labelled row leaves it, and a prediction no longer waits for its label.
        feedback_waiting: Predictions that wait for a label at most.
    """

    timeout: float = 10.0
    max_body_bytes: int = 16 << 20
    body_timeout: float = 30.0
    max_concurrent: int = 256
    max_rows: int = 1024
    routing: RoutingOptions = field(default_factory=RoutingOptions)
    sticky: str = STICKY_HEADER
    keys: KeyRing | None = None
    drift_window: int = 1000
    feedback_rows: int = 1000
    feedback_seconds: float = 86_400.0
    feedback_waiting: int = 100_000

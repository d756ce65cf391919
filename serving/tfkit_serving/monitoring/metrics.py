"""The metrics of the server: TensorFlow Serving's own, name by name, and ours beside them.

TensorFlow Serving's have `model_name` and no version; ours, which begin with `tfkit_serving_`, tell versions and
signatures apart.
"""

from __future__ import annotations

from tfkit_serving.monitoring.registry import OTHER, Metrics

LATENCY_BOUNDS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds: the bounds of TensorFlow Serving's histograms."""
BATCH_BOUNDS = tuple(2**power for power in range(13))
SECONDS_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONGEST_NAME = 200


class ServingMetrics(Metrics):
    """The registry that the server's parts report to.

    Example:
        >>> metrics = ServingMetrics()
        >>> metrics.count_request("mlp", "OK")
        >>> print(*[line for line in metrics.render().splitlines() if "request_count{" in line])
        :tensorflow:serving:request_count{model_name="mlp",status="OK"} 1
    """

    def __init__(self) -> None:
        super().__init__()
        # The real server writes no help lines.
        self._requests = self.counter(":tensorflow:serving:request_count", "", ("model_name", "status"))
        self._latency = self.histogram(
            ":tensorflow:serving:request_latency",
            "",
            ("model_name", "API", "entrypoint"),
            bounds=LATENCY_BOUNDS,
        )
        self._runtime = self.histogram(
            ":tensorflow:serving:runtime_latency",
            "",
            ("model_name", "API", "runtime"),
            bounds=LATENCY_BOUNDS,
        )
        of_signature = ("model", "version", "signature")
        self.signature_requests = self.counter(
            "tfkit_serving_requests_total", "Requests answered.", (*of_signature, "code")
        )
        self.signature_latency = self.histogram(
            "tfkit_serving_request_seconds",
            "From a request's last byte to its answer, successes only.",
            of_signature,
            bounds=SECONDS_BOUNDS,
        )
        self.batch_rows = self.histogram(
            "tfkit_serving_batch_rows", "Rows in a call of the model.", of_signature, bounds=BATCH_BOUNDS
        )
        self.queue_wait = self.histogram(
            "tfkit_serving_queue_seconds", "How long requests waited for their batch.", of_signature,
            bounds=SECONDS_BOUNDS,
        )  # fmt: skip
        self.queue_length = self.gauge("tfkit_serving_queue_requests", "Requests that wait for a batch.", of_signature)
        self.split_passed_over = self.counter(
            "tfkit_serving_split_passed_over_total",
            "Requests that went elsewhere than drawn, as the version was not there.",
            ("model", "label"),
        )
        self.shadow = self.counter(
            "tfkit_serving_shadow_rows_total",
            "Rows also sent to the shadow: agreed, disagreed, failed or dropped.",
            ("model", "label", "outcome"),
        )
        self.refused = self.counter(
            "tfkit_serving_refused_total", "Requests refused for their API key, before they were read.", ("reason",)
        )
        self.in_flight = self.gauge("tfkit_serving_in_flight_requests", "Requests being answered.", ("entrypoint",))
        self.versions = self.gauge(
            "tfkit_serving_version_state", "1 for the state that a version is in.", ("model", "version", "state")
        )
        self.memory = self.gauge(
            "tfkit_serving_version_memory_bytes", "Resident memory of a version's process.", ("model", "version")
        )

    def count_request(self, model: str, status: str) -> None:
        """Count one request by the canonical name of its status, such as `OK` or `INVALID_ARGUMENT`."""
        # A client chooses the name, and what it chooses stays on the page.
        self._requests.add((model if len(model) <= _LONGEST_NAME else OTHER, status))

    def observe_latency(self, model: str, api: str, entrypoint: str, microseconds: float) -> None:
        """Record the time of a successful request; `entrypoint` is `REST` or `GRPC`, `api` such as `predict`."""
        self._latency.observe((model, api, entrypoint), microseconds)

    def observe_runtime(self, model: str, api: str, runtime: str, microseconds: float) -> None:
        """Record the time that the model itself took; `runtime` is `TF1`."""
        self._runtime.observe((model, api, runtime), microseconds)

    def observe_signature(self, model: str, version: int, signature: str, code: str, seconds: float) -> None:
        """Record a request under its version and signature; the time counts if it succeeded."""
        labels = (model, str(version), signature)
        self.signature_requests.add((*labels, code))
        if code == "OK":
            self.signature_latency.observe(labels, seconds)

    def observe_batch(self, model: str, version: int, signature: str, rows: int) -> None:
        """Record how many rows a call of the model had."""
        self.batch_rows.observe((model, str(version), signature), rows)

    def observe_wait(self, model: str, version: int, signature: str, seconds: float) -> None:
        """Record how long a request waited for its batch."""
        self.queue_wait.observe((model, str(version), signature), seconds)


METRICS = ServingMetrics()
"""The server's registry; every part of one front process reports to it."""

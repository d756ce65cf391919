"""The gateway's metrics, over the registry that the server's use too."""

from __future__ import annotations

from collections.abc import Iterable

from tfkit_serving.feedback import Quality
from tfkit_serving.monitoring.metrics import SECONDS_BOUNDS
from tfkit_serving.monitoring.registry import Gauge, Metrics

_OF_DRIFT = {
    "tfkit_drift_rows": ("Rows that drift is told of.", ()),
    "tfkit_drift_psi": ("Population stability index against the training data; above 0.25 is a shift.", ("feature",)),
    "tfkit_drift_psi_by_chance": ("What the index stays below in 99 of 100 windows without a shift.", ("feature",)),
    "tfkit_drift_ks": ("Kolmogorov-Smirnov statistic against the training data.", ("feature",)),
    "tfkit_drift_missing_share": ("Share of rows without a value.", ("feature",)),
    "tfkit_drift_outside_vocabulary_share": ("Share of words that the training data do not hold twice.", ("feature",)),
    "tfkit_prediction_share": ("Share of each class in the answers.", ("label",)),
}
_OF_QUALITY = {
    "rows": ("tfkit_feedback_window_rows", "Labelled rows that quality is told of."),
    "accuracy": ("tfkit_feedback_accuracy", "Share of labelled rows whose label was predicted."),
    "mean_absolute_error": ("tfkit_feedback_mean_absolute_error", "Mean of |value - label| over labelled rows."),
    "root_mean_squared_error": (
        "tfkit_feedback_root_mean_squared_error", "Root of the mean of (value - label) squared over labelled rows.",
    ),
}  # fmt: skip
_VERSION = ("model", "version")


class GatewayMetrics(Metrics):
    """What a gateway counts.

    Example:
        >>> metrics = GatewayMetrics()
        >>> metrics.requests.add(("/digits", "200"))
        >>> [line for line in metrics.render().splitlines() if line.startswith("tfkit_gateway_requests_total{")]
        ['tfkit_gateway_requests_total{route="/digits",code="200"} 1']
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests = self.counter("tfkit_gateway_requests_total", "Requests answered.", ("route", "code"))
        self.latency = self.histogram(
            "tfkit_gateway_request_seconds",
            "From a request's first byte to its answer's last.",
            ("route",),
            bounds=SECONDS_BOUNDS,
        )
        self.upstream = self.histogram(
            "tfkit_gateway_upstream_seconds",
            "Calls of the model server, by how they ended.",
            ("model", "code"),
            bounds=SECONDS_BOUNDS,
        )
        self.in_flight = self.gauge("tfkit_gateway_in_flight_requests", "Requests being answered.")
        self.refused = self.counter("tfkit_gateway_refused_total", "Requests refused before their body.", ("reason",))
        self.routed = self.counter(
            "tfkit_gateway_routed_rows_total", "Rows answered, by label and version.", ("model", "label", "version")
        )
        self.shadow = self.counter(
            "tfkit_gateway_shadow_rows_total",
            "Rows also sent to the shadow label: agreed, disagreed, failed or dropped.",
            ("model", "label", "outcome"),
        )
        self.feedback = self.counter("tfkit_feedback_rows_total", "Rows whose label came back.", _VERSION)
        self.waiting = self.gauge("tfkit_feedback_waiting", "Predictions that wait for a label.")
        self.log_lost = self.gauge("tfkit_gateway_log_lost_lines", "Log lines that could not be written.")
        self._drift = {name: self.gauge(name, text, (*_VERSION, *labels)) for name, (text, labels) in _OF_DRIFT.items()}
        self._quality = {key: self.gauge(name, text, _VERSION) for key, (name, text) in _OF_QUALITY.items()}

    def set_drift(self, model: str, version: str, samples: Iterable[tuple[str, dict[str, str], float]]) -> None:
        """Takes what a `DriftObserver` says of a version."""
        for name, labels, value in samples:
            self._drift[name].set((model, version, *labels.values()), value)

    def forget_drift(self, model: str, version: str) -> None:
        """Drops what was said of a version."""
        for gauge in self._drift.values():
            _forget(gauge, model, version)

    def set_quality(self, model: str, version: str, quality: Quality) -> None:
        """Takes what labelled rows say of a version; what they say nothing of any more is dropped."""
        for key, gauge in self._quality.items():
            value = getattr(quality, key)
            if value is None:
                gauge.forget((model, version))
            else:
                gauge.set((model, version), value)


def _forget(gauge: Gauge, model: str, version: str) -> None:
    for labels in [each for each in gauge.values if each[:2] == (model, version)]:
        gauge.forget(labels)

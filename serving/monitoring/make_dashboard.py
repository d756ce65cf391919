"""Writes grafana/dashboards/model-serving.json from the table below: python serving/monitoring/make_dashboard.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "grafana" / "dashboards" / "model-serving.json"
_WIDTH, _HEIGHT = 8, 8
_MODEL = '{job=~"$job",model_name=~"$model"}'
_VERSION = '{job=~"$job",model=~"$model"}'
_SHARED = '{model=~"$model"}'
# The gateway's and the embedded server's.
_SHADOW = '{__name__=~"tfkit_(gateway|serving)_shadow_rows_total",model=~"$model"}'


def _rate(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{labels}[$__rate_interval]))"


def _quantiles(metric: str, labels: str, by: str, scale: str = "") -> list[tuple[str, str]]:
    legend = " ".join(f"{{{{{each.strip()}}}}}" for each in by.split(","))
    return [
        (f"histogram_quantile({share}, {_rate(metric + '_bucket', labels, by + ', le')}){scale}", f"{name} {legend}")
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    ]


_ERRORS = _MODEL.replace("}", ',status!="OK"}')
_FAILED = _VERSION.replace("}", ',code!="OK"}')
_OF_VERSION = "model, version"
_NAMED = "{{model}} {{version}}"

# Title of a row, then its panels: title, unit, what it tells, and its queries with their legends.
ROWS: list[tuple[str, list[tuple[str, str, str, list[tuple[str, str]]]]]] = [
    (
        "Models (TensorFlow Serving and the embedded server)",
        [
            (
                "Requests", "reqps", "By model and status.",
                [(
                    _rate(":tensorflow:serving:request_count", _MODEL, "model_name, status"),
                    "{{model_name}} {{status}}",
                )],
            ),
            (
                "Share that failed", "percentunit", "All that were not answered with OK; a model without any is at 0.",
                [(
                    f"({_rate(':tensorflow:serving:request_count', _ERRORS, 'model_name')}"
                    f" or 0 * {_rate(':tensorflow:serving:request_count', _MODEL, 'model_name')})"
                    f" / {_rate(':tensorflow:serving:request_count', _MODEL, 'model_name')}",
                    "{{model_name}}",
                )],
            ),
            (
                "Latency", "s", "Of answered requests, by model.",
                _quantiles(":tensorflow:serving:request_latency", _MODEL, "model_name", " / 1e6"),
            ),
            (
                "Latency by entry", "s", "REST and gRPC apart.",
                _quantiles(":tensorflow:serving:request_latency", _MODEL, "model_name, entrypoint", " / 1e6"),
            ),
            (
                "Time in the model", "s", "What the model itself took, its wait for a batch included.",
                _quantiles(":tensorflow:serving:runtime_latency", _MODEL, "model_name", " / 1e6"),
            ),
            (
                "Servers that answer", "short", "Targets that Prometheus reached.",
                [('sum by (job) (up{job=~"$job"})', "{{job}}")],
            ),
        ],
    ),
    (
        "Versions (embedded server)",
        [
            (
                "Requests by version", "reqps", "Also by signature.",
                [(
                    _rate("tfkit_serving_requests_total", _VERSION, "model, version, signature"),
                    _NAMED + " {{signature}}",
                )],
            ),
            (
                "Share that failed, by version", "percentunit", "A new version that fails more is to be rolled back.",
                [(
                    f"({_rate('tfkit_serving_requests_total', _FAILED, _OF_VERSION)}"
                    f" or 0 * {_rate('tfkit_serving_requests_total', _VERSION, _OF_VERSION)})"
                    f" / {_rate('tfkit_serving_requests_total', _VERSION, _OF_VERSION)}",
                    _NAMED,
                )],
            ),
            (
                "Latency by version", "s", "Of answered requests.",
                _quantiles("tfkit_serving_request_seconds", _VERSION, _OF_VERSION),
            ),
            (
                "Rows in a batch", "short", "Mean, and the largest five in a hundred.",
                [
                    (
                        f"{_rate('tfkit_serving_batch_rows_sum', _VERSION, _OF_VERSION)}"
                        f" / {_rate('tfkit_serving_batch_rows_count', _VERSION, _OF_VERSION)}",
                        "mean " + _NAMED,
                    ),
                    _quantiles("tfkit_serving_batch_rows", _VERSION, _OF_VERSION)[1],
                ],
            ),
            (
                "Queue", "short", "Requests that wait for a batch.",
                [(f"sum by (model, version) (tfkit_serving_queue_requests{_VERSION})", _NAMED)],
            ),
            (
                "Wait for a batch", "s", "",
                _quantiles("tfkit_serving_queue_seconds", _VERSION, _OF_VERSION),
            ),
            (
                "Memory", "bytes", "Of each version's process.",
                [(f"sum by (model, version) (tfkit_serving_version_memory_bytes{_VERSION})", _NAMED)],
            ),
            (
                "Versions by state", "short", "",
                [(
                    f"sum by (model, state) (tfkit_serving_version_state{_VERSION})", "{{model}} {{state}}",
                )],
            ),
            (
                "In flight", "short", "Requests being answered.",
                [('sum by (entrypoint) (tfkit_serving_in_flight_requests{job=~"$job"})', "{{entrypoint}}")],
            ),
        ],
    ),
    (
        "Gateway",
        [
            (
                "Requests by route", "reqps", "",
                [(_rate("tfkit_gateway_requests_total", "", "route, code"), "{{route}} {{code}}")],
            ),
            ("Latency by route", "s", "", _quantiles("tfkit_gateway_request_seconds", "", "route")),
            ("Calls of the model server", "s", "", _quantiles("tfkit_gateway_upstream_seconds", _SHARED, "model")),
        ],
    ),
    (
        "Quality and drift",
        [
            (
                "Drift (PSI)", "short", "Above 0.2 the inputs or outputs have shifted against the training data.",
                [(f"topk(10, tfkit_drift_psi{_SHARED})", _NAMED + " {{feature}}")],
            ),
            (
                "Drift (Kolmogorov-Smirnov)", "short", "Largest distance of the distribution functions.",
                [(f"topk(10, tfkit_drift_ks{_SHARED})", _NAMED + " {{feature}}")],
            ),
            (
                "Predicted classes", "percentunit", "Share of each class in the answers.",
                [(f"tfkit_prediction_share{_SHARED}", _NAMED + " {{label}}")],
            ),
            (
                "Accuracy", "percentunit", "Of the rows whose labels came back.",
                [(f"tfkit_feedback_accuracy{_SHARED}", _NAMED)],
            ),
            (
                "Labels that came back", "short", "A second.",
                [(_rate("tfkit_feedback_rows_total", _SHARED, _OF_VERSION), _NAMED)],
            ),
            (
                "Shadow", "short", "Rows a second that a shadow was sent too, and whether it said the same.",
                [(_rate("", _SHADOW, "model, label, outcome"), "{{model}} {{label}} {{outcome}}")],
            ),
        ],
    ),
]  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    return {
        "uid": "tfkit-model-serving",
        "title": "Model serving",
        "tags": ["tfkit", "tensorflow-serving"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }


def queries() -> list[tuple[str, str, str]]:
    """Row, panel and expression of every query."""
    return [(row, panel[0], expression) for row, panels in ROWS for panel in panels for expression, _ in panel[3]]


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return [
        source,
        _variable("job", "label_values(:tensorflow:serving:request_count, job)"),
        _variable("model", 'label_values(:tensorflow:serving:request_count{job=~"$job"}, model_name)'),
    ]


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for title, panels in ROWS:
        made.append(_panel(len(made), {"type": "row", "title": title, "collapsed": False, "panels": []}, 0, top, 24, 1))
        for index, panel in enumerate(panels):
            left = index % 3 * _WIDTH
            made.append(_panel(len(made), _chart(*panel), left, top + 1 + index // 3 * _HEIGHT, _WIDTH, _HEIGHT))
        top += 1 + -(-len(panels) // 3) * _HEIGHT
    return made


def _panel(index: int, content: dict[str, Any], x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"id": index + 1, **content, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _chart(title: str, unit: str, description: str, targets: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(targets)
        ],
    }


def as_text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(as_text())

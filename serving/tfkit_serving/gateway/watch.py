"""Watch: what is observed of each version: drift of its rows, quality of its answers."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfkit_serving.drift import DriftObserver
from tfkit_serving.feedback import FeedbackBook, Prediction, PredictionMemory, Quality, RollingQuality, is_number
from tfkit_serving.gateway.metrics import GatewayMetrics
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.gateway.task import Task

# Versions whose drift is watched at a time, of all models together; the one longest unused goes first.
_MOST = 64

_log = logging.getLogger(__name__)


class Watch:
    """Drift and quality by model and version, brought into the metrics at each scrape.

    Args:
        metrics: Where they are shown.
        options: Windows and bounds.
    """

    def __init__(self, metrics: GatewayMetrics, options: GatewayOptions) -> None:
        self._metrics = metrics
        self._options = options
        self._observers: OrderedDict[tuple[str, int], DriftObserver | None] = OrderedDict()
        self._book = FeedbackBook(
            PredictionMemory(options.feedback_waiting, options.feedback_seconds),
            lambda: RollingQuality(options.feedback_rows, options.feedback_seconds),
        )
        metrics.collector(self._collect)

    def observe(
        self, task: Task, version: int, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
    ) -> None:
        """Takes the rows of a request, and what a version answered; never fails.

        Args:
            task: The version's own task.
            version: The version.
            inputs: What it was asked, by the signature's names.
            outputs: What it answered.
        """
        observer = self._observer(task, version)
        if observer is None:
            return
        try:
            observer.observe(inputs, outputs)
        except Exception:  # a profile that does not fit these rows is no reason to fail a request
            _log.exception("drift of %s version %s is no longer watched", task.name, version)
            self._observers[task.name, version] = None

    def remember(
        self, request_id: str, task: Task, version: int, label: str | None, answers: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keeps answers until their labels come; those that no label can be compared with are not kept."""
        values = tuple(each.get("label" if task.kind == "classification" else "value") for each in answers)
        if task.kind and all(isinstance(each, str) or is_number(each) for each in values):
            self._book.remember(request_id, Prediction(task.name, version, values, label))

    def add_labels(self, task: Task, request_id: str, labels: Sequence[str | float]) -> tuple[int | None, Quality]:
        """Counts labels that came back.

        Returns:
            The version they are for, and its quality now.

        Raises:
            UnknownPrediction: No such prediction waits.
            ValueError: Labels of another number or type than the answers.
        """
        prediction = self._book.add(task.name, request_id, labels)
        self._metrics.feedback.add((task.name, str(prediction.version)), len(labels))
        qualities = self._book.qualities()
        quality = next(found for name, version, _, found in qualities if (name, version) == _key(prediction))
        return prediction.version, quality

    def _observer(self, task: Task, version: int) -> DriftObserver | None:
        key = (task.name, version)
        if key not in self._observers:
            self._observers[key] = self._make(task, version)
            if len(self._observers) > _MOST:
                (name, old), _ = self._observers.popitem(last=False)
                self._metrics.forget_drift(name, str(old))
        self._observers.move_to_end(key)
        return self._observers[key]

    def _make(self, task: Task, version: int) -> DriftObserver | None:
        if task.profile is None:
            return None
        window = self._options.drift_window
        try:
            return DriftObserver(task.profile, labels=task.labels, window=window, minimum=max(1, min(200, window)))
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("drift of %s version %s is not watched: %s", task.name, version, error)
            return None

    def _collect(self) -> None:
        for key, observer in list(self._observers.items()):
            if observer is not None:
                self._show_drift(key, observer)
        for name, found, _, quality in self._book.qualities():
            self._metrics.set_quality(name, str(found), quality)
        self._metrics.waiting.set((), self._book.waiting)

    def _show_drift(self, key: tuple[str, int], observer: DriftObserver) -> None:
        """Drift of one version; an error in it hides no other's metrics."""
        name, version = key
        self._metrics.forget_drift(name, str(version))
        try:
            self._metrics.set_drift(name, str(version), observer.metrics())
        except Exception:
            _log.exception("drift of %s version %s is no longer watched", name, version)
            self._observers[key] = None


def _key(prediction: Prediction) -> tuple[str, int | None]:
    return prediction.model, prediction.version

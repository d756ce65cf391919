"""The feedback book: predictions wait here for their labels, and quality is read off by model and version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfkit_serving.feedback.memory import Prediction, PredictionMemory
from tfkit_serving.feedback.quality import Quality, RollingQuality

_LARGEST = float(np.finfo(np.float32).max)


class UnknownPrediction(LookupError):
    """No prediction of that id waits for a label: never made here, too old, or labelled before."""


class FeedbackBook:
    """Predictions that wait for labels, and the quality of those that got one.

    Args:
        memory: Where predictions wait.
        quality: Makes the window of a model's version.

    Example:
        >>> book = FeedbackBook()
        >>> book.remember("id-1", Prediction("sentiment", 3, ("positive",)))
        >>> book.add("sentiment", "id-1", ["negative"])
        Prediction(model='sentiment', version=3, answers=('positive',), label=None)
        >>> next(book.qualities())
        ('sentiment', 3, 1, Quality(rows=1, accuracy=0.0, mean_absolute_error=None, root_mean_squared_error=None))
    """

    def __init__(
        self,
        memory: PredictionMemory | None = None,
        quality: Callable[[], RollingQuality] = RollingQuality,
    ) -> None:
        self._memory = memory if memory is not None else PredictionMemory()
        self._make = quality
        self._qualities: dict[tuple[str, int | None], RollingQuality] = {}

    @property
    def waiting(self) -> int:
        """Predictions that wait for a label."""
        return len(self._memory)

    def remember(self, request_id: str, prediction: Prediction) -> None:
        """Keeps what was answered until its label comes."""
        self._memory.remember(request_id, prediction)

    def add(self, model: str, request_id: str, labels: Sequence[str | float]) -> Prediction:
        """Counts the labels of a request's rows.

        Args:
            model: The model's name.
            request_id: The request's id.
            labels: One per row of that request: str for classes, float for values.

        Returns:
            The prediction that they belong to; it is forgotten, so that no row is counted twice.

        Raises:
            UnknownPrediction: There is none of that id.
            ValueError: The number or the type of the labels is not that of the answers; the prediction stays.
        """
        prediction = self._memory.look(model, request_id)
        if prediction is None:
            raise UnknownPrediction(
                f"no prediction of {model!r} with the request_id {request_id!r} waits for a label: "
                "it was made elsewhere, is too old, or was labelled before"
            )
        _check(prediction, labels)
        self._memory.forget(model, request_id)
        window = self._qualities.setdefault((model, prediction.version), self._make())
        for answer, label in zip(prediction.answers, labels):
            window.add(answer, label)
        return prediction

    def qualities(self) -> Iterator[tuple[str, int | None, int, Quality]]:
        """Model, version, labelled rows ever, and quality over the window, for all that were labelled."""
        for (model, version), window in self._qualities.items():
            yield model, version, window.count, window.now()


def _check(prediction: Prediction, labels: Sequence[str | float]) -> None:
    if len(labels) != len(prediction.answers):
        raise ValueError(f"the request had {len(prediction.answers)} rows and takes as many labels; got {len(labels)}")
    is_class = isinstance(prediction.answers[0], str)
    for label in labels:
        if not (isinstance(label, str) if is_class else is_number(label)):
            kind = "a class, a string" if is_class else "a number that float32 holds"
            raise ValueError(f"a label of {prediction.model!r} is {kind}; got {label!r}")


def is_number(value: object) -> bool:
    """Whether it is a number that float32 holds: one beyond, or NaN, would drown the errors of all others.

    Example:
        >>> is_number(3), is_number(1e300), is_number(float("nan")), is_number("3")
        (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST

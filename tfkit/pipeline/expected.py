"""expected: how much accuracy a model is to be expected to lose on new rows, where the labels are few.

Of many models that are measured on the same few rows the one that is chosen is a lucky one. A model loses accuracy only
where it decides otherwise than its source, and what the source itself was sure of there tells, with far less noise
than the labels, how often the source was right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfkit.recipe import Step, step_name

# How far off the loss by the source's confidence is held to be, as a share of itself; docs/decisions/0011.
_DOUBT = 0.5


class Expectation:
    """What a source decides on some rows, and how sure it is of that.

    Args:
        decided: Class ids that the source decides for, shape (n,).
        sure: Its calibrated probability of each class, shape (n, classes).
        labels: Class ids, shape (n,).
        weights: Of each row, summing to 1, shape (n,).
    """

    def __init__(self, decided: Any, sure: Any, labels: Any, weights: Any) -> None:
        self.decided = decided
        self.sure = sure
        self.labels = labels
        self.weights = weights

    def drop(self, decided: Any) -> float:
        """The loss of accuracy to be expected on new rows from another model that decides so.

        The loss by the labels and the loss by the source's confidence, each weighed by how sure it is (the first by
        its paired standard error, the second is known to within half of itself), and a standard error of the labels'
        part on top: by about so much is the one that is chosen among many a lucky one.

        Args:
            decided: Class ids, shape (n,).

        Returns:
            A share of all rows.

        Example:
            >>> import numpy as np
            >>> sure = np.array([[0.9, 0.1], [0.4, 0.6]] * 50)
            >>> source = Expectation(sure.argmax(1), sure, sure.argmax(1), np.full(100, 0.01))
            >>> source.drop(sure.argmax(1)), round(source.drop(np.zeros(100, int)), 3)
            (0.0, 0.325)
        """
        import numpy as np

        lost = (self.decided == self.labels) * 1.0 - (decided == self.labels)
        told = float(self.weights @ lost)
        error = float(np.sqrt(self.weights**2 @ (lost - told) ** 2))
        rows = np.arange(len(decided))
        believed = float(self.weights @ (self.sure[rows, self.decided] - self.sure[rows, decided]))
        if not error and not believed:
            return told
        trust = (_DOUBT * believed) ** 2 / ((_DOUBT * believed) ** 2 + error**2)
        return believed + trust * (told - believed + error)


def expectation(metric: Step, outputs: Any, truth: tuple[Any, ...]) -> Expectation | None:
    """What may be expected of models that are compared with a source by their accuracy.

    Args:
        metric: The metric plugin they are compared by.
        outputs: The source's, shape (n, classes), (n, 1) or (n,).
        truth: `(y,)` or `(y, sample_weight)`.

    Returns:
        None for another metric than accuracy, several labels for a row, a sequence, or outputs that are neither
        probabilities nor said to be logits.
    """
    import numpy as np

    name, params = step_name(metric)
    if name != "accuracy" or params.get("multi_label") or getattr(outputs, "ndim", 3) > 2:
        return None
    logits = _logits(outputs, bool(params.get("from_logits")))
    labels = _class_ids(truth[0], logits)
    if logits is None or labels is None:
        return None
    weights = np.asarray(truth[1] if len(truth) > 1 else np.ones(len(labels)), float).reshape(-1)
    if weights.shape != labels.shape or weights.sum() <= 0:
        return None
    weights = weights / weights.sum()
    return Expectation(decisions(outputs, params), _calibrated(logits, labels, weights), labels, weights)


def decisions(outputs: Any, params: Mapping[str, Any]) -> Any:
    """Class ids that a model decides for, as metric accuracy takes them.

    Args:
        outputs: Shape (n, classes), (n, 1) or (n,).
        params: The metric's: from_logits and threshold are heeded.

    Example:
        >>> import numpy as np
        >>> decisions(np.array([[0.2], [0.7]]), {}), decisions(np.array([[1.0, 3.0]]), {})
        (array([0, 1]), array([1]))
    """
    import numpy as np

    outputs = np.asarray(outputs)
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return outputs.argmax(1)
    flat = outputs.reshape(-1).astype(float)
    scores = 1 / (1 + np.exp(-flat)) if params.get("from_logits") else flat
    return (scores > params.get("threshold", 0.5)).astype(int)


def _logits(outputs: Any, from_logits: bool) -> Any:
    """Logarithms of probabilities up to a constant, shape (n, classes); None where the outputs are neither."""
    import numpy as np

    scores = np.asarray(outputs, float)
    scores = scores.reshape(len(scores), -1)
    if from_logits:
        return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores
    if scores.shape[1] == 1:
        scores = np.hstack([1 - scores, scores])
    if scores.min() < 0 or not np.allclose(scores.sum(1), 1, atol=1e-3):
        return None
    return np.log(np.clip(scores, 1e-7, 1))


def _class_ids(y: Any, logits: Any) -> Any:
    """Labels as ids, shape (n,); None where they have another form."""
    import numpy as np

    if logits is None:
        return None
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == logits.shape[1] > 1:
        return labels.argmax(1)
    if labels.size != len(logits) or labels.dtype.kind not in "biuf":
        return None
    return np.clip(np.rint(labels.reshape(-1)), 0, logits.shape[1] - 1).astype(int)


def _calibrated(logits: Any, labels: Any, weights: Any) -> Any:
    """Probabilities at the temperature that fits the labels best (Guo et al. 2017)."""
    import numpy as np

    def probabilities(sharpness: float) -> Any:
        scaled = np.exp(sharpness * (logits - logits.max(1, keepdims=True)))
        return scaled / scaled.sum(1, keepdims=True)

    def loss(sharpness: float) -> float:
        right = probabilities(sharpness)[np.arange(len(labels)), labels]
        return float(-weights @ np.log(np.maximum(right, 1e-12)))

    return probabilities(min(np.geomspace(0.1, 10, 101), key=loss))

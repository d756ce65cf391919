"""The objective of a search, with the direction in which it is better."""

from __future__ import annotations

import re
from typing import Any

import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction

from tfkit.errors import ParameterError

# KerasTuner would minimize the first of these, or knows none of them.
_MAXIMIZED = re.compile(
    r"(f1|fbeta|f1_score|fbeta_score|jaccard|mcc|r2|r2_score|pearson|spearman|pearson_correlation"
    r"|concordance_correlation|cohen_kappa|roc_auc|auc|average_precision|precision|recall|precision_at_recall"
    r"|recall_at_precision|(\w+_)?io_u|\w*accuracy)(_\d+)?"
)
_MINIMIZED = re.compile(r"(\w*loss|brier|calibration_error|mae|mse|rmse)(_\d+)?")


def directed(objective: Any) -> Any:
    """The objective as KerasTuner takes it: a name becomes a `keras_tuner.Objective`.

    Args:
        objective: A name as Keras logs it, a `keras_tuner.Objective`, a list of these, or None for the single
            float that a trial returns, minimized.

    Raises:
        ParameterError: The direction of a name is not known.

    Example:
        >>> str(directed("val_f1_score"))
        'Objective(name="val_f1_score", direction="max")'
    """
    if isinstance(objective, (list, tuple)):
        return [directed(each) for each in objective]
    if not isinstance(objective, str):
        return objective
    direction = direction_of(objective)
    if direction is None:
        raise ParameterError(
            f"whether the objective {objective!r} is to be large or small is not known: "
            f"pass keras_tuner.Objective({objective!r}, 'max') or keras_tuner.Objective({objective!r}, 'min')"
        )
    return keras_tuner.Objective(objective, direction)


def direction_of(metric: str) -> str | None:
    """ "max" or "min", by the metric's name as Keras logs it; None where that is not known."""
    plain = metric.removeprefix("val_").removeprefix("weighted_").replace("-", "_")
    if _MAXIMIZED.fullmatch(plain):
        return "max"
    if _MINIMIZED.fullmatch(plain):
        return "min"
    try:
        return infer_metric_direction(metric)
    except Exception:  # it tries to make the metric, and some need arguments
        return None


def told(objective: Any) -> str:
    """An objective in words, to compare and to show; several in the order of their names.

    Example:
        >>> told(keras_tuner.Objective("val_loss", "min"))
        'min val_loss'
    """
    several = getattr(objective, "objectives", [objective])
    return ", ".join(sorted(f"{each.direction} {each.name}" for each in several))

"""The objective of a search, with the direction in which it is better; several, of which one leads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction

from tfkit.errors import ParameterError
from tfkit.goal import FIGURES, Goal

# KerasTuner would minimize the first of these, or knows none of them.
_MAXIMIZED = re.compile(
    r"(f1|fbeta|f1_score|fbeta_score|jaccard|mcc|r2|r2_score|pearson|spearman|pearson_correlation"
    r"|concordance_correlation|cohen_kappa|roc_auc|auc|average_precision|precision|recall|precision_at_recall"
    r"|recall_at_precision|(\w+_)?io_u|\w*accuracy)(_\d+)?"
)
_MINIMIZED = re.compile(r"(\w*loss|brier|calibration_error|mae|mse|rmse)(_\d+)?")


class Several(keras_tuner.Objective):  # type: ignore[misc]
    """Several objectives, of which one leads: the first that Keras logs.

    KerasTuner adds them up, whatever their units. Here the score is the leading one's value; searchers look at all.

    Args:
        objectives: Two or more `keras_tuner.Objective`.
    """

    def __init__(self, objectives: Sequence[keras_tuner.Objective]) -> None:
        self.objectives = tuple(objectives)
        super().__init__(*Goal.of(self).leading)

    def has_value(self, logs: Mapping[str, float]) -> bool:
        """Whether there is a value of each."""
        return all(each.has_value(logs) for each in self.objectives)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Several) and self.objectives == other.objectives

    def __hash__(self) -> int:
        return hash(told(self))


def directed(objective: Any) -> Any:
    """The objective as KerasTuner takes it: a name becomes a `keras_tuner.Objective`.

    Args:
        objective: A name as Keras logs it or of a figure such as "bytes", a `keras_tuner.Objective`, a name with "min"
            or "max", a list of these, KerasTuner's own of several, or None for the single float that a trial returns,
            minimized.

    Raises:
        ParameterError: The direction of a name is not known, or one comes twice.

    Example:
        >>> str(directed("val_f1_score"))
        'Objective(name="val_f1_score", direction="max")'
    """
    if isinstance(objective, tuple) and len(objective) == 2 and objective[1] in ("min", "max"):
        return keras_tuner.Objective(*objective)
    if isinstance(objective, (list, tuple)):
        return _several([directed(each) for each in objective])
    if hasattr(objective, "objectives"):
        return _several(list(objective.objectives))
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
    if metric in FIGURES:
        return "min"
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
    """An objective in words, to compare and to show.

    Example:
        >>> told(keras_tuner.Objective("val_loss", "min"))
        'min val_loss'
    """
    several = getattr(objective, "objectives", [objective])
    return ", ".join(f"{each.direction} {each.name}" for each in several)


def _several(objectives: list[Any]) -> Any:
    names = [each.name for each in objectives]
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"several objectives must have a name each, and none twice; got {names}")
    return Several(objectives) if len(objectives) > 1 else objectives[0]

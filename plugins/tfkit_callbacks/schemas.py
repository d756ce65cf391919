"""Parameters of the callbacks. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tfkit.parameters import Ge


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    monitor: Annotated[str, "What to watch, by its name in the logs."] = "val_loss"
    patience: Annotated[int, Ge(0), "Epochs without improvement after which the fit ends."]
    mode: Annotated[Literal["auto", "min", "max"], "Whether less or more is better; auto asks the metric."] = "auto"
    min_delta: Annotated[float, Ge(0), "What a change must exceed to be an improvement."] = 0.0
    baseline: Annotated[float | None, "What the monitored value must beat for patience to begin anew."] = None
    restore_best_weights: Annotated[bool, "Whether the model ends with the weights of its best epoch."] = True
    start_from_epoch: Annotated[int, Ge(0), "Epochs at the start that are not watched."] = 0


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    monitor: Annotated[str, "What to watch, by its name in the logs."] = "val_loss"
    mode: Annotated[Literal["auto", "min", "max"], "Whether less or more is better; auto asks the metric."] = "auto"
    min_epochs: Annotated[int, Ge(1), "Epochs that every trial gets: the first rung."] = 1
    reduction_factor: Annotated[int, Ge(2), "One in so many goes on at each rung."] = 3


@dataclass(frozen=True, kw_only=True)
class MedianStopping:
    monitor: Annotated[str, "What to watch, by its name in the logs."] = "val_loss"
    mode: Annotated[Literal["auto", "min", "max"], "Whether less or more is better; auto asks the metric."] = "auto"
    min_epochs: Annotated[int, Ge(1), "Epochs that every trial gets."] = 1
    min_trials: Annotated[int, Ge(1), "Other trials that must have come as far before any is ended."] = 5

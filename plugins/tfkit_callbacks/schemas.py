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

"""Parameters of the callbacks. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tfkit.parameters import Ge, Gt, Le, Lt


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
class TerminateOnNaN:
    pass


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


@dataclass(frozen=True, kw_only=True)
class ReduceLROnPlateau:
    monitor: Annotated[str, "What to watch, by its name in the logs."] = "val_loss"
    factor: Annotated[float, Gt(0), Lt(1), "What the rate is multiplied by."] = 0.1
    patience: Annotated[int, Ge(0), "Epochs without improvement after which that happens."] = 10
    verbose: Annotated[int, Ge(0), "1 prints a line for each reduction."] = 0
    mode: Annotated[Literal["auto", "min", "max"], "Whether less or more is better; auto asks the metric."] = "auto"
    min_delta: Annotated[float, Ge(0), "What a change must exceed to be an improvement."] = 1e-4
    cooldown: Annotated[int, Ge(0), "Epochs after a reduction that are not counted."] = 0
    min_lr: Annotated[float, Ge(0), "The rate is not reduced below this."] = 0.0


@dataclass(frozen=True, kw_only=True)
class MicroBatches:
    steps: Annotated[int, Ge(1), "Parts of a batch, on each replica."]


@dataclass(frozen=True, kw_only=True)
class AverageWeights:
    kind: Annotated[Literal["ema", "swa"], "Exponential, over updates, or plain, over the ends of epochs."] = "ema"
    decay: Annotated[float, Ge(0), Lt(1), "What is left of a weight's part after an update; ema only."] = 0.999
    start_epoch: Annotated[
        int | None, Ge(0), "Epochs at the start that are not averaged; None is 0 for ema, 3/4 of them for swa."
    ] = None
    data: Annotated[Any, "Data to compute BatchNormalization's statistics from at the end, or None."] = None


@dataclass(frozen=True, kw_only=True)
class SharpnessAware:
    rho: Annotated[float, Gt(0), "Distance within which the worst point is looked for."] = 0.05


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing:
    smoothing: Annotated[float, Gt(0), Lt(1), "The part of a label that is spread over all classes."] = 0.1


@dataclass(frozen=True, kw_only=True)
class Mixup:
    alpha: Annotated[float, Gt(0), "Of the Beta distribution that shares come from: the larger, the more alike."] = 0.2
    seed: Annotated[int, Ge(0), "Of what is random."] = 0


@dataclass(frozen=True, kw_only=True)
class CutMix:
    alpha: Annotated[float, Gt(0), "Of the Beta distribution that areas come from: the larger, the more alike."] = 1.0
    seed: Annotated[int, Ge(0), "Of what is random."] = 0


@dataclass(frozen=True, kw_only=True)
class RDrop:
    alpha: Annotated[float, Gt(0), "What the divergence of the two passes counts."] = 1.0


@dataclass(frozen=True, kw_only=True)
class DropoutRate:
    rate: Annotated[float, Ge(0), Lt(1), "Share of the units that are dropped."]
    exclude: Annotated[tuple[str, ...], "Layers to leave as they are, by name or type."] = ()
    seed: Annotated[int, Ge(0), "Of the dropout that is inserted."] = 0


@dataclass(frozen=True, kw_only=True)
class StochasticDepth:
    rate: Annotated[float, Gt(0), Lt(1), "How often the last residual branch is left out."]
    mode: Annotated[Literal["row", "batch"], "Whether each row is drawn for, or a whole batch."] = "row"
    seed: Annotated[int, Ge(0), "Of what is random."] = 0


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    flip: Annotated[Literal["horizontal", "vertical", "both"] | None, "Which way images are flipped."] = None
    rotation: Annotated[float, Ge(0), Le(0.5), "The most that an image is turned, as a share of a whole turn."] = 0.0
    translation: Annotated[float, Ge(0), Lt(1), "The most that it is shifted, as a share of its size."] = 0.0
    zoom: Annotated[float, Ge(0), Lt(1), "The most that it grows or shrinks by, as a share."] = 0.0
    crop: Annotated[int, Ge(0), "Pixels of zeros around an image, out of which one of its size is cut."] = 0
    randaugment: Annotated[bool, "Whether two of ten changes are drawn for each batch."] = False
    value_range: Annotated[tuple[float, float] | None, "The range of pixels, for randaugment."] = None
    fill: Annotated[Literal["constant", "reflect", "wrap", "nearest"], "What is beyond an edge."] = "constant"
    seed: Annotated[int, Ge(0), "Of what is random."] = 0


@dataclass(frozen=True, kw_only=True)
class WordAugmentation:
    drop: Annotated[float, Ge(0), Lt(1), "How often a word is left out."] = 0.1
    swap: Annotated[float, Ge(0), Le(1), "How often a word is among those that change places."] = 0.1
    mask: Annotated[int, "The id of padding, where texts are ids."] = 0
    seed: Annotated[int, Ge(0), "Of what is random."] = 0


@dataclass(frozen=True, kw_only=True)
class EpochLog:
    path: Annotated[Any, "The file; folders that are missing are made."]
    append: Annotated[bool, "Whether the lines of an earlier fit stay."] = False


@dataclass(frozen=True, kw_only=True)
class ValidationMetrics:
    data: Annotated[Any, "A Data with a validation part, (x, y) or (x, y, sample_weight)."]
    metrics: Annotated[Any, "Names, or (name, params), of metric plugins."]
    frequency: Annotated[int, Ge(1), "Epochs from one time to the next."] = 1


@dataclass(frozen=True, kw_only=True)
class Backup:
    directory: Annotated[Any, "Where the backup goes, in a folder of each worker."]


@dataclass(frozen=True, kw_only=True)
class TensorBoard:
    directory: Annotated[Any, "Folder of this run, below that of tensorboard --logdir."]
    hyperparameters: Annotated[Any, "Names and values for the HParams page."] = None
    histograms: Annotated[int, Ge(0), "Epochs from one histogram of each weight to the next; 0 for none."] = 0


@dataclass(frozen=True, kw_only=True)
class WeightsAndBiases:
    project: Annotated[str | None, "Project of the run, where none is open."] = None
    name: Annotated[str | None, "Name of the run, where none is open."] = None
    hyperparameters: Annotated[Any, "Names and values for the run's configuration."] = None
    mode: Annotated[
        Literal["online", "offline", "disabled"] | None, "Where figures go; None is what the environment says."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    pass


@dataclass(frozen=True, kw_only=True)
class ResourceMonitor:
    pass


@dataclass(frozen=True, kw_only=True)
class Doctor:
    pass

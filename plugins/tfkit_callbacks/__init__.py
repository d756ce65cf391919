"""Training callbacks: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_callbacks import schemas


@tfkit.hookimpl
def tfkit_callbacks() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="early-stopping",
        summary="Ends a fit that no longer improves and restores the best epoch's weights.",
        target="tfkit_callbacks.early_stopping:EarlyStopping",
        params=schemas.EarlyStopping,
        examples=({"monitor": "loss", "patience": 2}, {"monitor": "loss", "patience": 0, "mode": "min"}),
    )
    yield tfkit.Spec(
        name="terminate-on-nan",
        summary="Ends a fit at the first step that is not finite, before it happens, and says the layer.",
        target="tfkit_callbacks.terminate_on_nan.callback:TerminateOnNaN",
        params=schemas.TerminateOnNaN,
        examples=({},),
    )
    yield tfkit.Spec(
        name="asha",
        summary="Ends a trial of a search that is not among the best at the next rung (successive halving).",
        target="tfkit_callbacks.asha:SuccessiveHalving",
        params=schemas.SuccessiveHalving,
        examples=({"monitor": "loss"}, {"monitor": "loss", "mode": "min", "reduction_factor": 2}),
    )
    yield tfkit.Spec(
        name="median-stopping",
        summary="Ends a trial of a search that is worse than the median of the others by then.",
        target="tfkit_callbacks.median_stopping:MedianStopping",
        params=schemas.MedianStopping,
        examples=({"monitor": "loss"}, {"monitor": "loss", "mode": "min", "min_trials": 1}),
    )
    yield tfkit.Spec(
        name="reduce-lr-on-plateau",
        summary="Reduces whatever learning rate is in force, a schedule's too, when a fit no longer improves.",
        target="tfkit_callbacks.reduce_lr_on_plateau:ReduceLROnPlateau",
        params=schemas.ReduceLROnPlateau,
        examples=({"monitor": "loss", "patience": 1}, {"monitor": "loss", "factor": 0.5, "min_lr": 0.01}),
    )
    yield tfkit.Spec(
        name="micro-batches",
        summary="Computes the gradients of a batch in parts, in so much less memory, for one update.",
        target="tfkit_callbacks.micro_batches:MicroBatches",
        params=schemas.MicroBatches,
        examples=({"steps": 2}, {"steps": 3}),
    )
    yield tfkit.Spec(
        name="average-weights",
        summary="Leaves the model with an average of the weights it had: exponential, or stochastic weight averaging.",
        target="tfkit_callbacks.average_weights:AverageWeights",
        params=schemas.AverageWeights,
        examples=({"kind": "ema", "decay": 0.9}, {"kind": "swa", "start_epoch": 0}),
    )
    yield tfkit.Spec(
        name="sam",
        summary="Sharpness-aware minimization: steps by the gradient at the worst point nearby.",
        target="tfkit_callbacks.sam:SharpnessAware",
        params=schemas.SharpnessAware,
        examples=({"rho": 0.05},),
    )
    yield tfkit.Spec(
        name="label-smoothing",
        summary="Smooths labels of any form in training: ids, one-hot rows, labels that are true or not.",
        target="tfkit_callbacks.label_smoothing:LabelSmoothing",
        params=schemas.LabelSmoothing,
        examples=({"smoothing": 0.1},),
    )
    yield tfkit.Spec(
        name="mixup",
        summary="Mixes the rows of a batch and their labels, or the losses of class ids.",
        target="tfkit_callbacks.mixing.mixup:Mixup",
        params=schemas.Mixup,
        examples=({"alpha": 0.2},),
    )
    yield tfkit.Spec(
        name="cutmix",
        summary="Puts a box of another image into each, and mixes labels by its area.",
        target="tfkit_callbacks.mixing.cutmix:CutMix",
        params=schemas.CutMix,
        examples=({"alpha": 1.0},),
    )
    yield tfkit.Spec(
        name="r-drop",
        summary="Passes each batch twice, with dropout of their own, and has the two agree.",
        target="tfkit_callbacks.noise.r_drop:RDrop",
        params=schemas.RDrop,
        examples=({"alpha": 1.0},),
    )
    yield tfkit.Spec(
        name="dropout",
        summary="Sets the dropout rates of a built model for a fit, or inserts dropout where it has none.",
        target="tfkit_callbacks.noise.dropout:DropoutRate",
        params=schemas.DropoutRate,
        examples=({"rate": 0.3},),
    )
    yield tfkit.Spec(
        name="stochastic-depth",
        summary="Leaves out residual branches at random, the deeper the more often.",
        target="tfkit_callbacks.noise.stochastic_depth:StochasticDepth",
        params=schemas.StochasticDepth,
        examples=({"rate": 0.2},),
    )
    yield tfkit.Spec(
        name="image-augmentation",
        summary="Flips, turns, shifts, zooms, crops or RandAugments training images, each epoch anew.",
        target="tfkit_callbacks.augmentation.images:ImageAugmentation",
        params=schemas.ImageAugmentation,
        examples=({"flip": "horizontal", "crop": 1},),
    )
    yield tfkit.Spec(
        name="word-augmentation",
        summary="Leaves out words of training texts, and has others change places, each epoch anew.",
        target="tfkit_callbacks.augmentation.words:WordAugmentation",
        params=schemas.WordAugmentation,
        examples=({"drop": 0.1, "swap": 0.1},),
    )
    yield tfkit.Spec(
        name="jsonl-log",
        summary="Writes the figures of each epoch as a line of JSON.",
        target="tfkit_callbacks.epoch_logs:JsonLinesLog",
        params=schemas.EpochLog,
        examples=({"path": "log.jsonl"}, {"path": "log.jsonl", "append": True}),
    )
    yield tfkit.Spec(
        name="csv-log",
        summary="Writes the figures of each epoch as a row of comma-separated values.",
        target="tfkit_callbacks.epoch_logs:CsvLog",
        params=schemas.EpochLog,
        examples=({"path": "log.csv"},),
    )
    yield tfkit.Spec(
        name="validation-metrics",
        summary="Adds any metric of tfkit on validation data to the logs of each epoch.",
        target="tfkit_callbacks.validation_metrics:ValidationMetrics",
        params=schemas.ValidationMetrics,
        examples=({"data": ([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], [0, 1, 2]), "metrics": ["accuracy"]},),
    )
    yield tfkit.Spec(
        name="backup",
        summary="Keeps the state of a training after each epoch; the same fit goes on from it.",
        target="tfkit_callbacks.backup:Backup",
        params=schemas.Backup,
        examples=({"directory": "backup"},),
    )
    yield tfkit.Spec(
        name="tensorboard",
        summary="TensorBoard's curves, with the run's hyperparameters.",
        target="tfkit_callbacks.tensorboard:TensorBoard",
        params=schemas.TensorBoard,
        examples=({"directory": "logs"}, {"directory": "logs", "hyperparameters": {"units": 8}, "histograms": 1}),
    )
    yield tfkit.Spec(
        name="wandb",
        summary="Logs the curves of a fit and its hyperparameters to Weights & Biases (extra wandb).",
        target="tfkit_callbacks.weights_and_biases:WeightsAndBiases",
        params=schemas.WeightsAndBiases,
        examples=({"mode": "disabled"},),
    )
    yield tfkit.Spec(
        name="progress",
        summary="Shows how far a fit is, its rate and the time left over all epochs.",
        target="tfkit_callbacks.progress:Progress",
        params=schemas.Progress,
        examples=({},),
    )
    yield tfkit.Spec(
        name="resource-monitor",
        summary="Adds speed and memory to the logs of each epoch.",
        target="tfkit_callbacks.resource_monitor:ResourceMonitor",
        params=schemas.ResourceMonitor,
        examples=({},),
    )
    yield tfkit.Spec(
        name="doctor",
        summary="Says at the end of a fit what is wrong with it, with the figures, and what to try.",
        target="tfkit_callbacks.doctor.callback:Doctor",
        params=schemas.Doctor,
        examples=({},),
    )

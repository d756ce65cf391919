"""Parameters of the compressors. Free of frameworks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tfkit.parameters import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class Prune:
    sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros in each kernel at the end."]
    schedule: Annotated[
        Literal["polynomial", "constant"], "Whether the share grows from initial_sparsity or is there from `begin` on."
    ] = "polynomial"
    initial_sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros at `begin`, for polynomial."] = 0.0
    begin: Annotated[int, Ge(0), "Optimizer update from which on masks are updated."] = 0
    end: Annotated[int | None, Ge(1), "Last update of the masks; None for the last batch of the fit."] = None
    frequency: Annotated[int, Ge(1), "Optimizer updates from one update of the masks to the next."] = 100
    power: Annotated[float, Gt(0), "Exponent of polynomial."] = 3
    block_size: Annotated[tuple[int, int], "Height and width of blocks pruned together, in 2-D kernels."] = (1, 1)
    block_pooling: Annotated[Literal["AVG", "MAX"], "Magnitude that stands for a block."] = "AVG"
    pattern: Annotated[str | None, "Zeros in each group of consecutive inputs, such as '2:4'."] = None
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()
    depthwise: Annotated[bool, "Whether depthwise kernels are pruned too."] = False
    ranking: Annotated[
        Literal["layer", "global"], "Whether weights are ranked in each kernel or over all of them together."
    ] = "layer"
    layers: Annotated[dict[str, float] | None, "Sparsity of single layers, by name or type, such as {'head': 0.2}."] = (
        None
    )
    granularity: Annotated[Literal["weight", "unit"], "Whether single weights go or whole units and channels."] = (
        "weight"
    )


@dataclass(frozen=True, kw_only=True)
class Threshold:
    value: Annotated[float, Gt(0), "Weights of a smaller magnitude become zero."]
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()
    depthwise: Annotated[bool, "Whether depthwise kernels are pruned too."] = False


@dataclass(frozen=True, kw_only=True)
class Shrink:
    ratio: Annotated[float, Ge(0), Lt(1), "Share of the units that go of each group; with a budget, at most."]
    importance: Annotated[
        Literal["l2", "l1", "taylor", "activation", "bn-scale"] | Callable[..., Any],
        "What units are ranked by; or a function of a group's kernels.",
    ] = "l2"
    multiple_of: Annotated[
        Annotated[int, Ge(1)] | Literal["auto"], "What counts of units are kept a multiple of; 'auto' measures it."
    ] = 1
    budget: Annotated[float | None, Gt(0), Lt(1), "Share of the source's cost that may stay; None for none."] = None
    cost: Annotated[Literal["parameters", "bytes", "flops", "latency"], "What the budget counts."] = "parameters"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    clusters: Annotated[int, Ge(2), Le(256), "Values that each kernel may have, a pruned one's zero among them."] = 16
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()


@dataclass(frozen=True, kw_only=True)
class Distill:
    teacher: Annotated[Any, "A Keras model, the path of one, a list of these, or 'source': the model as it was."] = (
        "source"
    )
    temperature: Annotated[float, Gt(0), "What softens the classes that teacher and student answer."] = 4.0
    alpha: Annotated[float, Ge(0), Le(1), "Weight of the student's own loss beside the teacher's answers."] = 0.1
    features: Annotated[
        tuple[tuple[str, str], ...], "Pairs of layers, the student's and the teacher's, to give the same."
    ] = ()
    feature_weight: Annotated[float, Ge(0), "Weight of the mean squared difference of features."] = 1.0
    task: Annotated[
        Literal["auto", "softmax", "sigmoid", "regression"], "What the outputs are; 'auto' is as the loss says."
    ] = "auto"


@dataclass(frozen=True, kw_only=True)
class LowRank:
    energy: Annotated[float, Gt(0), Le(1), "Share of a kernel's squared singular values that is kept."] = 0.95
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()


@dataclass(frozen=True, kw_only=True)
class TrimVocabulary:
    keep: Annotated[float, Gt(0), Le(1), "Share of the tokens that stay; with 1 only rows that no token has go."]
    importance: Annotated[
        Literal["taylor", "norm", "frequency"], "What tokens are ranked by; those not in the train part go first."
    ] = "norm"


@dataclass(frozen=True, kw_only=True)
class Equalize:
    exclude: Annotated[tuple[str, ...], "Layers to leave as they are, by name or type."] = ()


@dataclass(frozen=True, kw_only=True)
class Clip:
    value: Annotated[float, Gt(0), "Bound of a weight's magnitude."]
    unit: Annotated[
        Literal["absolute", "std"], "What the bound is a number of: itself, or the standard deviation of each kernel."
    ] = "absolute"
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()


@dataclass(frozen=True, kw_only=True)
class Quantize:
    bits: Annotated[int, "Bits of the weights: 4, 8 or 16."] = 8
    activations: Annotated[int | None, "Bits of the activations: 8 or 16, None for float; None where bits is 16."] = 8
    calibration: Annotated[int, Ge(1), "Rows of the train part that the ranges of activations are read from."] = 100
    timeout: Annotated[float, Gt(0), "Seconds that the converter may take."] = 600.0
    exclude: Annotated[
        tuple[str, ...], "Layers that keep 8 bits where bits is 4, floats with engine='keras'; by name or type."
    ] = ()
    bias_correction: Annotated[bool, "Whether biases make up for what rounding the weights adds to the mean."] = False
    engine: Annotated[
        Literal["litert", "keras"], "Whether a LiteRT file is written, or the Keras model itself quantized."
    ] = "litert"


@dataclass(frozen=True, kw_only=True)
class Qat:
    bits: Annotated[Literal[4, 8], "Bits of the weights."] = 8
    activations: Annotated[Literal[8, 16] | None, "Bits of the activations; None for float."] = 8
    layers: Annotated[dict[str, int] | None, "Bits of single layers, by name or type, such as {'head': 8}."] = None
    exclude: Annotated[tuple[str, ...], "Layers that are trained in float, by name or type."] = ()
    max_drop: Annotated[
        float | None, Ge(0), "Loss of the metric within which layers get 4 bits instead of 8; None for `bits` in all."
    ] = None
    metric: Annotated[str, "Metric plugin that max_drop is measured by."] = "accuracy"
    preserve_sparsity: Annotated[bool, "Whether zeros stay zeros in kernels that have many."] = True
    preserve_clusters: Annotated[bool, "Whether weights that share a value go on sharing one."] = True
    timeout: Annotated[float, Gt(0), "Seconds that the converter may take."] = 600.0


@dataclass(frozen=True, kw_only=True)
class TfmotPrune:
    sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros in each kernel at the end."]
    initial_sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros at the beginning."] = 0.0
    frequency: Annotated[int, Ge(1), "Steps from one update of the masks to the next, at most."] = 100


@dataclass(frozen=True, kw_only=True)
class TfmotQat:
    bits: Annotated[Literal[8], "Bits of weights and activations."] = 8
    calibration: Annotated[int, Ge(1), "Rows of the train part that the first ranges are read from."] = 100
    learning_rate: Annotated[float | None, Gt(0), "Of the training; None for that of the model's optimizer."] = None
    timeout: Annotated[float, Gt(0), "Seconds that the converter may take."] = 600.0


@dataclass(frozen=True, kw_only=True)
class TfmotCluster:
    clusters: Annotated[int, Ge(2), "Values that each kernel may have."] = 16
    preserve_sparsity: Annotated[bool, "Whether zeros stay zeros."] = False

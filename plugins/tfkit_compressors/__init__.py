"""What makes a trained model smaller or faster: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_compressors import schemas


@tfkit.hookimpl
def tfkit_compressors() -> Iterator[tfkit.Spec]:
    yield from _zeros()
    yield from _smaller_layers()
    yield from _fewer_bits()
    yield from _taught()
    yield from _ranges()
    yield from _of_tfmot()


def _zeros() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="prune",
        summary="Sets the weights of smallest magnitude to zero while the model trains (TFMOT's engine).",
        target="tfkit_compressors.pruning.prune:Prune",
        params=schemas.Prune,
        examples=(
            {"sparsity": 0.5, "frequency": 2},
            {"sparsity": 0.75, "schedule": "constant", "frequency": 4},
            {"sparsity": 0.5, "pattern": "2:4"},
            {"sparsity": 0.5, "ranking": "global"},
            {"sparsity": 0.5, "granularity": "unit"},
        ),
    )
    yield tfkit.Spec(
        name="threshold",
        summary="Sets the weights below a magnitude to zero, and keeps them there while the model trains.",
        target="tfkit_compressors.pruning.threshold:Threshold",
        params=schemas.Threshold,
        examples=({"value": 0.3},),
    )


def _smaller_layers() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="shrink",
        summary="Removes whole channels, units and heads: smaller layers that compute what the masked original does.",
        target="tfkit_compressors.shrinking.shrink:Shrink",
        params=schemas.Shrink,
        examples=({"ratio": 0.5}, {"ratio": 0.5, "importance": "taylor"}, {"ratio": 0.75, "budget": 0.6}),
    )
    yield tfkit.Spec(
        name="low-rank",
        summary="Puts two thin layers in the place of a dense or convolutional one whose kernel is near a low rank.",
        target="tfkit_compressors.factorization.low_rank:LowRank",
        params=schemas.LowRank,
        examples=({"energy": 0.6}, {}),
    )
    yield tfkit.Spec(
        name="trim-vocabulary",
        summary="Removes the tokens that matter least and their rows: for models that read text or categories.",
        target="tfkit_compressors.vocabulary.trim:TrimVocabulary",
        params=schemas.TrimVocabulary,
        examples=({"keep": 0.5}, {"keep": 0.5, "importance": "taylor"}),
    )


def _fewer_bits() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="quantize",
        summary="Quantizes a trained model to a LiteRT file of 16, 8 or 4 bits, or the Keras model itself.",
        target="tfkit_compressors.quantization.quantize:Quantize",
        params=schemas.Quantize,
        examples=({"calibration": 32}, {"engine": "keras"}),
    )
    yield tfkit.Spec(
        name="qat",
        summary="Trains a model that computes with quantized weights and activations, and writes it as LiteRT.",
        target="tfkit_compressors.qat.qat:QuantizationAwareTraining",
        params=schemas.Qat,
        examples=({}, {"bits": 4, "activations": None}),
    )
    yield tfkit.Spec(
        name="cluster",
        summary="Gives the weights of each kernel a few values to share, and trains those values.",
        target="tfkit_compressors.clustering.cluster:Cluster",
        params=schemas.Cluster,
        examples=({"clusters": 4}, {}),
    )


def _taught() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="distill",
        summary="Trains the model on the answers of a teacher, a larger model or itself as it was, beside the labels.",
        target="tfkit_compressors.distillation.distill:Distill",
        params=schemas.Distill,
        examples=({"alpha": 0.5}, {"temperature": 2.0}),
    )


def _ranges() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="clip",
        summary="Sets the weights of kernels beyond a bound to the bound, which makes quantization finer.",
        target="tfkit_compressors.clipping.clip:Clip",
        params=schemas.Clip,
        examples=({"value": 0.5}, {"value": 2.5, "unit": "std"}),
    )
    yield tfkit.Spec(
        name="equalize",
        summary="Scales channels between layers until their ranges are alike, before quantize; the outputs stay.",
        target="tfkit_compressors.quantization.equalize:Equalize",
        params=schemas.Equalize,
        examples=({},),
    )


def _of_tfmot() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="tfmot-prune",
        summary="TFMOT's own pruning, on a tf_keras twin of the model: for a comparison with prune.",
        target="tfkit_compressors.bridge.prune:TfmotPrune",
        params=schemas.TfmotPrune,
        examples=({"sparsity": 0.5},),
    )
    yield tfkit.Spec(
        name="tfmot-qat",
        summary="TFMOT's own quantization-aware training, on a tf_keras twin of the model, to an int8 LiteRT file.",
        target="tfkit_compressors.bridge.qat:TfmotQat",
        params=schemas.TfmotQat,
        examples=({},),
    )
    yield tfkit.Spec(
        name="tfmot-cluster",
        summary="TFMOT's own weight clustering, on a tf_keras twin of the model: for a comparison with cluster.",
        target="tfkit_compressors.bridge.cluster:TfmotCluster",
        params=schemas.TfmotCluster,
        examples=({"clusters": 4},),
    )

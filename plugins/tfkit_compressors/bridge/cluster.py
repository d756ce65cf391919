"""TFMOT's own weight clustering of a Keras 3 model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit import Compressed, Data
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.replay import to_tf_keras
from tfkit_compressors.bridge.training import fit
from tfkit_compressors.bridge.wrapped import wrapped_clone


class TfmotCluster:
    """Clusters weights with TFMOT's `cluster_weights` on a tf_keras twin of the model, and brings them back.

    Compressor `cluster` does the same in Keras 3, takes every layer, and needs no tf_keras.

    Args:
        clusters: Values that each kernel may have; kernels of no more values stay as they are.
        preserve_sparsity: Whether weights that are zero stay zero.

    Raises:
        ModuleNotFoundError: TFMOT or tf_keras is not installed.
    """

    def __init__(self, clusters: int = 16, preserve_sparsity: bool = False) -> None:
        self.clusters = clusters
        self.preserve_sparsity = preserve_sparsity
        self._api = tfmot.api().clustering.keras

    def compress(self, model: Any, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Clusters the weights, then trains their common values on the train part.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0; its weights are changed.
            data: The train part is fitted.
            epochs: Epochs of training; 0 only clusters.
            directory: Not used.

        Raises:
            ModelError: A layer, the optimizer or the loss is refused by tf_keras or TFMOT; the text names it.
            VerificationError: The twin computes something else than the model.
        """
        bridge = to_tf_keras(model, data.sample(4))
        wrapped = wrapped_clone(bridge.legacy, self._wrapped, "cluster_weights")
        if epochs:
            fit(wrapped, model, data, epochs=epochs)
        bridge.bring_back(self._api.strip_clustering(wrapped))
        return Compressed(model)

    def _wrapped(self, layer: Any) -> Any:
        if all(weight.shape.num_elements() <= self.clusters for weight in layer.weights):
            return layer  # it has no more values than that; TFMOT finds no centroids then
        start = self._api.CentroidInitialization.KMEANS_PLUS_PLUS
        options = {"preserve_sparsity": self.preserve_sparsity, "cluster_per_channel": False}
        return self._api.cluster_weights(layer, self.clusters, start, **options)

"""Weight sharing: a few values for all weights of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from tfkit import Compressed, Data
from tfkit_compressors.clustering.codebook import Codebook
from tfkit_compressors.constrained import ConstrainedCallback, Held, constrain
from tfkit_compressors.kernels import kernels


class Cluster:
    """Gives the weights of each kernel a few values to share, found by k-means, and trains those values.

    A file of 16 values a kernel compresses to a seventh of its size or less; nothing runs faster by it. The
    weights of a cluster move together: the optimizer gets the mean of their gradients for each. A kernel of which
    1% or more are zeros stays as sparse as it is: they are a cluster of their own. Touched are trainable variables
    named kernel, recurrent_kernel, embeddings and pointwise_kernel.

    Source: Deep Compression, Han, Mao and Dally 2016.

    Args:
        clusters: Values that each kernel may have, from 2 to 256, the zero of a pruned one among them.
        exclude: Layers to leave out, by name or type.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, name="out")])
        >>> data = Data((np.ones((4, 8)), np.ones((4, 8))))
        >>> _ = Cluster(4).compress(model, data, epochs=0, directory=Path())
        >>> len(np.unique(model.layers[0].kernel.numpy()))
        4
    """

    def __init__(self, clusters: int = 16, exclude: Sequence[str] = ()) -> None:
        self.clusters = clusters
        self.exclude = tuple(exclude)

    def callback(self) -> ConstrainedCallback:
        """The Keras callback that clusters when a `fit` begins and trains the shared values in it."""
        return ConstrainedCallback(self._plan)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Clusters a model and trains the shared values.

        Args:
            model: A built model, compiled where epochs is not 0; it is changed.
            data: The train part is fitted.
            epochs: Epochs of training.
            directory: Not used.

        Raises:
            ModelError: If the model is not built or not compiled, or has nothing to cluster.
        """
        constrain(model, data, self._plan, epochs)
        counts = [len(np.unique(kernel.numpy())) for kernel in self._kernels(model)]
        return Compressed(model, notes=(f"{len(counts)} kernels of at most {max(counts)} values each",))

    def _plan(self, model: keras.Model) -> list[Held]:
        books = [(kernel, Codebook(kernel, self.clusters)) for kernel in self._kernels(model)]
        return [Held(kernel, constraint=book, gradient=book) for kernel, book in books]

    def _kernels(self, model: keras.Model) -> list[keras.Variable]:
        return kernels(model, exclude=self.exclude, purpose="cluster")

"""BatchNormalization's statistics of activations, read anew under the weights that a training ended with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from tfkit_compressors.qat.fake import FakeQuantization


def read_statistics(fake: FakeQuantization, batches: Iterable[Any]) -> None:
    """Sets means and variances of the BatchNormalization layers that train to their averages over batches.

    Weights of 4 bits jump between two values up to the last update of a training, and the moving averages that it
    leaves are those of weights that are gone.

    Source: Overcoming oscillations in quantization-aware training, Nagel et al. 2022, section 3.1 (re-estimation).

    Args:
        fake: Fake quantization of a built model; the ranges of activations go on following.
        batches: Batches of input.
    """
    layers = fake.model._flatten_layers()
    norms = [each for each in layers if isinstance(each, keras.layers.BatchNormalization) and each.trainable]
    if not norms:
        return
    with fake.installed(), _momentum_put_back(norms):
        for count, batch in enumerate(batches):
            for norm in norms:
                norm.momentum = count / (count + 1)
            fake.model(batch, training=True)


@contextlib.contextmanager
def _momentum_put_back(norms: list[Any]) -> Iterator[None]:
    before = [norm.momentum for norm in norms]
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum

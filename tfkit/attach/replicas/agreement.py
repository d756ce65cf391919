"""What the workers of a training tell each other beside gradients. Each call is one for all: every worker makes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def smallest(strategy: tf.distribute.Strategy, number: int) -> int:
    """The smallest of the workers' numbers, once all have called this.

    Args:
        strategy: The strategy that joins them.
        number: This worker's.

    Example:
        >>> smallest(tf.distribute.get_strategy(), 3)
        3
    """
    return int(_gathered(strategy, [number]).min())


def from_chief(strategy: tf.distribute.Strategy, text: str) -> str:
    """The chief's text, once all workers have called this.

    Args:
        strategy: The strategy that joins them.
        text: What is told, of the chief; of the others it is not looked at.

    Example:
        >>> from_chief(tf.distribute.get_strategy(), "épochs")
        'épochs'
    """
    letters = [ord(letter) for letter in text] or [0]
    length = int(_gathered(strategy, [len(text)])[0])
    return "".join(map(chr, _gathered(strategy, letters)[:length]))


def _gathered(strategy: tf.distribute.Strategy, numbers: list[int]) -> np.ndarray:
    """The numbers of all replicas, the chief's first."""
    values = tf.constant(numbers, "int32")

    def gather() -> Any:
        context = tf.distribute.get_replica_context()
        return values if context.num_replicas_in_sync == 1 else context.all_gather(values, axis=0)

    # Out of a function TensorFlow warns of the overhead.
    found = tf.function(lambda: strategy.run(gather))()
    return np.asarray(strategy.experimental_local_results(found)[0])

"""The strategy that keeps a copy of the model in each of several processes, on one machine or many."""

from __future__ import annotations

import functools
import os

import tensorflow as tf
from tensorflow.python.eager import context

from tfkit.attach.replicas.keras_repairs import repaired_for
from tfkit.cluster import VARIABLE, cluster_of, require_free
from tfkit.errors import ParameterError


def multi_worker() -> tf.distribute.MultiWorkerMirroredStrategy:
    """Makes the strategy of the cluster that TF_CONFIG names, and waits until its workers are there.

    Every worker runs the same script; `tfkit launch` starts them on one machine. Make it before anything else uses
    TensorFlow, build and compile the model inside its `scope()`, and let each worker see the same data in the same
    order. Without TF_CONFIG it is of this process alone. A process has one: asked again, it is the same.

    Raises:
        ParameterError: TF_CONFIG is malformed, its address is in use, or TensorFlow is in use already.

    Example:
        >>> multi_worker().num_replicas_in_sync
        1
    """
    return repaired_for(_made(os.environ.get(VARIABLE, "")))


@functools.cache
def _made(config: str) -> tf.distribute.MultiWorkerMirroredStrategy:
    here = cluster_of(config)
    if here is not None and not _serves():
        require_free(here.address)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise ParameterError(
            "strategy 'multi-worker' must be made before anything else uses TensorFlow: "
            "call tfkit.create('strategy', 'multi-worker') first in the script"
        ) from error


def _serves() -> bool:
    """Whether this process listens at its address already, by a strategy that was made without tfkit."""
    return context.context()._collective_ops_server_def is not None

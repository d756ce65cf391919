"""A SavedModel as `tfkit serve` opens it: a session over its graph.

`tf.saved_model.load` makes functions of the graph and refuses older ones, which a server takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.signature import Signature, Tensor
from tfkit.pipeline.session import quiet_tensorflow
from tfkit.reasons import reason
from tfkit_serving.servables.loading import LoadedModel
from tfkit_serving.servables.signature import TensorInfo
from tfkit_serving.servables.warmup import Warming

# A signature by which a loader starts the graph, and that no client asks for.
_OWN = "__saved_model_init_op"


def open_served(directory: Path) -> LoadedModel:
    """Opens a SavedModel.

    Raises:
        VerificationError: It is damaged, or has no graph for a server.
    """
    try:
        # TensorFlow warns that this loader is old; it is the one that the server has.
        with quiet_tensorflow():
            return LoadedModel(str(directory))
    except Exception as error:
        raise VerificationError(f"the SavedModel {str(directory)!r} cannot be loaded: {reason(error)}") from error


def signatures_of(model: LoadedModel) -> dict[str, Signature]:
    """Names, dtypes and shapes of its signatures, by their names; a shape of unknown rank is (None,)."""
    found = Warming(model).signatures
    return {
        name: Signature(_tensors(found[name].inputs), _tensors(found[name].outputs))
        for name in sorted(found)
        if name != _OWN
    }


def _tensors(infos: Any) -> tuple[Tensor, ...]:
    return tuple(_tensor(name, infos[name]) for name in sorted(infos))


def _tensor(name: str, info: TensorInfo) -> Tensor:
    shape = (-1,) if info.shape is None else info.shape
    return Tensor(name, tf.as_dtype(info.dtype).base_dtype.name, tuple(None if size < 0 else size for size in shape))

"""The exporter to SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfkit.formats.named_model import NamedModel
from tfkit.formats.saved_model import SavedModel
from tfkit_exporters.warm_up import write_warm_up


class SavedModelExporter:
    """Writes a SavedModel with the signatures `serving_default` and `serve`, the same function under both names.

    The batch is open. Lookup tables and vocabularies are inside. Where there are real rows,
    `assets.extra/tf_serving_warmup_requests` holds one request a row, which TensorFlow Serving runs
    before it takes traffic.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> model = NamedModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     SavedModelExporter().write(model, Path(folder), None)
        ...     SavedModelExporter().predict(Path(folder), {"inputs": np.ones((3, 2))})["outputs"].shape
        (3, 1)
    """

    def write(self, model: NamedModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Writes the SavedModel and its warm-up requests; see `tfkit.Exporter`."""
        archive = keras.export.ExportArchive()
        archive.track(model.keras)
        specs = {each.name: tf.TensorSpec(each.shape, each.dtype, name=each.name) for each in model.signature.inputs}
        archive.add_endpoint("serve", lambda tensors: model(tensors), input_signature=[specs])
        archive.write_out(str(directory), verbose=False)
        if sample is not None:
            write_warm_up(directory, sample)

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Calls `serving_default`; see `tfkit.Exporter`."""
        return SavedModel(directory).by_name(dict(inputs))

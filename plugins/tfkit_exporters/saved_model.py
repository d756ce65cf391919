"""The exporter to SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfkit.formats.named_model import NamedModel
from tfkit.formats.rest import rest_advice
from tfkit.formats.saved_model import SavedModel
from tfkit_exporters.endpoints import INPUT, endpoints
from tfkit_exporters.examination import examine
from tfkit_exporters.warm_up import write_warm_up


class SavedModelExporter:
    """Writes a SavedModel with the signatures `serving_default` and `serve`, the same function under both names.

    The batch is open. Lookup tables and vocabularies are inside. A classifier also has `classify` and a model of
    one number `regress`, both over serialized tf.Example whose features have the names of the inputs. Where there
    are real rows, `assets.extra/tf_serving_warmup_requests` holds one request a row, which TensorFlow Serving
    runs before it takes traffic.

    Args:
        signatures: "classify", "regress"; None for those that the model fits.
        warm_up: Warm-up requests at most.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> model = NamedModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     SavedModelExporter().write(model, Path(folder), None)
        ...     SavedModelExporter().predict(Path(folder), {"inputs": np.ones((3, 2))})["outputs"].shape
        (3, 1)
    """

    def __init__(self, *, signatures: tuple[str, ...] | None = None, warm_up: int = 1000) -> None:
        self.signatures = signatures
        self.warm_up = warm_up

    def write(self, model: NamedModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Writes the SavedModel and its warm-up requests; see `tfkit.Exporter`."""
        archive = keras.export.ExportArchive()
        archive.track(model.keras)
        specs = {each.name: tf.TensorSpec(each.shape, each.dtype, name=each.name) for each in model.signature.inputs}
        archive.add_endpoint("serve", lambda tensors: model(tensors), input_signature=[specs])
        more = endpoints(model, self.signatures)
        for name, function in more.items():
            archive.add_endpoint(name, function, input_signature=[tf.TensorSpec((None,), tf.string, name=INPUT)])
        archive.write_out(str(directory), verbose=False)
        if sample is not None and self.warm_up:
            write_warm_up(directory, model, sample, endpoints=tuple(more), most=self.warm_up)

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Calls `serving_default`; see `tfkit.Exporter`."""
        return SavedModel(directory).by_name(dict(inputs))

    def advise(self, model: NamedModel) -> list[str]:
        """What REST cannot carry; see `tfkit.Exporter`."""
        return rest_advice(model.signature)

    def examine(self, directory: Path) -> list[str]:
        """Looks for what keeps a server from serving it; see `tfkit.Exporter`."""
        return examine(directory)

"""Exporters, what writes a model for a server or a device: the table of the package."""

from collections.abc import Iterator

import tfkit


@tfkit.hookimpl
def tfkit_exporters() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="saved-model",
        summary="A SavedModel for TensorFlow Serving, with named signatures and warm-up requests.",
        target="tfkit_exporters.saved_model:SavedModelExporter",
        examples=({},),
    )

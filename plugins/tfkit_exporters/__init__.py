"""Exporters, what writes a model for a server or a device: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_exporters import schemas


@tfkit.hookimpl
def tfkit_exporters() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="saved-model",
        summary="A SavedModel for TensorFlow Serving, with named signatures and warm-up requests.",
        target="tfkit_exporters.saved_model:SavedModelExporter",
        params=schemas.SavedModel,
        examples=({}, {"signatures": ("classify",), "warm_up": 1}),
    )
    yield tfkit.Spec(
        name="litert",
        summary="A LiteRT file for devices, in float or quantized.",
        target="tfkit_exporters.litert:LiteRTExporter",
        params=schemas.LiteRT,
        examples=({},),
    )
    yield tfkit.Spec(
        name="onnx",
        summary="An ONNX file for ONNX Runtime (extra onnx).",
        target="tfkit_exporters.onnx:OnnxExporter",
        params=schemas.Onnx,
        examples=({}, {"opset": 15}),
    )
    yield tfkit.Spec(
        name="openvino",
        summary="OpenVINO's intermediate representation, for its runtime (extra openvino).",
        target="tfkit_exporters.openvino:OpenVinoExporter",
        params=schemas.OpenVino,
        examples=({},),
    )

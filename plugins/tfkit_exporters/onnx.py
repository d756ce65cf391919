"""The exporter to ONNX."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfkit.errors import ConversionError
from tfkit.formats.named_model import NamedModel

FILE = "model.onnx"


class OnnxExporter:
    """Writes `model.onnx`, whose inputs and outputs have the names of the model; the batch is open.

    Args:
        opset: Version of ONNX's operators; None for the converter's own choice.

    Raises:
        ModuleNotFoundError: onnx, onnxruntime or tf2onnx is not installed.

    Example:
        >>> OnnxExporter(opset=15).opset  # doctest: +SKIP
        15
    """

    def __init__(self, *, opset: int | None = None) -> None:
        import onnx
        import onnxruntime
        import tf2onnx

        self._onnx, self._runtime, self._converter = onnx, onnxruntime, tf2onnx
        self.opset = opset

    def write(self, model: NamedModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Converts the model with tf2onnx; see `tfkit.Exporter`.

        Raises:
            ConversionError: ONNX has no operator for what the model does.
        """
        names = [tensor.name for tensor in model.signature.inputs]
        specs = [tf.TensorSpec(each.shape, each.dtype, name=each.name) for each in model.signature.inputs]

        @tf.function(input_signature=specs, autograph=False)
        def function(*tensors: Any) -> dict[str, Any]:
            return model(dict(zip(names, tensors)))

        with _quiet():
            made, _ = self._converter.convert.from_function(function, input_signature=specs, opset=self.opset)
        self._check(made)
        self._onnx.save(made, str(directory / FILE))

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the file in ONNX Runtime on the CPU; see `tfkit.Exporter`."""
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        session = self._runtime.InferenceSession(str(directory / FILE), options, providers=["CPUExecutionProvider"])
        wanted = {each.name: _DTYPES.get(each.type) for each in session.get_inputs()}
        given = {name: values.astype(wanted.get(name) or values.dtype) for name, values in inputs.items()}
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, given)))

    def _check(self, made: Any) -> None:
        """Refuses a file with operators that no runtime has: the converter leaves those that it does not know."""
        known = {each.domain for each in made.opset_import}
        nodes = {(node.domain, node.op_type) for node in made.graph.node if node.domain in ("", "ai.onnx")}
        lacking = sorted(name for domain, name in nodes if not self._onnx.defs.has(name, domain=""))
        foreign = sorted({node.op_type for node in made.graph.node if node.domain not in known | {"", "ai.onnx"}})
        if lacking or foreign:
            raise ConversionError(
                f"ONNX has no operator for {', '.join(lacking + foreign)}; leave the layers that read text outside, or "
                "use format='saved-model'"
            )


_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32"}


@contextmanager
def _quiet() -> Iterator[None]:
    """What the converter logs of its progress is nobody's concern."""
    logger = logging.getLogger("tf2onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)

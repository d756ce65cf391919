"""4-bit weights by ai-edge-quantizer, in the process that converted the model.

The tool quantizes the kernels of fully connected layers, convolutions and embedding lookups to 4 bits, a scale for
each output channel. Measured on digits: blocks of 32 and 64 gave 2% to 6% larger files for errors within a seventh
of those of channels, its search for the least squared error twice the error, and its Hadamard rotation a file of
seven times the float one's size that did not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tfkit.children.lookups import with_lookups
from tfkit.errors import ConversionError
from tfkit.missing import explain_missing

# Below this a kernel keeps 8 bits: it saves nothing, and first and last layers are the most sensitive ones.
SMALL = 1024


def four_bits(
    content: bytes,
    *,
    activations: int | None,
    rows: Iterable[Mapping[str, np.ndarray]],
    kept: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> bytes:
    """A float .tflite with 4-bit weights; small kernels and those of other operations get 8 bits.

    Args:
        content: The float file's bytes.
        activations: Bits of the activations, 8 or 16; None for floats.
        rows: Batches of input by name, from which the ranges of integer activations are read.
        kept: Kernels as Keras has them that keep 8 bits, by a number and the variable's path, such as "0/out/kernel".

    Raises:
        ConversionError: ai-edge-quantizer is not installed, or one of `kept` is not in the file as it was.
    """
    try:
        from ai_edge_quantizer.quantizer import Quantizer
    except ModuleNotFoundError as error:
        raise ConversionError(explain_missing("a conversion to 4-bit weights", error)) from error
    if activations is None:
        content = with_lookups(content)
    _check_found(content, activations, kept)
    recipe = _recipe(content, activations, list(kept.values()))
    quantizer = Quantizer(bytearray(content), recipe.get_quantization_recipe())
    ranges = None if activations is None else _ranges(content, recipe, rows)
    made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(made.quantized_model)


def _recipe(content: bytes, activations: int | None, kept: Sequence[np.ndarray]) -> Any:
    """The tool's recipe: 8 bits for everything, then 4 for each large kernel by its operation's name."""
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    _add(recipe, ".*", TFLOperationName.ALL_SUPPORTED, 8, activations)
    for scope, operation, kernel in _kernels(content, activations):
        if kernel.size >= SMALL and not any(is_same(each, kernel) for each in kept):
            _add(recipe, f"^{re.escape(scope)}$", operation, 4, activations)
    if activations is not None:
        for port in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            recipe.add_quantization_config(".*", port, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe


def _add(recipe: Any, scope: str, operation: Any, bits: int, activations: int | None) -> None:
    if activations is None:
        recipe.add_dynamic_config(scope, operation, bits)
    else:
        recipe.add_static_config(scope, operation, activations, bits)


def _kernels(content: bytes, activations: int | None) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Scope, operation and kernel of each operation that the tool has 4 bits for."""
    from ai_edge_quantizer.qtyping import TFLOperationName as Operation
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as files

    wanted = {Operation.FULLY_CONNECTED, Operation.CONV_2D}
    if activations is None:
        wanted.add(Operation.EMBEDDING_LOOKUP)
    model = files.read_model(bytearray(content))
    for graph in model.subgraphs:
        for each in graph.operators:
            operation = files.TFL_OP_CODE_TO_NAME.get(model.operatorCodes[each.opcodeIndex].builtinCode)
            if operation not in wanted:
                continue
            kernel = files.get_tensor_data(graph.tensors[each.inputs[1]], model.buffers)
            if kernel is not None:
                yield files.get_op_scope(each, graph.tensors), operation, np.asarray(kernel)


def _check_found(content: bytes, activations: int | None, kept: Mapping[str, np.ndarray]) -> None:
    """Refuses a file in which a kernel that is to keep 8 bits may get 4, since it is not known again."""
    if not kept:
        return
    large = {kernel.size for _, _, kernel in _kernels(content, activations) if kernel.size >= SMALL}
    constants = list(_constants(content))
    for name, kernel in kept.items():
        if kernel.size in large and not any(is_same(kernel, each) for each in constants):
            raise ConversionError(
                f"{name.partition('/')[2]!r} of shape {kernel.shape} is to keep 8 bits, and the converter has made "
                "something else of it, which cannot be told from other kernels; leave its layer out of exclude"
            )


def _constants(content: bytes) -> Iterator[np.ndarray]:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as files

    model = files.read_model(bytearray(content))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            value = files.get_tensor_data(tensor, model.buffers)
            if value is not None and np.size(value) >= SMALL:
                yield np.asarray(value)


def is_same(keras: np.ndarray, lite: np.ndarray) -> bool:
    """Whether a kernel of Keras became one of LiteRT: equal up to a factor for each output channel.

    Names do not tell: the converter gives `conv2d_1` both to a first layer in a second call and to a second
    layer. A folded BatchNormalization multiplies channels.

    Args:
        keras: Output channels last, in several axes of attention; before the last of a transposed convolution.
        lite: Output channels first; last of a depthwise convolution, those of an embedding lookup as in Keras.
    """
    if keras.size != lite.size or lite.ndim < 2:
        return False
    rows = (lite.reshape(len(lite), -1), lite.reshape(-1, lite.shape[-1]).T)
    return any(one.shape == other.shape and _are_parallel(one, other) for one in _matrices(keras) for other in rows)


def _matrices(kernel: np.ndarray) -> Iterator[np.ndarray]:
    """The ways to see a kernel as a matrix with an output channel in each row."""
    yield kernel.reshape(len(kernel), -1)
    if kernel.ndim > 2:
        yield np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    for inputs in range(1, kernel.ndim):
        yield kernel.reshape(int(np.prod(kernel.shape[:inputs])), -1).T


def _are_parallel(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape[1] == 1:  # any two numbers are parallel
        return np.allclose(one, other, rtol=1e-4)
    rows: list[Any] = [each.astype("float64") for each in (one, other)]
    lengths = [np.linalg.norm(each, axis=1) for each in rows]
    cosines = np.abs((rows[0] * rows[1]).sum(axis=1))
    return bool(np.all(np.abs(cosines - lengths[0] * lengths[1]) <= 1e-4 * lengths[0] * lengths[1] + 1e-12))


def _ranges(content: bytes, recipe: Any, rows: Iterable[Mapping[str, np.ndarray]]) -> Any:
    """Ranges of activations: the least and the greatest value, as TensorFlow's converter takes them.

    The tool's own default is a moving average over batches, which cuts off what is rare: with a row in each
    batch it made the error of a CNN four times as large.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    calibrator = Calibrator(bytearray(content), num_threads=1, qsv_update_func=min_max_update)
    calibrator.calibrate({"serving_default": [dict(row) for row in rows]}, recipe)
    return calibrator.get_model_qsvs()

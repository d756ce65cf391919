"""What is given to `predict` becomes arrays that fit a signature, or is refused in the signature's words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfkit_serving.protocol.dtypes import numpy_dtype, type_name
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.signature import OPEN, Signature, TensorInfo

_STRING = 7
# A kind of values goes into its own and into later ones, strings into strings alone.
_KINDS = ("bool", "int", "float", "complex")


def fit_inputs(inputs: Any, signature: Signature, where: str) -> dict[str, np.ndarray]:
    """Arrays by a signature's input names, of its dtypes; graphs often take more shapes than their signature tells.

    Args:
        inputs: A mapping by name, or the one input's value.
        signature: What the model takes.
        where: The model and signature, for errors.

    Returns:
        Arrays; strings are objects holding bytes.

    Raises:
        ServingError: INVALID_ARGUMENT: a name or dtype is not the signature's, or values would change.
    """
    named = inputs if isinstance(inputs, Mapping) else _name_only_input(inputs, signature, where)
    _check_names(named, signature, where)
    return {name: _fit(value, signature.inputs[name], _input(name, where)) for name, value in named.items()}


def shape_notes(arrays: Mapping[str, np.ndarray], signature: Signature, where: str) -> str:
    """What a signature says of shapes that are not its own; "" where all are.

    Args:
        arrays: What `fit_inputs` made.
        signature: What the model takes.
        where: The model and signature.

    Example:
        >>> from tfkit_serving.protocol.messages import SignatureDef
        >>> signature = Signature({"x": TensorInfo("x:0", 1, (-1, 2))}, {}, "", SignatureDef())
        >>> shape_notes({"x": np.zeros((1, 3))}, signature, "model 'm'")
        "input 'x' of model 'm' takes float of shape (?, 2); got shape (1, 3)"
    """
    notes = []
    for name, array in arrays.items():
        info = signature.inputs[name]
        if not _is_shape(array.shape, info.shape):
            hint = _hint(array.shape, info.shape)
            notes.append(f"{_wanted(info, _input(name, where))}; got {_of(array.shape)}{hint}")
    return "; ".join(notes)


def plain_inputs(inputs: Any) -> dict[str, np.ndarray] | np.ndarray:
    """Arrays of what is given, where nothing is known of the signature.

    Raises:
        ServingError: INVALID_ARGUMENT: a value is no array.
    """
    if isinstance(inputs, Mapping):
        return {str(name): as_array(value, f"input {name!r}") for name, value in inputs.items()}
    return as_array(inputs, "the input")


def as_array(value: Any, what: str) -> np.ndarray:
    """An array of a value; strings become objects holding bytes.

    Args:
        value: An array, a scalar, or nested lists.
        what: What it is, for errors.

    Raises:
        ServingError: INVALID_ARGUMENT: its rows differ in length, or it holds other things than numbers and strings.

    Example:
        >>> as_array(["é", b"x"], "the input").tolist()
        [b'\\xc3\\xa9', b'x']
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind in "SU" and not isinstance(value, np.ndarray):
            # numpy's own strings lose zeros at their ends, and would take numbers among them for strings.
            array = np.asarray(value, dtype=object)
    except (ValueError, TypeError) as error:
        raise _refusal(f"{what} is no array: {error}") from None
    return _strings(array, what) if array.dtype.kind in "OSU" else array


def shape_text(shape: tuple[int, ...] | None) -> str:
    """A shape as errors have it.

    Example:
        >>> shape_text((-1, 32)), shape_text(()), shape_text(None)
        ('(?, 32)', '()', 'any shape')
    """
    if shape is None:
        return "any shape"
    inner = ", ".join("?" if size == OPEN else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def _name_only_input(value: Any, signature: Signature, where: str) -> dict[str, Any]:
    if len(signature.inputs) == 1:
        return dict.fromkeys(signature.inputs, value)
    raise _refusal(f"{where} takes {len(signature.inputs)} inputs: give them by name, {{{_names(signature)}}}")


def _check_names(named: Mapping[str, Any], signature: Signature, where: str) -> None:
    for name in named:
        if name not in signature.inputs:
            near = difflib.get_close_matches(str(name), list(signature.inputs), 1)
            meant = f"did you mean {near[0]!r}? It" if near else "it"
            raise _refusal(f"{where} has no input {name!r}; {meant} takes {_names(signature)}")
    missing = [name for name in signature.inputs if name not in named and name not in signature.proto.defaults]
    if missing:
        raise _refusal(f"{where} also takes {', '.join(map(repr, missing))}; got {', '.join(map(repr, named))}")


def _names(signature: Signature) -> str:
    return ", ".join(map(repr, signature.inputs))


def _fit(value: Any, info: TensorInfo, what: str) -> np.ndarray:
    array = as_array(value, what)
    wanted = _wanted(info, what)
    try:
        dtype = numpy_dtype(info.dtype)
    except TypeError:
        return array  # the server knows what it makes of it
    if dtype == array.dtype:
        return array
    source, target = _kind(array.dtype), _kind(dtype)
    if source != target and (source not in _KINDS or target not in _KINDS or _rank(source) > _rank(target)):
        raise _refusal(f"{wanted}; got {_said(array.dtype)}, which does not become that without loss")
    return _cast(array, dtype, source, wanted)


def _input(name: str, where: str) -> str:
    return f"input {name!r} of {where}"


def _wanted(info: TensorInfo, what: str) -> str:
    return f"{what} takes {type_name(info.dtype)} of {_of(info.shape)}"


def _cast(array: np.ndarray, dtype: np.dtype, source: str, wanted: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        if source == "int":
            lost = _changed(array, cast)
        elif source in ("float", "complex"):
            lost = np.isfinite(array) & ~np.isfinite(cast)  # a float may lose digits, not its size
        else:
            return cast
    if lost.any():
        raise _refusal(f"{wanted}; got {_said(array.dtype)}, and {array[lost].ravel()[0]} does not go into it")
    return cast


def _changed(array: np.ndarray, cast: np.ndarray) -> np.ndarray:
    # Back into the integers; what went beyond their ends came back as something else, or with another sign.
    back = cast.real.astype(np.float64).astype(array.dtype) if cast.dtype.kind not in "iu" else cast.astype(array.dtype)
    return (back != array) | ((cast.real < 0) != (array < 0))


def _kind(dtype: np.dtype) -> str:
    if dtype.kind in "OSU":
        return "string"
    if dtype.kind in "biufc":
        return {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}[dtype.kind]
    # ml_dtypes' own, such as bfloat16 and int4
    return "int" if "int" in dtype.name else "float" if "float" in dtype.name else dtype.name


def _rank(kind: str) -> int:
    return _KINDS.index(kind)


def _said(dtype: np.dtype) -> str:
    return "string" if _kind(dtype) == "string" else dtype.name


def _is_shape(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(size in (OPEN, given) for size, given in zip(wanted, shape))


def _hint(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> str:
    if wanted and wanted[0] in (OPEN, 1) and _is_shape(shape, wanted[1:]):
        return ", one row: give a list of rows, or array[None]"
    return ""


def _of(shape: tuple[int, ...] | None) -> str:
    return shape_text(shape) if shape is None else f"shape {shape_text(shape)}"


def _strings(array: np.ndarray, what: str) -> np.ndarray:
    values = array.ravel().tolist()
    found: np.ndarray = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        if isinstance(value, str):
            found[index] = value.encode("utf-8", "surrogateescape")
        elif isinstance(value, bytes):
            found[index] = value
        else:
            raise _refusal(f"{what} holds a {type(value).__name__} where numbers alone, or strings alone, can be sent")
    return found.reshape(array.shape)


def _refusal(text: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", text)

"""Dtypes: numbers of `tensorflow.DataType`, numpy's dtypes, and TensorFlow's names for them.

Strings are numpy's object dtype, holding bytes.
"""

from __future__ import annotations

import functools

import numpy as np

from tfkit_serving.protocol.messages import TensorProto

_ENUM = TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type
_STRING = 7
# Those that REST carries, both ways: float, double, the integers but uint16, string and bool.
IN_JSON = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 22, 23})
_REF = 100
_NUMPY = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64", 9: "int64", 10: "bool",
    17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
# What numpy has by ml_dtypes alone.
_FURTHER = {
    14: "bfloat16", 24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz", 27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz", 29: "int4", 30: "uint4",
}  # fmt: skip
_NUMBERS = {np.dtype(name): number for number, name in _NUMPY.items()} | {np.dtype(object): _STRING}
# Where TensorFlow's name is not the enum's in small letters.
_NAMES = {
    "DT_HALF": "half",
    "DT_QINT8": "qint8",
}


def enum_name(number: int) -> str:
    """The enum's name of a DataType.

    Example:
        >>> enum_name(1)
        'DT_FLOAT'
    """
    value = _ENUM.values_by_number.get(number)
    if value is None and number - _REF in _ENUM.values_by_number:
        return enum_name(number - _REF) + "_REF"  # a variable of TensorFlow 1
    return str(number) if value is None else str(value.name)


def type_name(number: int) -> str:
    """TensorFlow's own name of a DataType, as its error texts have it.

    Example:
        >>> type_name(1), type_name(9), type_name(19)
        ('float', 'int64', 'half')
    """
    name = enum_name(number)
    return _NAMES.get(name, name.removeprefix("DT_").lower())


def type_number(dtype: np.dtype | type | str) -> int:
    """The DataType of a numpy dtype.

    Raises:
        TypeError: TensorFlow has none for it.

    Example:
        >>> type_number("float32"), type_number(object), type_number(np.dtype("S3"))
        (1, 7, 7)
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "SU":
        return _STRING
    number = _NUMBERS.get(dtype.newbyteorder("="))
    if number is None:
        number = next((key for key, name in _FURTHER.items() if name == dtype.name), None)
    if number is None:
        raise TypeError(f"TensorFlow has no dtype for numpy's {dtype}")
    return number


@functools.cache
def numpy_dtype(number: int) -> np.dtype:
    """The numpy dtype of a DataType; bfloat16 and its like take ml_dtypes.

    Raises:
        TypeError: numpy has none for it.

    Example:
        >>> numpy_dtype(1), numpy_dtype(7)
        (dtype('float32'), dtype('O'))
    """
    if number == _STRING:
        return np.dtype(object)
    if number in _NUMPY:
        return np.dtype(_NUMPY[number])
    if number in _FURTHER:
        return _further(_FURTHER[number])
    raise TypeError(f"numpy has no dtype for {enum_name(number)}")


def _further(name: str) -> np.dtype:
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        raise TypeError(f"{name} takes ml_dtypes: pip install ml_dtypes") from None
    return np.dtype(getattr(ml_dtypes, name))

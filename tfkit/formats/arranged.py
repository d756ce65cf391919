"""arranged: rows of a sample as arrays by name, of a signature's dtypes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfkit.data import as_arrays
from tfkit.errors import DataError
from tfkit.formats.signature import Signature, Tensor


def arranged(sample: Any, structure: Any, signature: Signature) -> dict[str, Any]:
    """A sample's arrays by the names of a signature.

    Args:
        sample: An array, or for several inputs a dict, list or tuple of arrays; rows first. A dict may also go by
            the names of the signature.
        structure: The nest that the model takes, with a name of the signature at each leaf.
        signature: Names, dtypes and shapes.

    Raises:
        DataError: The sample lacks an input, or an input has another shape, dtype or number of rows.

    Example:
        >>> signature = Signature((Tensor("x", "float32", (None, 2)),), ())
        >>> arranged([[1, 2]], "x", signature)
        {'x': array([[1., 2.]], dtype=float32)}
    """
    sample = as_arrays(sample)
    names = {tensor.name for tensor in signature.inputs}
    by_name = isinstance(sample, dict) and names == sample.keys()
    found = sample if by_name else dict(_matched(structure, sample))
    arrays = {tensor.name: _array(tensor, found[tensor.name]) for tensor in signature.inputs}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        told = ", ".join(f"{name!r} has {count}" for name, count in lengths.items())
        raise DataError(f"the sample needs one row or more, as many of each input: {told}")
    return arrays


def _matched(structure: Any, sample: Any) -> Iterator[tuple[str, Any]]:
    """Pairs of a signature's name and what the sample holds for it."""
    if isinstance(structure, str):
        if isinstance(sample, (dict, tuple)):
            raise DataError(f"the sample holds {len(sample)} inputs where the model takes one, {structure!r}")
        yield structure, sample
    elif isinstance(structure, dict):
        if not isinstance(sample, dict) or not structure.keys() <= sample.keys():
            got = f"keys {', '.join(map(str, sample))}" if isinstance(sample, dict) else "no dict"
            raise DataError(f"the sample must be a dict with the keys {', '.join(structure)}; got {got}")
        for key, value in structure.items():
            yield from _matched(value, sample[key])
    else:
        if len(structure) == 1 and not isinstance(sample, (dict, tuple)):
            sample = (sample,)
        if not isinstance(sample, tuple) or len(sample) != len(structure):
            got = f"{len(sample)}" if isinstance(sample, tuple) else f"a {type(sample).__name__}"
            raise DataError(f"the sample must be a list of {len(structure)} inputs; got {got}")
        for value, values in zip(structure, sample):
            yield from _matched(value, values)


def _array(tensor: Tensor, values: Any) -> Any:
    """The values with the tensor's dtype and rank."""
    import numpy as np
    import tensorflow as tf

    array = np.asarray(values)
    if array.ndim == len(tensor.shape) - 1 and tensor.shape[-1] == 1:
        array = array[..., None]  # as Keras does
    fits = array.ndim == len(tensor.shape) and all(
        want in (None, size) for want, size in zip(tensor.shape, array.shape)
    )
    if not fits:
        raise DataError(f"the sample's {tensor.name!r} must have the shape {tensor.shape}; got {array.shape}")
    if (array.dtype.kind in "USO") != (tensor.dtype == "string"):
        raise DataError(f"the sample's {tensor.name!r} must be of dtype {tensor.dtype}; got {array.dtype}")
    if tensor.dtype == "string":
        return array.astype(object)
    if array.dtype.kind in "fc" and tensor.dtype.startswith(("int", "uint", "bool")):
        raise DataError(f"the sample's {tensor.name!r} must be of dtype {tensor.dtype}; got {array.dtype}")
    return array.astype(tf.as_dtype(tensor.dtype).as_numpy_dtype)

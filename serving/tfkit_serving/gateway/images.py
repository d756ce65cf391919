"""Images as base64 PNG: for inputs of height, width and channels whose training values say how pixels are scaled."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfkit.formats.signature import Tensor

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pixel_scale(tensor: Tensor, profile: Mapping[str, Any] | None) -> float | None:
    """What a pixel of 0 … 255 is divided by to become an input: 1.0 or 255.0; None where that cannot be told.

    A SavedModel does not say whether it takes 0 … 1 or 0 … 255; the training data's extremes do.

    Args:
        tensor: An input.
        profile: What `tfkit.json` holds under "profile", or None.

    Example:
        >>> image = Tensor("image", "float32", (None, 28, 28, 1))
        >>> rows = {"tensor": "image", "side": "inputs"}
        >>> profile = {"features": [{**rows, "of": "min", "min": 0.0}, {**rows, "of": "max", "max": 1.0}]}
        >>> pixel_scale(image, profile), pixel_scale(image, None)
        (255.0, None)
    """
    shape = tensor.shape[1:]
    if len(shape) != 3 or shape[2] not in _MODES or None in shape or tensor.dtype in ("string", "bool"):
        return None
    if tensor.dtype == "uint8":
        return 1.0
    found = {each["of"]: each.get(each["of"]) for each in _features(tensor, profile)}
    low, high = found.get("min"), found.get("max")
    if low is None or high is None or low < 0 or not 0 < high <= 255:
        return None
    return 255.0 if high <= 1 else 1.0


def read_image(tensor: Tensor, text: str, scale: float) -> np.ndarray:
    """The pixels of a PNG.

    Args:
        tensor: The input, of height, width and channels.
        text: The file in base64, or as a data: URL.
        scale: What pixels are divided by.

    Returns:
        An array of shape (height, width, channels) and the input's dtype.

    Raises:
        ValueError: It is no PNG, or one of another size; it is not resized, since training may have done that its
            own way.
    """
    height, width, channels = tensor.shape[1:]
    image = _open(text)
    if image.size != (width, height):  # told by the head of the file, before any pixel is unpacked
        raise ValueError(f"expected an image of {width} × {height} pixels; got {image.size[0]} × {image.size[1]}")
    try:
        pixels = np.asarray(image.convert(_MODES[channels or 0]))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"expected a PNG in base64; its pixels cannot be read: {error}") from None
    found: np.ndarray = (pixels.reshape(height, width, channels) / scale).astype(tensor.dtype)
    return found


def _open(text: str) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ValueError("images are read where pillow is installed beside the gateway; send nested lists") from None
    try:
        data = base64.b64decode(text.partition("base64,")[2] if text.startswith("data:") else text, validate=True)
        return Image.open(io.BytesIO(data), formats=["PNG"])
    except (binascii.Error, UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        raise ValueError("expected nested lists of numbers, or a PNG in base64") from None


def _features(tensor: Tensor, profile: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    features = profile["features"] if profile else []
    return [each for each in features if each["side"] == "inputs" and each["tensor"] == tensor.name]

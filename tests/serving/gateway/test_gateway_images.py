"""Images as PNG files, written here by hand from the format's specification."""

import base64
import struct
import zlib

import numpy as np
import pytest
from pydantic import ValidationError

from tfkit.formats.profile import take_profile
from tfkit.formats.signature import Signature, Tensor
from tfkit_serving.gateway.images import pixel_scale
from tfkit_serving.gateway.schema import row_model
from tfkit_serving.gateway.task import Task

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def png(pixels):
    """A PNG of 8 bits a channel, rows without a filter."""
    height, width, channels = pixels.shape

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def task(dtype="float32", high=1.0, low=0.0, shape=(12, 10, 3)):
    image = Tensor("image", dtype, (None, *shape))
    rows = np.random.default_rng(1).uniform(low, high, (50, *shape))
    return Task("digits", 1, Signature((image,), ()), profile=take_profile({"image": rows}, {}, task=None))


def read(made, file):
    return row_model(made).model_validate({"image": base64.b64encode(file).decode()}).arrays()["image"]


@pytest.mark.parametrize(("dtype", "high", "scale"), [("float32", 1.0, 255), ("float32", 255.0, 1), ("uint8", 255, 1)])
def test_pixels_arrive_as_training_had_them(dtype, high, scale):
    pytest.importorskip("PIL")
    array = read(task(dtype, high), png(PIXELS))
    assert array.dtype == dtype
    np.testing.assert_allclose(array, PIXELS / scale, rtol=1e-6)


def test_grey_images_have_one_channel():
    pytest.importorskip("PIL")
    np.testing.assert_array_equal(read(task("uint8", shape=(12, 10, 1)), png(PIXELS[..., :1])), PIXELS[..., :1])


def test_lists_are_still_taken():
    array = row_model(task()).model_validate({"image": PIXELS.tolist()}).arrays()["image"]
    np.testing.assert_array_equal(array, PIXELS)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (png(PIXELS[:5]), "expected an image of 10 × 12 pixels; got 10 × 5"),
        (png(PIXELS)[:200], "its pixels cannot be read"),
        (b"GIF89a", "or a PNG in base64"),
        (b"", "or a PNG in base64"),
    ],
)
def test_other_files_are_refused(file, words):
    pytest.importorskip("PIL")
    with pytest.raises(ValidationError, match=words):
        read(task(), file)


def test_a_scale_that_cannot_be_told_is_not_guessed():
    image = Tensor("image", "float32", (None, 12, 10, 3))
    assert pixel_scale(image, None) is None
    assert pixel_scale(image, task(low=-1.0).profile) is None
    assert pixel_scale(Tensor("x", "float32", (None, 12)), None) is None
    with pytest.raises(ValidationError, match="expected 12 × 10 × 3 numbers"):
        read(task(low=-1.0), png(PIXELS))

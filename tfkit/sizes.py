"""Sizes of saved models in bytes, as they are and compressed by gzip."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

_WEIGHTS = "model.weights.h5"
_OPTIMIZER = "optimizer"


def keras_bytes(model_or_path: Any) -> bytes:
    """What a .keras file holds without the optimizer's slots.

    Keras saves the optimizer's state too, which makes a trained model look up to three times as large.

    Args:
        model_or_path: A Keras model, or the path of a .keras file.
    """
    if isinstance(model_or_path, (str, Path)):
        return _without_optimizer(Path(model_or_path))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model_or_path.save(path)
        return _without_optimizer(path)


def file_sizes(path: Path) -> tuple[int, int]:
    """Bytes and gzipped bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in sorted(path.rglob("*")) if each.is_file()]
    contents = [each.read_bytes() for each in files]
    return sum(map(len, contents)), sum(map(gzipped, contents))


def gzipped(content: bytes) -> int:
    """Bytes of the content after gzip at its strongest setting.

    Example:
        >>> gzipped(bytes(100_000)) < 200
        True
    """
    return len(gzip.compress(content, compresslevel=9, mtime=0))


def _without_optimizer(path: Path) -> bytes:
    stripped = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(stripped, "w", zipfile.ZIP_STORED) as target:
        for entry in source.namelist():
            content = source.read(entry)
            target.writestr(entry, _strip(content) if entry == _WEIGHTS else content)
    return stripped.getvalue()


def _strip(weights: bytes) -> bytes:
    import h5py

    kept = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(kept, "w") as target:
        for name in source:
            if name != _OPTIMIZER:
                source.copy(name, target)
    return kept.getvalue()

"""What an export is told of the data: rows to try it on, rows to describe, and a hash that tells the data apart."""

from __future__ import annotations

import hashlib
from typing import Any

from tfkit.data import PARTS, Data, is_dataset
from tfkit.mapped import is_mapped
from tfkit.nests import leaves

# Rows of the train part that are described; fewer where they are large.
_REFERENCE_ROWS = 2048
_REFERENCE_BYTES = 1 << 28
_SAMPLE_ROWS = 256


def export_rows(data: Data) -> dict[str, Any]:
    """The arguments `sample` and `reference` of `tfkit.export`.

    The sample, which verifies and warms up, is the validation part's first rows; the reference, whose distribution
    is kept, is drawn from the train part.
    """
    sample = data.sample(_SAMPLE_ROWS)
    row = sum(leaf[:1].nbytes for leaf in leaves(sample))
    rows = max(1, min(_REFERENCE_ROWS, _REFERENCE_BYTES // max(1, row)))
    return {"sample": sample, "reference": data.drawn("train", rows)}


def described_data(data: Data) -> dict[str, Any]:
    """Rows and sha256 of each part, for `tfkit.json`.

    The sha256 is of dtype, shape and bytes of each array, x first; None for a dataset of batches, whose rows may come
    in another order each time and are not read through, and for arrays that are mapped into memory.
    """
    parts = {name: getattr(data, name) for name in PARTS if getattr(data, name) is not None}
    return {name: {"rows": _rows(part), "sha256": _digest(part)} for name, part in parts.items()}


def _rows(part: Any) -> int | None:
    return None if is_dataset(part) else len(leaves(part)[0])


def _digest(part: Any) -> str | None:
    if is_dataset(part) or is_mapped(part):
        return None
    found = hashlib.sha256()
    for leaf in leaves(part):
        found.update(f"{leaf.dtype} {leaf.shape}".encode())
        found.update(_content(leaf))
    return found.hexdigest()


def _content(leaf: Any) -> Any:
    """An array's bytes; of objects, whose bytes are addresses, their text, each with its length."""
    if leaf.dtype.kind != "O":
        return leaf.tobytes()
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in leaf.flat]
    return b"".join(b"%d:%b" % (len(text), text) for text in texts)

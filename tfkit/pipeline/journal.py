"""Journal of an automatic search: each candidate a line on disk before the next begins, read again after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfkit.data import Data
from tfkit.nests import leaves
from tfkit.pipeline.folder import plain_json, write_json
from tfkit.pipeline.rows import PATHS, Row
from tfkit.recipe import Step

JOURNAL = "candidates.jsonl"
_ABOUT = "search.json"


class Journal:
    """The rows of one search, in a folder.

    Args:
        folder: Where it is kept.
        identity: What the search is about; rows of another one are not taken over.

    Attributes:
        rows: The rows that were there, in their order.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / JOURNAL
        about = folder / _ABOUT
        self._folder = folder.resolve()
        self.rows: list[Row] = []
        if self._path.exists() and about.exists() and json.loads(about.read_text()).get("identity") == identity:
            self.rows = [self._placed(row, self._folder.joinpath) for row in _whole_lines(self._path)]
        else:
            self._path.unlink(missing_ok=True)
            write_json(about, {"identity": identity})

    def write(self, row: Row) -> None:
        """Adds a row, its paths below the folder, which may be moved."""
        line = plain_json(self._placed(row, lambda path: Path(path).resolve().relative_to(self._folder)))
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _placed(self, row: Row, place: Callable[[str], Path]) -> Row:
        return {**row, **{key: str(place(row[key])) for key in PATHS if row.get(key)}}


def identity(source: Any, data: Data, metric: Step) -> str:
    """What decides whether what was measured still holds: the source with its weights, the data, the metric.

    Rows of a `tf.data.Dataset` are not read: the shapes and types of its elements stand for them.

    Args:
        source: A built Keras model.
        data: All its parts but the test part.
        metric: What is measured.
    """
    import numpy as np

    digest = hashlib.sha256(json.dumps(metric, default=str).encode())
    for array in (*source.get_weights(), *leaves([data.train, data.validation])):
        spec = getattr(array, "element_spec", None)
        if spec is not None:
            digest.update(repr(spec).encode())
        else:
            _add(digest, np.asarray(array))
    return digest.hexdigest()


def _add(digest: Any, array: Any) -> None:
    import numpy as np

    if array.dtype.hasobject:
        digest.update(repr(array.tolist()).encode())
        return
    digest.update(repr((array.shape, array.dtype)).encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view("uint8"))


def _whole_lines(path: Path) -> list[Row]:
    """The rows; a last line that a kill cut short goes, in the file too."""
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        path.write_text("".join(whole))
    return [json.loads(line) for line in whole]

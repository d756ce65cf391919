"""The figures of each epoch in a file, a line each, so that a killed fit has lost none."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfkit.cluster import is_chief_here


class EpochLog(keras.callbacks.Callback):
    """Writes a line for each epoch as soon as it ends.

    A fit that begins with its first epoch begins the file anew, unless told to append; one that goes on (with
    `initial_epoch`, or after callback "backup") appends. Of the workers of a cluster the chief alone writes it.

    Args:
        path: The file; folders that are missing are made.
        append: Whether the lines of an earlier fit stay.
    """

    def __init__(self, *, path: str | Path, append: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        self.append = append
        self._begun = False
        self._epoch_begun = 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._begun = False
        if not is_chief_here():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.open("a").close()  # what cannot be written is refused now, and not after an epoch

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self._begun and not self.append and epoch == 0 and is_chief_here():
            self.path.write_text("", encoding="utf-8")
        self._begun = True
        self._epoch_begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not is_chief_here():
            return
        seconds = round(time.perf_counter() - self._epoch_begun, 3)
        figures = {"epoch": epoch, "seconds": seconds, **{name: _plain(value) for name, value in (logs or {}).items()}}
        line = self.line(figures)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(line)

    def line(self, figures: Mapping[str, Any]) -> str:
        """A line of the file, with its end; the first one with what goes before it."""
        raise NotImplementedError


class JsonLinesLog(EpochLog):
    """A JSON object for each epoch: epoch (from 0), seconds, and all that Keras logs. NaN and infinity are null.

    Arguments as `EpochLog`.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> path = Path(tempfile.mkdtemp(), "log.jsonl")
        >>> log = JsonLinesLog(path=path)
        >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[log])
        >>> [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        [0, 1]
    """

    def line(self, figures: Mapping[str, Any]) -> str:
        return json.dumps({name: _finite(value) for name, value in figures.items()}) + "\n"


class CsvLog(EpochLog):
    """A row of comma-separated values for each epoch: epoch (from 0), seconds, and all that Keras logs.

    The columns are those of the file's first row, so a value that begins later, as with `validation_freq`, has no
    column; jsonl-log has it.

    Arguments as `EpochLog`.
    """

    def line(self, figures: Mapping[str, Any]) -> str:
        with self.path.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file), None)
        text = io.StringIO()
        rows = csv.DictWriter(text, columns or list(figures), extrasaction="ignore")
        if columns is None:
            rows.writeheader()
        rows.writerow(dict(figures))
        return text.getvalue()


def _plain(value: Any) -> Any:
    """A number or nested lists of numbers, of whatever Keras or a callback has put into the logs."""
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    array = np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)
    return array.tolist()


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

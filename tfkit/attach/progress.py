"""FitProgress: the epochs of a fit on tfkit's progress display."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.progress import Advance


class FitProgress(keras.callbacks.Callback):
    """Calls `advance` after each epoch with the epoch's loss and validation figures."""

    def __init__(self, advance: Advance) -> None:
        super().__init__()
        self._advance = advance

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = [
            f"{name} {float(value):.4g}" for name, value in (logs or {}).items() if "loss" in name or "acc" in name
        ]
        self._advance(" ".join(figures[:4]))

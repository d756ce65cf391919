"""QatCallback: trains a model under fake quantization within one `fit`."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.schemas import Qat


class QatCallback(Attached):
    """Has a model compute with quantized weights and activations while it trains.

    At the end its kernels hold the quantized values, and it is the plain model that it was. The ranges of
    activations begin with the first batch and are gone with the fit: `compress` is what writes them to a file.

    Args:
        settings: The parameters of qat.
        fake: Fake quantization of the model, whose ranges are read already; None for a new one.

    Raises:
        ModelError: When the fit begins, if there is nothing to quantize.
    """

    def __init__(self, settings: Qat, fake: FakeQuantization | None = None) -> None:
        super().__init__()
        self.settings = settings
        self._given = fake
        self._fake: Any = None

    def install(self, model: keras.Model) -> None:
        self._fake = self._given or FakeQuantization(model, self.settings)
        self._fake.install()
        _forget_traces(model)

    def uninstall(self, model: keras.Model) -> None:
        self._fake.remove()
        _forget_traces(model)

    def finish(self, model: keras.Model) -> None:
        self._fake.bake()
        self._fake = None


def _forget_traces(model: keras.Model) -> None:
    """Has evaluate and predict traced anew, which would go on with what was there before."""
    model.test_function = model.predict_function = None

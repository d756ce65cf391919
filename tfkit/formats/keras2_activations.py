"""An activation whose name means something else in Keras 2. Imported when a file names it."""

from __future__ import annotations

from typing import Any

import keras  # noqa: TID253 - Keras has to know the class before it reads a file that names it


@keras.saving.register_keras_serializable(package="tfkit")
class HardSigmoid:
    """Keras 2's `hard_sigmoid`: 0.2 x + 0.5 within [0, 1]; Keras 3's is x / 6 + 0.5.

    It is an activation of layers in models that `tfkit.load_model` opened from a Keras 2 file.

    Example:
        >>> [round(float(each), 4) for each in HardSigmoid()([-3.0, 0.0, 1.0])]
        [0.0, 0.5, 0.7]
    """

    def __call__(self, x: Any) -> Any:
        """The activation of a tensor."""
        return keras.ops.clip(0.2 * keras.ops.convert_to_tensor(x) + 0.5, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Nothing: it has no settings."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HardSigmoid:
        """A new one."""
        return cls(**config)

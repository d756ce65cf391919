"""Names that are refused, and why: what people know from elsewhere and ask for, but what gives wrong results here."""

from __future__ import annotations

_KERAS_DISTRIBUTION = (
    "keras.distribution does nothing on the TensorFlow backend, without a word: the model trains on one device; use {}"
)

_REASONS = {
    ("strategy", "central-storage"): (
        "under CentralStorageStrategy Keras 3 computes metrics that are wrong, without a word; use 'mirrored'"
    ),
    ("strategy", "parameter-server"): (
        "Keras 3 cannot fit under ParameterServerStrategy (it never hands data to the coordinator); "
        "use 'mirrored' on one machine, 'multi-worker' on several"
    ),
    ("strategy", "data-parallel"): _KERAS_DISTRIBUTION.format("'mirrored'"),
    ("strategy", "model-parallel"): _KERAS_DISTRIBUTION.format("'layer-placement'"),
}


def refusal(kind: str, name: str) -> str | None:
    """Why a plugin of that name is refused, or None. A plugin that is installed under the name goes first.

    Example:
        >>> refusal("strategy", "central-storage")[:13]
        'under Central'
    """
    return _REASONS.get((kind, name))

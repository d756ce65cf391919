"""What keeps a server from serving a SavedModel, or its clients from reading the answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.rest import rest_advice
from tfkit.formats.signature import Signature, random_inputs
from tfkit.reasons import reason
from tfkit_exporters.served import open_served, signatures_of
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.loading import LoadedModel
from tfkit_serving.servables.warmup import FILE, warm_up

_ROWS = 2
# What string inputs hold: text that also reads as a number.
_TEXT = "0"
# Signatures over tf.Example take what cannot be made up, and their names are TensorFlow Serving's own.
_DEFAULT = "serving_default"


def examine(directory: Path) -> list[str]:
    """Loads a SavedModel, runs its warm-up records, and looks through its signatures.

    Args:
        directory: Any SavedModel, also one that tfkit did not write.

    Returns:
        Advice, one sentence each.

    Raises:
        VerificationError: It is damaged, or TensorFlow Serving would refuse to load it.
    """
    model = open_served(directory)
    signatures = signatures_of(model)
    if not signatures:
        raise VerificationError(f"the SavedModel {str(directory)!r} has no signature: nothing can be asked of it")
    _run_warm_up(directory, model)
    return _advice(model, signatures)


def _advice(model: LoadedModel, signatures: dict[str, Signature]) -> list[str]:
    advice = []
    if _DEFAULT in signatures:
        default = signatures.pop(_DEFAULT)
        advice += [*rest_advice(default), *_tried(model, default)]
    else:
        advice.append(f"there is no signature {_DEFAULT!r}: clients have to name one of {', '.join(signatures)}")
    for name, signature in signatures.items():
        # 'serve' is often the same function under another name.
        place, known = f" of signature {name!r}", set(advice)
        advice += [each for each in rest_advice(signature, place) if each.replace(place, "") not in known]
    return advice


def _run_warm_up(directory: Path, model: LoadedModel) -> None:
    try:
        warm_up(model, directory)
    except ServingError as error:
        raise VerificationError(f"TensorFlow Serving would refuse the version: {reason(error)}") from error
    except tf.errors.OpError as error:
        raise VerificationError(f"{str(directory / FILE)!r} is damaged: {reason(error)}") from error


def _tried(model: LoadedModel, signature: Signature) -> list[str]:
    """What a call on made-up rows shows."""
    rows = next((tensor.shape[0] for tensor in signature.inputs if tensor.shape[:1] not in ((), (None,))), _ROWS)
    assert rows is not None
    try:
        found = model.run(_DEFAULT, random_inputs(signature, rows, text=_TEXT))
    except Exception as error:
        return [f"it could not be tried, since it fails on made-up rows: {reason(error)}"]
    shapes = {name: np.shape(values) for name, values in found.items()}
    told = {tensor.name for tensor in signature.outputs if tensor.shape[:1] != (None,)}
    return [
        f'the output {name!r} is of shape {shape} for {rows} rows of input, which REST\'s row format ("instances") '
        'cannot carry: give it a row for each row of input, or have clients send "inputs"'
        for name, shape in sorted(shapes.items())
        if name not in told and shape[:1] != (rows,)
    ]

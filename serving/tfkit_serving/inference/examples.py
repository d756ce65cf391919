"""The tf.Examples of a request, as the one string tensor that a signature takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfkit_serving.protocol.errors import ServingError

# Each example carries the context: a small request could ask for any amount of memory.
_MOST_BYTES = 1 << 30


def examples_of(given: Any) -> tuple[list[bytes], bytes | None]:
    """The serialized examples of an Input message, and the serialized context that they share.

    Args:
        given: The Input.

    Returns:
        The examples, none if the Input is not set, and the context, None where there is none.

    Example:
        >>> from tfkit_serving.protocol.messages import Example, Input
        >>> examples_of(Input(example_list={"examples": [Example(), Example()]}))
        ([b'', b''], None)
    """
    kind = given.WhichOneof("kind")
    if kind is None:
        return [], None
    held = getattr(given, kind)
    # What crosses processes is serialized again: the same values in the same bytes.
    examples = [each.SerializeToString(deterministic=True) for each in held.examples]
    if kind == "example_list":
        return examples, None
    return examples, held.context.SerializeToString(deterministic=True)


def examples_tensor(examples: Sequence[bytes], context: bytes | None = None) -> np.ndarray:
    """Serialized examples as a tensor; each begins with the context, whose features its own override.

    Args:
        examples: Serialized tf.Examples.
        context: A serialized tf.Example.

    Returns:
        bytes as objects, of shape (examples,).

    Raises:
        ServingError: INVALID_ARGUMENT: there are no examples, or with their context they are too large.

    Example:
        >>> examples_tensor([b"a", b"b"], b"c").tolist()
        [b'ca', b'cb']
    """
    if not examples:
        raise ServingError("INVALID_ARGUMENT", "Input is empty.")
    if context and len(context) * len(examples) > _MOST_BYTES:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"a context of {len(context)} bytes for {len(examples)} examples makes more than {_MOST_BYTES} bytes; "
            "send fewer examples at once",
        )
    array: np.ndarray = np.empty(len(examples), object)
    # Serialized messages one behind the other are their merger.
    array[:] = [context + each for each in examples] if context else list(examples)
    return array

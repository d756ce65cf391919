"""What an error of Keras or TensorFlow says, in one line."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """The line of an error of Keras or TensorFlow that says what is wrong, without its graph and its stack.

    Example:
        >>> reason(ValueError("Graph execution error:\\n\\n  File x\\n\\nMatrix size-incompatible\\n\\t [[node]]"))
        'Matrix size-incompatible'
    """
    noise = ("File ", "[[", "Detected at", "Graph execution error", "Arguments received", "•", "Exception encountered")
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(noise)]
    last = str(error).startswith("Graph execution error")
    return (told[-1 if last else 0] if told else type(error).__name__)[:300]

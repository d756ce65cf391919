"""What an error of Keras or TensorFlow says, in one line, and which signal ended a process."""

from __future__ import annotations

import re
import signal

_BOLD = re.compile(r"\x1b\[\d*m")
_GRAPH = "Graph execution error"
_NOISE = ("File ", "[[", "Detected at", _GRAPH, "Arguments received", "•", "Exception encountered when calling")


def reason(error: BaseException) -> str:
    """The line of an error that says what is wrong, or the name of its type.

    Keras begins with the layer that was called and TensorFlow with the graph and a stack; what is
    wrong comes after them.

    Example:
        >>> reason(ValueError("Graph execution error:\\n\\n  File x\\n\\nMatrix size-incompatible\\n\\t [[node]]"))
        'Matrix size-incompatible'
        >>> reason(ValueError("Exception encountered when calling LSTM.call().\\n\\x1b[1mtoo long:\\x1b[0m"))
        'too long:'
    """
    lines = [_BOLD.sub("", line).strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(_NOISE)]
    if not told:
        return type(error).__name__
    return (told[-1] if str(error).startswith(_GRAPH) else told[0])[:300]


def signal_text(number: int) -> str:
    """A signal's number and name.

    Example:
        >>> signal_text(9)
        '9 (SIGKILL)'
    """
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    return f"{number} ({name})"

"""parse_text: a text proto read from a file into a message."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def parse_text(path: Path, message: M) -> M:
    """Reads a text proto into a message.

    Args:
        path: The file.
        message: An empty message of its type.

    Returns:
        The message.

    Raises:
        ValueError: The file is no such proto; says where.
        OSError: It cannot be read.
    """
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), message)
    except text_format.ParseError as error:
        raise ValueError(f"{path}: Error parsing text-format {message.DESCRIPTOR.full_name}: {error}") from error
    return message

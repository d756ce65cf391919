"""ServingError: what went wrong with a request, by its canonical code."""

from __future__ import annotations

# Canonical codes as numbers and as the HTTP status that TensorFlow Serving answers with.
_CODES = {
    "OK": (0, 200), "CANCELLED": (1, 499), "UNKNOWN": (2, 500), "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504), "NOT_FOUND": (5, 404), "ALREADY_EXISTS": (6, 409), "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429), "FAILED_PRECONDITION": (9, 400), "ABORTED": (10, 409), "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501), "INTERNAL": (13, 500), "UNAVAILABLE": (14, 503), "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}  # fmt: skip
_NAMES = {number: name for name, (number, _) in _CODES.items()}


class ServingError(Exception):
    """A request that was refused or failed.

    Attributes:
        code: The canonical code's name, such as "NOT_FOUND".
        message: The server's text.

    Example:
        >>> error = ServingError("NOT_FOUND", "Servable not found for request: Latest(nope)")
        >>> error.http_status, error.number, str(error)
        (404, 5, 'Servable not found for request: Latest(nope)')
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = (code if code in _CODES else "UNKNOWN"), message

    @property
    def number(self) -> int:
        """The canonical code's number."""
        return _CODES[self.code][0]

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the code."""
        return _CODES[self.code][1]

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.code, self.message)


def code_name(number: int) -> str:
    """The name of a canonical code's number; "UNKNOWN" for any other number."""
    return _NAMES.get(number, "UNKNOWN")

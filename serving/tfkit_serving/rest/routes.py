"""Paths of the REST API: which are TensorFlow Serving's, and what they ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec

_API = re.compile(rb"/v1/[^\n]*", re.IGNORECASE)
_CALL = re.compile(
    rb"/v1/models/([^/:]+)(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", re.IGNORECASE
)
_LOOK = re.compile(
    rb"/v1/models(?:/([^/:]+))?(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
# The characters of RFC 3986; the real server answers all others with a page of its HTTP library.
_TARGET = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*(?:[?#](?:[^\x00-\x20\"<>\\^`{|}\x7f-\xff])*)?"
)
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Call:
    """What a path of the API asks for.

    Attributes:
        model: whom it is for.
        action: `predict`, `classify`, `regress`, `metadata`, `status`, or empty where the path means nothing.
    """

    model: ModelSpec
    action: str


class BadVersion(Exception):
    """A version beyond 64 bits, which the real server answers with 400 and nothing else."""


def is_target(path: bytes) -> bool:
    """Whether a path with its query is a URL at all.

    Example:
        >>> is_target(b"/v1/models/a%20b"), is_target(b"/v1/models/%zz"), is_target(b"/v1/<x>")
        (True, False, False)
    """
    return _TARGET.fullmatch(path) is not None


def is_api(path: bytes) -> bool:
    """Whether a path belongs to the API; the server has no other pages but its own.

    Example:
        >>> is_api(b"/V1/foo"), is_api(b"/v1"), is_api(b"/")
        (True, False, False)
    """
    return _API.fullmatch(path) is not None


def parse_route(method: str, path: bytes) -> Call:
    """Read a path of the API.

    Args:
        method: the verb.
        path: the path as it came, with its query: the real server does not tell them apart.

    Returns:
        The call. The verb has to fit: what does not is a malformed request.

    Raises:
        ServingError: INVALID_ARGUMENT, `Malformed request: …`.
        BadVersion: the version has more than 64 bits.

    Example:
        >>> parse_route("POST", b"/v1/models/mlp/versions/3:predict")
        Call(model=ModelSpec(name='mlp', version=3, label=None), action='predict')
    """
    match = _CALL.fullmatch(path) if method == "POST" else _LOOK.fullmatch(path) if method == "GET" else None
    if match is None:
        raise _malformed(method, path)
    name, version, label, action = match.groups()
    model = ModelSpec(_decoded(name), _version(version), _decoded(label) if label else None)
    if method == "POST":
        # Upper case finds the route and then no method.
        if action not in (b"predict", b"classify", b"regress"):
            raise _malformed(method, path, model.name)
        return Call(model, action.decode())
    return Call(model, "metadata" if action == b"metadata" else "status")


def _malformed(method: str, path: bytes, model: str = "") -> ServingError:
    shown = path.decode("utf-8", "surrogateescape")
    return ServingError("INVALID_ARGUMENT", f"Malformed request: {method} {shown}")


def _version(digits: bytes | None) -> int | None:
    if not digits:
        return None
    # int() would refuse thousands of digits in its own words.
    if len(digits.lstrip(b"0")) > 19 or int(digits[-20:]) > _LARGEST_VERSION:
        raise BadVersion
    return int(digits[-20:])


def _decoded(text: bytes | None) -> str:
    return unquote_to_bytes(text or b"").decode("utf-8", "surrogateescape")

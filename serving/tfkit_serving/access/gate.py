"""Gate: lets in requests with a key, as often and to what the key says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tfkit_serving.access.keys import Key, KeyRing
from tfkit_serving.access.rate import RateLimit
from tfkit_serving.protocol.errors import ServingError

Headers = Iterable[tuple[bytes, bytes]]


class Refused(ServingError):
    """A request that is not let in.

    Attributes:
        retry_after: Seconds until another try may succeed; None where no other will.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class Gate:
    """Tells whether a request may go on.

    `admit`, `check` and `pace` raise with the reason; `lets_in` asks all three, and takes and counts nothing where the
    answer is no.

    Args:
        keys: The keys.
        count: Told of each refusal: "no key", "unknown key", "forbidden" or "rate".
        clock: Seconds that never go back, for the rates.

    Example:
        >>> from tfkit_serving.access.keys import digest
        >>> gate = Gate(KeyRing([Key("web", digest(b"s3cret"), opens=frozenset({"digits"}))]), count=print)
        >>> key = gate.admit([(b"authorization", b"Bearer s3cret")])
        >>> gate.check(key, "digits")
        >>> gate.check(key, "sentiment")
        Traceback (most recent call last):
        ...
        tfkit_serving.access.gate.Refused: the key 'web' does not open 'sentiment'
    """

    def __init__(
        self, keys: KeyRing, count: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys, self._count = keys, count
        self._rates = RateLimit(clock)

    def admit(self, headers: Headers) -> Key:
        """The key that a request has in its headers, whose names are in lower case.

        Raises:
            Refused: UNAUTHENTICATED: it has none, or one that is not known.
        """
        given = given_key(headers)
        if given is None:
            text = "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
            raise self._refuse("no key", "UNAUTHENTICATED", text)
        key = self._keys.find(given)
        if key is None:
            raise self._refuse("unknown key", "UNAUTHENTICATED", "the API key is not known")
        return key

    def check(self, key: Key, name: str) -> None:
        """Nothing, where a key opens a task or a model.

        Raises:
            Refused: PERMISSION_DENIED: it does not.
        """
        if not key.may_call(name):
            raise self._refuse("forbidden", "PERMISSION_DENIED", f"the key {key.name!r} does not open {name!r}")

    def check_all(self, key: Key) -> None:
        """Nothing, where a key opens everything.

        Raises:
            Refused: PERMISSION_DENIED: it is bound to some names.
        """
        if key.opens:
            text = f"the key {key.name!r} is bound to {', '.join(sorted(key.opens))}; this takes one that opens all"
            raise self._refuse("forbidden", "PERMISSION_DENIED", text)

    def pace(self, key: Key) -> None:
        """Takes one request of a key's rate.

        Raises:
            Refused: RESOURCE_EXHAUSTED: there is none left.
        """
        wait = self._wait(key)
        if wait:
            text = f"the key {key.name!r} may send {key.rate:g} requests a second"
            raise self._refuse("rate", "RESOURCE_EXHAUSTED", text, wait)

    def lets_in(self, headers: Headers, name: str) -> bool:
        """Whether a request may go on to a task or a model; takes one of the key's rate if so."""
        given = given_key(headers)
        key = None if given is None else self._keys.find(given)
        return key is not None and key.may_call(name) and not self._wait(key)

    def _wait(self, key: Key) -> float:
        return self._rates.wait(key.name, key.rate) if key.rate else 0.0

    def _refuse(self, reason: str, code: str, text: str, retry_after: float | None = None) -> Refused:
        self._count(reason)
        return Refused(code, text, retry_after)


def given_key(headers: Headers) -> bytes | None:
    """The key in a request's headers, `Authorization: Bearer KEY` or `X-API-Key: KEY`; None where there is none.

    Example:
        >>> given_key([(b"authorization", b"bearer s3cret")]), given_key([(b"authorization", b"Basic dTpw")])
        (b's3cret', None)
    """
    other = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                return token.strip()
        elif name == b"x-api-key":
            other = value
    return other or None

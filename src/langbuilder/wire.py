"""What goes over the wire and comes back, without the wire itself."""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import quote
from uuid import uuid4

import msgspec

from langbuilder.errors import (
    REFUSALS,
    AuthenticationError,
    RefusalError,
    ServerError,
    UnreadableAnswerError,
)

type Scalar = str | int | float | bool | None
type Query = Mapping[str, Any]

UNSET: Final = msgspec.UNSET
JSON: Final = {"content-type": "application/json"}
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

OK, ERRORS, FAILURES = 200, 400, 500
FORBIDDEN = 403
UNKNOWN_KEY: Final = (
    "An API key must be passed as query or header",
    "Invalid or missing API key",
)
"""What 403 says where 401 is meant."""

REDIRECTED = 300


class Body(Protocol):
    """A body that is sent piece by piece."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What to say of it: its type, and its length if that is known."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent once more, from its beginning."""
        ...

    def pieces(self) -> Generator[bytes]:
        """Yield it from its beginning; what this opens it closes."""
        ...


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """
    One request.

    ``key`` is the idempotency key, by which a repeat is no second command.
    ``patience`` are the seconds to wait for the next byte, where not the usual.
    ``opened`` asks for an answer to be read piece by piece. ``waiting`` says that
    whoever sends it minds time-outs: they are not tried again.
    """

    method: str
    path: str
    query: Query = {}
    headers: Mapping[str, str] = {}
    content: bytes | Body | None = None
    key: str | None = None
    patience: float | None = None
    opened: bool = False
    waiting: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows if it arrived."""
        known = self.method in SAFE or self.key is not None
        return known and self.resendable

    @property
    def resendable(self) -> bool:
        """Whether its body can be sent again."""
        return (
            self.content is None
            or isinstance(self.content, bytes)
            or self.content.repeatable
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came back.

    ``pieces`` is there instead of ``content`` where the answer is read piece by
    piece; only the driver that gave it can read it.
    """

    call: Call
    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    pieces: Any = None

    def json(self) -> Any:
        """Return the content, which is JSON, as dicts, lists and so on."""
        return self.read(Any)

    def read[T](self, kind: type[T]) -> T:
        """Return the content as *kind*; unknown fields are passed over."""
        try:
            return msgspec.json.decode(self.content, type=kind)
        except msgspec.DecodeError as error:
            said = (
                f"{self.call.method} {self.call.path} answered {self.status} with what"
            )
            raise UnreadableAnswerError(f"{said} is not expected: {error}") from None

    @property
    def etag(self) -> int | None:
        """The version in the ETag, if it is one."""
        tag = self.headers.get("etag", "").removeprefix("W/").strip('"')
        return int(tag) if tag.isascii() and tag.isdigit() else None

    @property
    def retry_after(self) -> float | None:
        """The seconds after which to try again, if the server said any."""
        said = self.headers.get("retry-after", "")
        if said.isascii() and said.isdigit():
            return float(said)
        try:
            then = parsedate_to_datetime(said)
        except ValueError:
            return None
        return max((then - datetime.now(UTC)).total_seconds(), 0.0)

    @property
    def refusal(self) -> RefusalError:
        """The error that tells of this answer, which is none of success."""
        detail = self._detail()
        kind = REFUSALS.get(self.status, RefusalError)
        if kind is RefusalError and self.status >= FAILURES:
            kind = ServerError
        if self.status == FORBIDDEN and detail in UNKNOWN_KEY:
            kind = AuthenticationError
        return kind(
            detail,
            status=self.status,
            method=self.call.method,
            path=self.call.path,
            retry_after=self.retry_after,
            headers=self.headers,
        )

    def _detail(self) -> Any:
        try:
            said = msgspec.json.decode(self.content)
        except msgspec.DecodeError:
            if REDIRECTED <= self.status < ERRORS:
                return f"the server points to {self.headers.get('location', '?')}"
            return self.content[:300].decode(errors="replace") or "no word of why"
        if isinstance(said, dict):
            return said.get("detail", said.get("message", said))
        return said


def at(path: str, *parts: object) -> str:
    """Put *parts* in the places of *path*, quoted so that each stays one part."""
    return path.format(*(quote(str(part), safe="") for part in parts))


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are set; ``None`` is a value like others."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def get(path: str, **query: Any) -> Call:
    """Return a question; what is ``None`` is not asked for."""
    return Call(method="GET", path=path, query=asked(query))


def command(
    method: str,
    path: str,
    body: Any = UNSET,
    *,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    once: bool = True,
    patience: float | None = None,
) -> Call:
    """
    Return a command with a JSON body.

    It has an idempotency key, *key* or a new one, unless *once* is false: then the
    server knows no repeats of it.
    """
    return Call(
        method=method,
        path=path,
        query=asked(query or {}),
        headers=(JSON if body is not UNSET else {}) | dict(headers or {}),
        content=None if body is UNSET else msgspec.json.encode(body),
        key=(key or str(uuid4())) if once else None,
        patience=patience,
    )


def asked(query: Query) -> dict[str, Any]:
    """Return the parameters that are not ``None``, as the wire has them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }

"""What can go wrong: each error says where, why, and what to do about it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec


class LangBuilderError(Exception):
    """
    Something that was asked of LangBuilder did not come about.

    ::

        LangBuilderError
        ├── ConfigurationError          the client was not told enough, or wrongly
        ├── ConnectionFailedError       no answer came; ``sent`` tells if it may have
        │   └── TimedOutError           been carried out all the same
        ├── UnreadableAnswerError       the answer is none of LangBuilder's
        ├── RefusalError                the server said no; ``status`` and ``detail``
        │   ├── ValidationError         400, 422; ``fields``
        │   ├── AuthenticationError     401, or 403 for want of a valid key
        │   ├── PermissionDeniedError   403
        │   ├── NotFoundError           404, 410
        │   ├── ConflictError           409; ``conflicts`` with both values
        │   ├── TooLargeError           413
        │   ├── RateLimitError          429; ``retry_after``
        │   ├── ServerBusyError         503; ``retry_after``
        │   └── ServerError             other 5xx
        └── RunError                    a run ended otherwise than well; ``run_id``
            ├── RunFailedError          ``reason`` and ``message``
            └── RunCancelledError
    """

    hint: ClassVar[str] = ""
    """What to do about it, at the end of the text."""

    def __init__(self, said: str) -> None:
        super().__init__(f"{said.rstrip('.')}. {self.hint}".rstrip())


class ConfigurationError(LangBuilderError):
    """The client was not told enough to begin, or something that cannot be."""


class ConnectionFailedError(LangBuilderError):
    """
    No answer came, or it broke off.

    ``sent`` tells whether the request may have reached the server: then what it
    asked for may have been done.
    """

    hint = "Is the server running at this address, and can it be reached from here?"

    def __init__(self, said: str, *, sent: bool) -> None:
        super().__init__(said)
        self.sent = sent


class TimedOutError(ConnectionFailedError):
    """No answer came in time."""

    hint = "Give the client a longer timeout if the server needs so long."


class UnreadableAnswerError(LangBuilderError):
    """What answered does not speak LangBuilder's language."""

    hint = "Is this the address of LangBuilder, and not of something before it?"


class RefusalError(LangBuilderError):
    """
    The server said no, or failed.

    ``status`` is the status of HTTP, ``detail`` what the server said, ``method``
    and ``path`` what it said that about, ``retry_after`` the seconds after which
    to try again, if it named any, ``headers`` those of the answer.
    """

    def __init__(
        self,
        detail: Any,
        *,
        status: int,
        method: str,
        path: str,
        retry_after: float | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        super().__init__(f"{method} {path}: {_words(detail)} ({status})")
        self.detail = detail
        self.status = status
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.headers = headers


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request: where (``loc``) and what (``msg``)."""

    loc: tuple[str | int, ...] = ()
    msg: str = ""
    type: str = ""


class ValidationError(RefusalError):
    """The request is not of the shape that it must have."""

    hint = "Mend the fields that it names."

    @property
    def fields(self) -> tuple[FieldError, ...]:
        """What is wrong where, if the server said so field by field."""
        try:
            return msgspec.convert(self.detail, tuple[FieldError, ...])
        except msgspec.ValidationError:
            return ()


class AuthenticationError(RefusalError):
    """The server does not know who asks."""

    hint = (
        "Give the client a valid api_key (or set LANGBUILDER_API_KEY), a token, "
        "or username and password."
    )


class PermissionDeniedError(RefusalError):
    """Who asks is known, and may not do this."""

    hint = "Ask somebody who may, or use a key with a wider scope."


class NotFoundError(RefusalError):
    """There is no such thing, or it is not yours."""

    hint = "Check the id; what belongs to others looks as if it were not there."


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """
    A place of a flow that two people changed: ``yours`` and ``theirs``.

    ``path`` leads to the place within the vertex ``vertex``.
    """

    vertex: str = ""
    path: tuple[str | int, ...] = ()
    yours: Any = None
    theirs: Any = None


class _Conflicting(msgspec.Struct):
    conflicts: tuple[Conflict, ...] = ()
    version: int | None = None


class ConflictError(RefusalError):
    """
    Somebody else changed the same thing since you read it.

    ``conflicts`` has both values of each place; ``version`` is the flow's now.
    """

    hint = "Read it again, and decide upon what is there now."

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Each place that both changed, with both values."""
        return self._told().conflicts

    @property
    def version(self) -> int | None:
        """The version that the flow has now, if the server said so."""
        return self._told().version

    def _told(self) -> _Conflicting:
        try:
            return msgspec.convert(self.detail, _Conflicting)
        except msgspec.ValidationError:
            return _Conflicting()


class TooLargeError(RefusalError):
    """More was sent than the server takes."""

    hint = "Send less, or have the operator raise the limit."


class RateLimitError(RefusalError):
    """Too much was asked in too short a time."""

    hint = "Wait for the seconds in retry_after; the client has already tried again."


class ServerBusyError(RefusalError):
    """The server has no room at the moment, or its database is away."""

    hint = "Try again later; the client has already tried a few times."


class ServerError(RefusalError):
    """The server failed: no fault of the request."""

    hint = "The server's log says more."


class RunError(LangBuilderError):
    """A run ended otherwise than well."""

    def __init__(self, said: str, *, run_id: UUID | None) -> None:
        super().__init__(said)
        self.run_id = run_id


class RunFailedError(RunError):
    """
    A run failed.

    ``reason`` is the stable slug of why, if known, and ``message`` what a vertex
    or the server said about it.
    """

    def __init__(
        self, message: str, *, run_id: UUID | None, reason: str | None = None
    ) -> None:
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"Run {run_id or 'asked for'} failed{why}: {message}", run_id=run_id
        )
        self.message = message
        self.reason = reason


class RunCancelledError(RunError):
    """A run was cancelled."""


REFUSALS: Final[dict[int, type[RefusalError]]] = {
    400: ValidationError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    413: TooLargeError,
    422: ValidationError,
    429: RateLimitError,
    503: ServerBusyError,
}
"""Which error stands for which status; other 5xx are `ServerError`."""


def _words(detail: Any) -> str:
    """Return what the server said as one line for people."""
    match detail:
        case str():
            return detail.rstrip(".")
        case {"message": str() as message}:
            return message.rstrip(".")
        case [{"msg": str()}, *_]:
            told = msgspec.convert(detail, tuple[FieldError, ...], strict=False)
            return "; ".join(
                f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in told
            )
        case _:
            return msgspec.json.encode(detail).decode()[:300]

"""Every refusal in the one shape that clients expect: ``{"detail": …}``."""

import logging
from typing import Any, Final

import msgspec
import psycopg
import sqlalchemy.exc
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    SerializationException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from api.moments import NotAMomentError
from api.violations import violation, violations
from application.editing import ConflictingEditError
from application.events import (
    AmbiguousStreamError,
    NotAStreamError,
    NotATagError,
    UnknownActorError,
    VersionNotFoundError,
)
from application.failures import TooManyFailuresError
from application.file_limits import (
    FileTooLargeError,
    NoRoomForFileError,
    UnwantedFileTypeError,
)
from application.mcp_access import UnsupportedMcpAccessError
from application.mcp_servers import (
    McpServerNameTakenError,
    McpServerNotFoundError,
    McpServerTooLargeError,
)
from application.messages import NoSuchSessionError
from application.permissions import NotFoundError, PrivilegeError
from application.ports import (
    BlobsAwayError,
    BlobsFullError,
    ConcurrencyError,
    ContentMissingError,
    EventTooLargeError,
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    StoreBusyError,
    StreamNotFoundError,
)
from application.ports.marketplace import (
    NotInStoreError,
    StoreAwayError,
    StoreKeyRefusedError,
    StoreRefusedError,
)
from application.ports.publishing import PlatformAwayError, PlatformRefusedError
from application.ports.refusals import (
    CommandTooLargeError,
    SubjectErasedError,
    UnreadableEventError,
    UnstorableError,
)
from application.ports.tallies import TalliesAwayError
from application.publishing import NotASiteError
from application.rates import Left, TooManyRequestsError
from application.sessions import (
    AutoLoginOffError,
    BadRefreshTokenError,
    InactiveUserError,
    NotSignedInError,
    SpentLinkError,
    TokenExpiredError,
    UserGoneError,
    WrongCredentialsError,
    WrongKeyError,
)
from application.shopping import StoreOffError
from application.upload_room import TooManyUploadsError
from application.users import UsernameTakenError
from application.webhook_styles import UnusableWebhookSecretError
from application.webhooks import SignatureRefusedError
from domain.file.file import FileDeletedError
from domain.flow.flow import NotPublishedError
from domain.flow.names import InvalidEndpointNameError
from domain.flow.shape import InvalidDocumentError
from domain.kernel import DomainError
from domain.mcp_server.config import UnusableMcpServerError
from domain.run.run import RunGoesOnError
from projections.refusals import (
    BrokenTablesError,
    DeadLetterNotFoundError,
    EventGoneError,
    NoRebuildError,
    NothingBeforeError,
    OlderLeaderError,
    OtherVersionError,
    RebuildRunningError,
    StillPoisonError,
    UnknownProjectionError,
)

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

BEARER: Final = {"WWW-Authenticate": "Bearer"}
AWAY: Final = "The database does not answer; try again in a moment"
RETRY_SOON: Final = {"Retry-After": "1"}

SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer says to protect the page that shows it."""

UNPROCESSABLE = 422
SERVER_ERROR = 500

STATUS: Final[dict[type[DomainError], int]] = {
    NotFoundError: 404,
    StreamNotFoundError: 404,
    SubjectErasedError: 404,
    NoSuchSessionError: 404,
    ContentMissingError: 404,
    VersionNotFoundError: 404,
    FileDeletedError: 404,
    PrivilegeError: 403,
    WrongKeyError: 403,
    SignatureRefusedError: 403,
    UnsupportedMcpAccessError: 403,
    WrongCredentialsError: 401,
    InactiveUserError: 401,
    NotSignedInError: 401,
    BadRefreshTokenError: 401,
    SpentLinkError: 401,
    TooManyFailuresError: 429,
    TooManyRequestsError: 429,
    TooManyUploadsError: 429,
    TalliesAwayError: 503,
    ConcurrencyError: 409,
    McpServerNameTakenError: 409,
    McpServerNotFoundError: 404,
    McpServerTooLargeError: 413,
    UnusableMcpServerError: UNPROCESSABLE,
    ConflictingEditError: 409,
    AmbiguousStreamError: 409,
    UnreadableEventError: 409,
    StoreBusyError: 503,
    BlobsFullError: 507,
    OutcomeUnknownError: 503,
    PlatformAwayError: 503,
    StoreAwayError: 503,
    StoreRefusedError: 502,
    # Not 401: the front end would think that the person is signed out here.
    StoreKeyRefusedError: 403,
    NotInStoreError: 404,
    StoreOffError: 404,
    PlatformRefusedError: 502,
    NotASiteError: UNPROCESSABLE,
    NotPublishedError: 404,
    UnknownProjectionError: 404,
    DeadLetterNotFoundError: 404,
    EventGoneError: 404,
    RebuildRunningError: 409,
    NoRebuildError: 409,
    RunGoesOnError: 409,
    NothingBeforeError: 409,
    OtherVersionError: 409,
    OlderLeaderError: 409,
    BrokenTablesError: 409,
    StillPoisonError: 409,
    EventTooLargeError: 413,
    FileTooLargeError: 413,
    NoRoomForFileError: 413,
    UnwantedFileTypeError: 415,
    CommandTooLargeError: 413,
    UnstorableError: UNPROCESSABLE,
    InvalidEndpointNameError: UNPROCESSABLE,
    InvalidDocumentError: UNPROCESSABLE,
    NotAMomentError: UNPROCESSABLE,
    UnusableWebhookSecretError: UNPROCESSABLE,
    NotAStreamError: UNPROCESSABLE,
    NotATagError: UNPROCESSABLE,
    UnknownActorError: UNPROCESSABLE,
    IdempotencyKeyReusedError: UNPROCESSABLE,
}
"""The status of each refusal; the rest are 400. Subclasses are like their parents."""

_GONE_SOON: Final = (
    StoreBusyError,
    OutcomeUnknownError,
    TalliesAwayError,
    TooManyUploadsError,
)
"""Refusals after which a moment's patience helps; a full disk stays full."""

NAMES: Final = {
    "file": "File",
    "flow": "Flow",
    "project": "Project",
    "variable": "Variable",
    "message": "Message",
    "user": "User",
    "api_key": "API Key",
    "run": "Job",
    "thread": "Session",
}


class Refusal(HTTPException):
    """A refusal whose status and words the contract gives."""

    def __init__(
        self, status_code: int, detail: Any, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail=str(detail), status_code=status_code, headers=headers)
        self.said = detail


def problem(
    status_code: int, detail: Any, headers: dict[str, str] | None = None
) -> Response[dict[str, Any]]:
    """Return the answer that says why not."""
    return Response(
        {"detail": detail}, status_code=status_code, headers=SECURITY | (headers or {})
    )


def told(left: Left) -> dict[str, str]:
    """Return the headers that tell what is left of a rate."""
    return {
        "ratelimit-limit": str(left.limit),
        "ratelimit-remaining": str(left.remaining),
        "ratelimit-reset": str(left.seconds),
    }


def of_domain(_: AnyRequest, error: DomainError) -> Response[dict[str, Any]]:
    """Answer a refusal of the domain or of a use case."""
    status = status_of(error)
    headers: dict[str, str] | None = None
    if status == 401:  # noqa: PLR2004
        headers = BEARER
    elif isinstance(error, TooManyRequestsError):
        headers = {"Retry-After": str(error.seconds), **told(error.left)}
    elif isinstance(error, TooManyFailuresError):
        headers = {"Retry-After": str(error.seconds)}
    elif isinstance(error, _GONE_SOON) and not isinstance(error, BlobsFullError):
        headers = RETRY_SOON
    if isinstance(error, BlobsAwayError):
        log.error("the blob store: %s", error.__cause__)
    return problem(status, detail_of(error), headers)


def status_of(error: DomainError) -> int:
    """Return the status that answers *error*."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 400)


def detail_of(error: DomainError) -> Any:
    """Return what to tell people about *error*."""
    match error:
        case NotFoundError(kind=kind):
            return f"{NAMES.get(kind, kind.capitalize())} not found"
        case ConflictingEditError(conflicts=conflicts, version=version):
            return {
                "message": error.sentence,
                "conflicts": conflicts,
                "version": version,
            }
        case InvalidEndpointNameError():
            return plain(InvalidEndpointNameError())
        case AutoLoginOffError():
            return {"message": plain(error), "auto_login": False}
        case UsernameTakenError() | TokenExpiredError() | UserGoneError():
            return error.sentence  # clients know these with a full stop
        case _:
            return plain(error)


def plain(error: DomainError) -> str:
    """Return the sentence of *error*, without a full stop as clients know it."""
    return error.sentence.rstrip(".")


def of_http(request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    """Answer a refusal that Litestar or a controller decided."""
    if isinstance(error, Refusal):
        return problem(error.status_code, error.said, dict(error.headers or {}))
    if isinstance(error, ValidationException):
        return problem(UNPROCESSABLE, violations(request, error))
    if type(error) is ClientException:  # the body could not be read
        return problem(
            UNPROCESSABLE, [violation("value_error", ["body"], error.detail)]
        )
    if error.status_code >= SERVER_ERROR:
        # Litestar takes a field of the body for a dependency that is called the same.
        cause = error.__cause__
        if isinstance(cause, msgspec.ValidationError) and "`$.data" in str(cause):
            return of_json(request, cause)
        log.error("unexpected answer", exc_info=error)
    return problem(error.status_code, error.detail, dict(error.headers or {}))


def of_nesting(_: AnyRequest, error: RecursionError) -> Response[dict[str, Any]]:
    """Answer JSON that is nested too deeply to be read."""
    # Without the traceback, which is as long as the body is deep.
    log.info("a body was nested too deeply: %s", error)
    said = violation("recursion_loop", ["body"], "JSON is nested too deeply")
    return problem(UNPROCESSABLE, [said])


def of_json(
    _: AnyRequest,
    error: msgspec.DecodeError | SerializationException | UnicodeDecodeError,
) -> Response[dict[str, Any]]:
    """Answer JSON that cannot be read, or is not of the shape asked for."""
    return problem(UNPROCESSABLE, [violation("value_error", ["body"], str(error))])


def of_database(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Answer that the database is away, full or too slow: no fault of the request."""
    # A statement that can never work is an error of ours, whoever raised it.
    if isinstance(error, sqlalchemy.exc.DBAPIError) and not isinstance(
        error.orig, psycopg.OperationalError
    ):
        return of_anything(request, error)
    log.error("%s %s: %s", request.method, request.url.path, error)
    return problem(503, AWAY, RETRY_SOON)


def of_anything(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Answer what nobody foresaw; the log says what it was."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response(
        {"message": "Internal Server Error"},
        status_code=SERVER_ERROR,
        headers=SECURITY,
    )


HANDLERS: Final[ExceptionHandlersMap] = {
    DomainError: of_domain,
    HTTPException: of_http,
    MethodNotAllowedException: of_http,
    RecursionError: of_nesting,
    msgspec.DecodeError: of_json,
    SerializationException: of_json,
    UnicodeDecodeError: of_json,
    psycopg.OperationalError: of_database,
    sqlalchemy.exc.DBAPIError: of_database,
    sqlalchemy.exc.TimeoutError: of_database,
    Exception: of_anything,
}

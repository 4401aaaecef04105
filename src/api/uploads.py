"""A file that a form brings, read as it comes."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Request
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import (
    OpenAPIMediaType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import Refusal
from application.commands import Done
from application.file_limits import FileTooLargeError
from application.ports import Actor, Cause
from application.uploads import Uploads
from domain.file.file import File
from domain.kernel import DomainError

AnyRequest = Request[Any, Any, Any]

FIELD: Final = "file"
PATIENCE: Final = 60.0
SLOWEST: Final = 64 * 1024
"""Seconds in which at least so many bytes must come."""
LINGER: Final = 16 * 1024 * 1024
LINGER_SECONDS: Final = 5.0
"""What is let pass of a body that is refused, in bytes and seconds."""
CLOSE: Final = {"Connection": "close"}
"""Says that what is still to come will not be read."""
MEGABYTE: Final = 1024 * 1024
LARGEST_REST: Final = MEGABYTE
"""Bytes of a form beside its file."""
_BOUNDARY: Final = re.compile(rb"[\w-]{1,70}", re.ASCII)

NO_BOUNDARY: Final = (
    "Content-Type header must be 'multipart/form-data' with a boundary parameter."
)
MALFORMED: Final = "Invalid multipart formatting"
TOO_SLOW: Final = "The file came too slowly"


class _Began(NamedTuple):
    name: str
    filename: str | None


class _Ended(NamedTuple):
    form: bool


type _Heard = _Began | bytes | _Ended


class UploadOperation(Operation):
    """Tells OpenAPI of the form, for no handler takes it as a whole."""

    def __post_init__(self) -> None:
        """Add the form's one field."""
        file = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(
            type=OpenAPIType.OBJECT, properties={FIELD: file}, required=[FIELD]
        )
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=form)},
            required=True,
        )


async def take_in(
    request: AnyRequest,
    uploads: Uploads,
    actor: Actor,
    *,
    largest: int,
    missing: Refusal,
    cause: Cause,
    flow: UUID | None = None,
) -> Done[File]:
    """
    Take in the file that the form of *request* brings, as it comes.

    Raise *missing* if there is none, a `Refusal` where the form is broken, broken
    off, brings a second file or one beyond *largest* bytes, and what `Uploads` raises
    where it has no room.
    """
    stream = request.stream()
    try:
        with uploads.receiving(actor):
            _check_length(request, largest)
            form = _Form(request.headers.get("content-type"), stream)
            name = await _name_of_file(form, missing)
            return await uploads.take(actor, name, _bytes(form), flow=flow, cause=cause)
    except FileTooLargeError:
        await _let_pass(stream)
        raise Refusal(413, _too_large(request, largest), CLOSE) from None
    except (DomainError, Refusal):
        await _let_pass(stream)
        raise


def _check_length(request: AnyRequest, largest: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > largest + LARGEST_REST:
        raise FileTooLargeError


def _too_large(request: AnyRequest, largest: int) -> str:
    """Return the words that clients know for a body beyond *largest* bytes."""
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else 0
    got = f" and got {size / MEGABYTE:.3f}MB" if size > largest else ""
    most = f"{largest / MEGABYTE:g}MB"
    return f"Content size limit exceeded. Maximum allowed is {most}{got}."


async def _name_of_file(form: "_Form", missing: Refusal) -> str:
    while True:
        match await form.next():
            case _Began(name=name, filename=filename) if name == FIELD and filename:
                return filename
            case _Ended(form=True):
                raise missing
            case _:
                continue


async def _bytes(form: "_Form") -> AsyncIterator[bytes]:
    inside = True
    while True:
        heard = await form.next()
        match heard:
            case bytes():
                if inside:
                    form.others -= len(heard)
                    yield heard
            case _Began(name=name):
                if name == FIELD:
                    raise Refusal(422, "The form brings more than one file")
            case _Ended(form=over):
                inside = False
                if over:
                    return


class _Form:
    """Says what a multipart body holds, piece by piece."""

    def __init__(self, media_type: str | None, stream: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(media_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refusal(422, NO_BOUNDARY)
        if not _BOUNDARY.fullmatch(boundary):
            raise Refusal(422, "Invalid boundary format")
        self.others = 0
        self._since, self._came = monotonic(), 0
        self._stream = stream
        self._heard: deque[_Heard] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": lambda: self._heard.append(_Ended(form=False)),
                "on_end": lambda: self._heard.append(_Ended(form=True)),
            },
        )

    async def next(self) -> _Heard:
        """Return what comes next, or refuse the form."""
        while not self._heard:
            try:
                async with asyncio.timeout(PATIENCE):
                    chunk = await anext(self._stream)
            except TimeoutError:
                raise Refusal(408, TOO_SLOW, CLOSE) from None
            except StopAsyncIteration:
                raise Refusal(422, MALFORMED) from None
            except InternalServerException:  # so Litestar says that nobody is there
                raise Refusal(400, "The upload was broken off") from None
            self._check_pace(len(chunk))
            if chunk:
                self._feed(chunk)
        return self._heard.popleft()

    def _check_pace(self, came: int) -> None:
        self._came += came
        now = monotonic()
        if now - self._since > PATIENCE:
            if self._came < SLOWEST:
                raise Refusal(408, TOO_SLOW, CLOSE)
            self._since, self._came = now, 0

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise Refusal(422, MALFORMED) from None
        self.others += sum(len(one) for one in self._heard if isinstance(one, bytes))
        if self.others > LARGEST_REST + len(chunk):
            raise Refusal(413, "The form is too large", CLOSE)

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _headers_finished(self) -> None:
        said = self._headers.get(b"content-disposition")
        _, options = parse_options_header(said)
        filename = options.get(b"filename")
        self._heard.append(
            _Began(
                _text(options.get(b"name", b"")),
                None if filename is None else _text(filename),
            )
        )

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._heard.append(data[start:end])


async def _let_pass(stream: AsyncIterator[bytes]) -> None:
    """
    Read some of what is still coming, and forget it.

    A client that is cut off while it sends may never see why.
    """
    passed = 0
    with suppress(InternalServerException, TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            async for chunk in stream:
                passed += len(chunk)
                if passed > LINGER:
                    break


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")

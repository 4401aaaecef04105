"""What every request carries, and what every answer carries back."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType

from api.problems import Refusal
from api.stamps import leave, story_of
from application.ports import Actor, Cause, Freshness, Position

AnyRequest = Request[Any, Any, Any]

SETTLE: Final = 0.2
PATIENCE: Final = 2.0
LONGEST_KEY: Final = 255
LARGEST_PAGE: Final = 100
_POSITION = re.compile(r"(core|runs)=(\d{1,18})")
_VERSION = re.compile(r'(?:W/)?"(\d{1,18})"|(\d{1,18})')


def actor_of(request: AnyRequest) -> Actor:
    """Return who asks; the guard has found out before."""
    actor: Actor = request.state.actor
    return actor


async def cause_of(request: AnyRequest) -> Cause:
    """Return why events are appended: this request, by whoever sent it."""
    actor: Actor = request.state.actor
    story = story_of(request.scope)
    key = request.headers.get("idempotency-key")
    if not key:
        return Cause(actor=actor, command_id=uuid4(), correlation_id=story)
    asked = _asked(request) + await _body_of(request)
    return _repeatable(actor, key, asked, story)


async def _body_of(request: AnyRequest) -> bytes:
    """Return what tells one body from another."""
    kind, _ = request.content_type
    if kind != RequestEncodingType.MULTI_PART:
        return await request.body()
    # Of a form the parts count: its body is gone once they have been read.
    parts = []
    for name, part in (await request.form()).multi_items():
        if isinstance(part, UploadFile):
            await part.seek(0)
            parts += [name.encode(), part.filename.encode(), await part.read()]
            await part.seek(0)
        else:
            parts += [name.encode(), str(part).encode()]
    return msgspec.json.encode(parts)


def streamed_cause_of(request: AnyRequest) -> Cause:
    """Return `cause_of` a request whose body must not be read as a whole."""
    actor: Actor = request.state.actor
    story = story_of(request.scope)
    key = request.headers.get("idempotency-key")
    if not key:
        return Cause(actor=actor, command_id=uuid4(), correlation_id=story)
    return _repeatable(actor, key, _asked(request), story)


def _repeatable(actor: Actor, key: str, asked: bytes, story: UUID) -> Cause:
    if len(key) > LONGEST_KEY:
        raise Refusal(422, f"Idempotency-Key has more than {LONGEST_KEY} characters")
    return Cause(
        actor=actor,
        command_id=uuid5(NAMESPACE_URL, f"{actor.user}/{key}"),
        correlation_id=story,
        request_hash=sha256(asked).digest(),
        idempotent=True,
    )


def _asked(request: AnyRequest) -> bytes:
    return f"{request.method} {request.url.path}?{request.url.query}\n".encode()


def expected_version(request: AnyRequest) -> int | None:
    """Return the version of a flow that the client says it saw, if it does."""
    header = request.headers.get("if-match")
    asked = request.query_params.get("expected_version") if header is None else header
    if asked is None or asked.strip() == "*":
        return None
    match = _VERSION.fullmatch(asked.strip())
    if match is None:
        raise Refusal(422, "The expected version is not one that an ETag gave")
    return int(match[1] or match[2])


class Answers:
    """
    Let a command answer once its reads are served.

    It waits 200 ms at most and says with ``X-Stale`` when that was too short;
    ``X-Position`` tells how far a later query must have come.
    """

    def __init__(self, request: AnyRequest, freshness: Freshness) -> None:
        self._request = request
        self._freshness = freshness

    async def settle(self, position: Position) -> bool:
        """Wait until *position* can be read; tell whether it can."""
        reached = await self._freshness.reached(position, within=SETTLE)
        said = [
            f"{log}={place}"
            for log, place in (("core", position.core), ("runs", position.runs))
            if place
        ]
        headers: dict[str, str] = {"x-position": ",".join(said)} if said else {}
        if not reached:
            headers["x-stale"] = "true"
        leave(self._request.scope, headers)
        return reached


async def wait_for_position(request: AnyRequest, freshness: Freshness) -> None:
    """Let a query wait for the position that its client has seen."""
    asked = request.headers.get("x-min-position")
    if asked is None:
        return
    position = parse_position(asked)
    if not await freshness.reached(position, within=PATIENCE):
        leave(request.scope, {"x-stale": "true"})


def parse_position(text: str) -> Position:
    """Read ``core=12,runs=90``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = [_POSITION.fullmatch(word) for word in words]
    if not all(found):
        raise Refusal(422, "X-Min-Position is not like core=12,runs=90")
    return Position(**{m[1]: int(m[2]) for m in found if m})


def page_of(
    items: Sequence[Any], *, total: int, page: int, size: int
) -> dict[str, Any]:
    """Return one page in the shape that clients read."""
    return {
        "items": items,
        "total": total,
        "page": page,
        "size": size,
        "pages": -(-total // size) if size else 0,
    }


def bounded_page(page: int, size: int) -> tuple[int, int]:
    """Return page and size if they are sensible."""
    if page < 1 or not 1 <= size <= LARGEST_PAGE:
        raise Refusal(422, f"page is 1 or more, size from 1 to {LARGEST_PAGE}")
    return page, size

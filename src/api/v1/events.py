"""Events for those who administer: found by what is known of them, and as of then."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, FromQuery, QueryParameter

from api.given import Given
from api.moments import moment
from api.problems import Refusal
from api.security import ADMIN, superuser
from application.events import (
    LARGEST_PAGE,
    EventLine,
    Events,
    StreamState,
    line_of,
)
from application.ports.browsing import Found, Wanted
from domain.kernel import Log

LARGEST_PLACE: Final = 2**63 - 1

type Words = dict[str, Any]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """
    A piece of a log, in order.

    ``next`` is the position to go on after, which may be so although no event was
    found: one question looks at so many events and no more. It is null at the end,
    where ``reached`` tells how far was looked.
    """

    log: Log
    events: list[EventLine]
    next: int | None
    reached: int


def _asked(says: str, *values: Any) -> QueryParameter:
    examples = [Example(value=value) for value in values]
    return QueryParameter(description=says, examples=examples)


def _answer(kind: Any, says: str, value: Words) -> dict[int, ResponseSpec]:
    example = Example(value=value)
    return {200: ResponseSpec(kind, description=says, examples=[example])}


_FLOW: Final = "3f0c2d1e-8a3b-4b52-9d7e-5f6a7b8c9d0e"
_ADA: Final = "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a"
_LINE: Final[Words] = {
    "log": "core",
    "position": 41,
    "stream": _FLOW,
    "version": 2,
    "at": "2026-11-25T20:15:00.250000Z",
    "tag": "flow.renamed",
    "status": "readable",
    "data": {"name": "Answer letters"},
    "reason": None,
    "metadata": {
        "actor": _ADA,
        "command_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "correlation_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    },
}
_PAGE: Final[Words] = {"log": "core", "events": [_LINE], "next": 41, "reached": 41}
_STATE: Final[Words] = {
    "kind": "project",
    "stream": _FLOW,
    "version": 2,
    "at": "2026-11-25T20:15:00.250000Z",
    "state": {"name": "Letters", "owner": _ADA, "deleted": False},
}


class EventController(Controller):
    """Questions go to `Events`; superusers alone may ask them."""

    path = "/admin"
    tags = ("Events",)
    guards = (superuser,)
    opt = ADMIN

    @get("/events", responses=_answer(EventPage, "Events, oldest first", _PAGE))
    async def events(
        self,
        *,
        events: Given[Events],
        log: Annotated[
            Literal["core", "runs"], _asked("Which log; each has its order", "core")
        ] = "core",
        stream: FromQuery[UUID | None] = None,
        tag: Annotated[
            str | None, _asked("One tag, or how tags begin", "flow.renamed", "flow.")
        ] = None,
        by: Annotated[
            str | None, QueryParameter(name="actor", description="A user, or system")
        ] = None,
        correlation: FromQuery[UUID | None] = None,
        command: FromQuery[UUID | None] = None,
        since: Annotated[
            str | None, _asked("A moment, included", "2026-11-25T20:15Z", "2h")
        ] = None,
        until: Annotated[str | None, _asked("A moment, not included", "3d")] = None,
        after: FromQuery[int] = 0,
        limit: FromQuery[int] = 100,
    ) -> EventPage:
        """
        Find events of one log by stream, tag, actor, story, command or time.

        Go on with ``after`` = ``next`` until that is null.
        """
        _bounded(after, limit)
        wanted = Wanted(
            stream=stream,
            tag=tag,
            actor=None if by is None else await events.actor_called(by),
            correlation=correlation,
            command=command,
            since=None if since is None else moment(since),
            until=None if until is None else moment(until),
        )
        found = await events.find(log, wanted, after=after, upto=None, limit=limit)
        return _page(log, found)

    @get(
        "/streams/{stream_id:str}",
        responses=_answer(EventPage, "Events, oldest first", _PAGE),
    )
    async def stream(
        self,
        *,
        stream_id: FromPath[UUID],
        events: Given[Events],
        after: FromQuery[int] = 0,
        limit: FromQuery[int] = 100,
    ) -> EventPage:
        """Show what happened to one thing: a flow's edits, a run's steps."""
        _bounded(after, limit)
        log = await events.log_of(stream_id)
        wanted = Wanted(stream=stream_id)
        found = await events.find(log, wanted, after=after, upto=None, limit=limit)
        return _page(log, found)

    @get(
        "/streams/{stream_id:str}/state",
        responses=_answer(StreamState, "What all events up to then had made", _STATE),
    )
    async def state(
        self,
        *,
        stream_id: FromPath[UUID],
        events: Given[Events],
        version: Annotated[int | None, _asked("As of a version", 12)] = None,
        at: Annotated[str | None, _asked("As of a moment", "2h")] = None,
    ) -> StreamState:
        """Show what one thing is, or was as of a version or a moment."""
        if version is not None and at is not None:
            raise Refusal(422, "Ask for a version or for a moment, not for both")
        as_of = None if at is None else moment(at)
        return await events.state(stream_id, version=version, at=as_of)


def _bounded(after: int, limit: int) -> None:
    if not 0 <= after <= LARGEST_PLACE:
        raise Refusal(422, "after is a position: a whole number, not negative")
    if not 1 <= limit <= LARGEST_PAGE:
        raise Refusal(422, f"limit is from 1 to {LARGEST_PAGE}")


def _page(log: Log, found: Found) -> EventPage:
    return EventPage(
        log=log,
        events=[line_of(one) for one in found.events],
        next=found.reached if found.more else None,
        reached=found.reached,
    )

"""Read tables for those who administer: how they stand, and what they refused."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter, RequestBody

from api.given import Given
from api.problems import Refusal
from api.security import ADMIN, superuser
from application.events import EventLine, line_of
from application.ports import Cause
from projections.letters import DeadLetter, Outcome, Place
from projections.refusals import StillPoisonError
from projections.status import ProjectionStatus
from projections.upkeep import RetriedPage, Upkeep

LARGEST_PAGE: Final = 500

type Words = dict[str, Any]


class ProjectionList(msgspec.Struct, frozen=True, kw_only=True):
    """How projections stand: one row a generation and log."""

    projections: list[ProjectionStatus]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """
    What goes on in the background from now on.

    Ask for the projection to see how far it is: a row that is ``building`` or
    ``retired`` moves until it is ``live``, or ``failed``. Once it is served, that is
    put on record in the stream ``operation``. A repeat with the same Idempotency-Key
    begins nothing, and is given the same ``operation``.
    """

    projection: str
    begun: str
    operation: UUID


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What stops before its next page."""

    projection: str
    stopped: str


class LetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Parked events by projection, log and position; go on after ``next``."""

    dead_letters: list[DeadLetter]
    next: str | None


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which parked events are retried: in order, of one projection or of all.

    With ``dry_run`` they are only listed, and no Idempotency-Key is looked at.
    """

    projection: str | None = None
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    dry_run: bool = False


class LetterRead(msgspec.Struct, frozen=True, kw_only=True):
    """A parked event: why it could not be taken in, and the event itself."""

    dead_letter: DeadLetter
    event: EventLine


class Skip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why nobody needs the event; kept for ever."""

    reason: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=1000, examples=["A test run; nobody needs it."]
        ),
    ]


_STREAM: Final = "3f0c2d1e-8a3b-4b52-9d7e-5f6a7b8c9d0e"
_BEGUN: Final[Words] = {
    "projection": "flows",
    "operation": "5d8e1f7a-0b1c-4d2e-8f3a-6b7c8d9e0f1a",
}
_STATUS: Final[Words] = {
    "name": "flows",
    "version": 1,
    "generation": 2,
    "log": "core",
    "state": "live",
    "health": "level",
    "position": 4711,
    "head": 4711,
    "lag": 0,
    "seconds": None,
    "dead_letters": 1,
    "skipped": 0,
    "leader": "server-1:4242",
    "builder": None,
    "failure": None,
    "events_per_second": None,
    "seconds_left": None,
}
_LETTER: Final[Words] = {
    "projection": "flows",
    "generation": 2,
    "log": "core",
    "position": 4001,
    "stream": _STREAM,
    "version": 7,
    "tag": "flow.renamed",
    "reason": "ProgramLimitExceeded: index row size 2712 exceeds maximum 2704",
    "unreadable": False,
    "tries": 3,
    "parked_at": "2026-11-25T20:15:00.250000Z",
    "waiting": 2,
}
_OUTCOME: Final[Words] = {"taken": 3, "stuck": None, "reason": None}
_EVENT: Final[Words] = {
    "log": "core",
    "position": 4001,
    "stream": _STREAM,
    "version": 7,
    "at": "2026-11-25T20:14:59.250000Z",
    "tag": "flow.renamed",
    "status": "readable",
    "data": {"name": "Answer letters"},
    "reason": None,
    "metadata": {"actor": "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a"},
}


def _answers(
    status: int, kind: Any, says: str, value: Words
) -> dict[int, ResponseSpec]:
    example = Example(value=value)
    return {status: ResponseSpec(kind, description=says, examples=[example])}


class ProjectionController(Controller):
    """All goes to `Upkeep`; what comes to something is put on record there."""

    path = "/admin/projections"
    tags = ("Projections",)
    guards = (superuser,)
    opt = ADMIN

    @get(
        "/",
        responses=_answers(
            200, ProjectionList, "How all stand", {"projections": [_STATUS]}
        ),
    )
    async def many(self, *, upkeep: Given[Upkeep]) -> ProjectionList:
        """Tell how every projection stands."""
        return ProjectionList(projections=await upkeep.status())

    @get(
        "/{projection:str}",
        responses=_answers(
            200, ProjectionList, "How it stands", {"projections": [_STATUS]}
        ),
    )
    async def one(
        self, *, projection: FromPath[str], upkeep: Given[Upkeep]
    ) -> ProjectionList:
        """Tell how one projection stands: the progress of a rebuild, too."""
        return ProjectionList(projections=await upkeep.status(projection))

    @post(
        "/{projection:str}/rebuild",
        status_code=202,
        responses=_answers(202, Begun, "It has begun", _BEGUN | {"begun": "rebuild"}),
    )
    async def rebuild(
        self, *, projection: FromPath[str], upkeep: Given[Upkeep], cause: Given[Cause]
    ) -> Begun:
        """Make its tables anew in the background, or go on where one was stopped."""
        operation = await upkeep.begin_rebuild(projection, cause=cause)
        return Begun(projection=projection, begun="rebuild", operation=operation)

    @post(
        "/{projection:str}/cancel",
        status_code=200,
        responses=_answers(
            200, Stopped, "It stops", {"projection": "flows", "stopped": "rebuild"}
        ),
    )
    async def cancel(
        self, *, projection: FromPath[str], upkeep: Given[Upkeep], cause: Given[Cause]
    ) -> Stopped:
        """Stop a rebuild, on whichever server it runs."""
        await upkeep.cancel(projection, cause=cause)
        return Stopped(projection=projection, stopped="rebuild")

    @post(
        "/{projection:str}/swap-back",
        status_code=202,
        responses=_answers(202, Begun, "It has begun", _BEGUN | {"begun": "swap-back"}),
    )
    async def swap_back(
        self, *, projection: FromPath[str], upkeep: Given[Upkeep], cause: Given[Cause]
    ) -> Begun:
        """Serve the generation before again, once it is brought level."""
        operation = await upkeep.begin_swap_back(projection, cause=cause)
        return Begun(projection=projection, begun="swap-back", operation=operation)

    @get(
        "/dead-letters",
        responses=_answers(
            200,
            LetterPage,
            "Parked events",
            {"dead_letters": [_LETTER], "next": "flows/core/4001"},
        ),
    )
    async def letters(
        self,
        *,
        upkeep: Given[Upkeep],
        projection: Annotated[
            str | None, QueryParameter(description="Of one projection only")
        ] = None,
        after: Annotated[
            str | None, QueryParameter(description="The ``next`` of the page before")
        ] = None,
        limit: Annotated[int, QueryParameter(description="From 1 to 500")] = 100,
    ) -> LetterPage:
        """List what could not be taken in."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise Refusal(422, f"limit is from 1 to {LARGEST_PAGE}")
        return await _page(upkeep, projection, after, limit)

    @post(
        "/dead-letters/retry",
        status_code=200,
        responses=_answers(
            200,
            RetriedPage | LetterPage,
            "What became of each; with dry_run, what would be retried",
            {
                "retried": [{"letter": "flows/core/4001", "outcome": _OUTCOME}],
                "next": None,
            },
        ),
    )
    async def retry_many(
        self, *, data: RequestBody[Retry], upkeep: Given[Upkeep], cause: Given[Cause]
    ) -> RetriedPage | LetterPage:
        """Take in one parked event after the other; none stops the others."""
        if data.dry_run:
            return await _page(upkeep, data.projection, data.after, data.limit)
        after = None if data.after is None else Place.of(data.after)
        return await upkeep.retry_page(
            only=data.projection, after=after, limit=data.limit, cause=cause
        )

    @get(
        "/{projection:str}/dead-letters/{log:str}/{position:str}",
        responses=_answers(
            200,
            LetterRead,
            "The letter and its event",
            {"dead_letter": _LETTER, "event": _EVENT},
        ),
    )
    async def letter(
        self,
        *,
        projection: FromPath[str],
        log: FromPath[str],
        position: FromPath[str],
        upkeep: Given[Upkeep],
    ) -> LetterRead:
        """Show a parked event, and what was wrong with it."""
        found = await upkeep.letters.get(Place.of(f"{projection}/{log}/{position}"))
        recorded = await upkeep.letters.event(found)
        return LetterRead(dead_letter=found, event=line_of(recorded))

    @post(
        "/{projection:str}/dead-letters/{log:str}/{position:str}/retry",
        status_code=200,
        responses=_answers(200, Outcome, "What it came to", {"taken": 3}),
    )
    async def retry(
        self,
        *,
        projection: FromPath[str],
        log: FromPath[str],
        position: FromPath[str],
        upkeep: Given[Upkeep],
        cause: Given[Cause],
    ) -> Outcome:
        """Take a parked event in, and what waits behind it in its stream."""
        place = Place.of(f"{projection}/{log}/{position}")
        outcome = await upkeep.retry(place, cause=cause)
        if outcome.stuck == place.position:
            raise StillPoisonError(outcome.reason)
        return outcome

    @post(
        "/{projection:str}/dead-letters/{log:str}/{position:str}/skip",
        status_code=200,
        responses=_answers(200, Outcome, "What it came to", {"taken": 2}),
    )
    async def skip(
        self,
        *,
        projection: FromPath[str],
        log: FromPath[str],
        position: FromPath[str],
        data: RequestBody[Skip],
        upkeep: Given[Upkeep],
        cause: Given[Cause],
    ) -> Outcome:
        """Go on without a parked event, now and in every rebuild."""
        place = Place.of(f"{projection}/{log}/{position}")
        return await upkeep.skip(place, data.reason, cause=cause)


async def _page(
    upkeep: Upkeep, projection: str | None, after: str | None, limit: int
) -> LetterPage:
    place = None if after is None else Place.of(after)
    found = await upkeep.letters.page(only=projection, after=place, limit=limit)
    more = str(found[-1].place) if len(found) == limit else None
    return LetterPage(dead_letters=found, next=more)

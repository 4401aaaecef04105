"""How every projection stands, for operators."""

from typing import Final, Literal, NamedTuple

import msgspec
from psycopg.rows import DictRow, dict_row

from application.ports import EventStore
from domain.kernel import Log
from infrastructure.postgres import Database
from projections import generations
from projections.checkpoints import Failure, State
from projections.holders import SQL, holders, leader_key, rebuild_key

type Health = Literal["level", "lagging", "stuck"]

LEVEL_WITHIN: Final = 2.0
"""Seconds: a checkpoint that passed only unwanted events is stored a second later."""
STUCK_AFTER: Final = 30.0
"""Seconds without a move, while there is something to take in."""


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One generation of a projection in one log.

    ``version`` is the projector's, ``generation`` counts the times its tables were
    made. ``state`` is ``live`` (its views are served), ``building`` (a rebuild fills
    it), ``interrupted`` (one did), ``failed`` (``failure`` says at which event) or
    ``retired`` (it was served before).

    ``lag`` is ``head`` less ``position``, and ``seconds`` the age of the oldest event
    not taken in; a live one may be a second behind in storing that it passed events
    it does not want. ``health`` tells of a live one: ``level``, ``lagging`` (but
    getting on) or ``stuck`` (nothing has moved for half a minute, or ``failure`` says
    what is in the way). ``leader`` is the process that writes it, ``builder`` the one
    that rebuilds it, as ``host:pid``. How fast that goes, since it began or went on,
    are ``events_per_second``, and ``seconds_left`` until it is level at that pace.
    """

    name: str
    version: int
    generation: int
    log: Log
    state: State
    health: Health | None
    position: int
    head: int
    lag: int
    seconds: float | None
    dead_letters: int
    skipped: int
    leader: str | None
    builder: str | None
    failure: Failure | None
    events_per_second: float | None
    seconds_left: float | None


class _Holders(NamedTuple):
    leaders: dict[str, str]
    builders: dict[str, str]


async def status(
    database: Database, store: EventStore, *, only: str | None = None
) -> list[ProjectionStatus]:
    """Return how each generation of each projection stands, in three queries."""
    async with database.pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(SQL["all"], {"only": only})
        found = await cursor.fetchall()
        names = {row["name"] for row in found}
        held = _Holders(
            await holders(connection, {name: leader_key(name) for name in names}),
            await holders(connection, {name: rebuild_key(name) for name in names}),
        )
    head = await store.head()
    return [_status(row, getattr(head, row["log"]), held) for row in found]


def health_of(
    *, lag: int, age: float | None, still: float, failure: Failure | None
) -> Health:
    """Tell lagging but progressing from stuck."""
    if lag <= 0 or age is None:
        return "level"
    # It may have had nothing to do for hours until a moment ago.
    if failure is not None or min(still, age) > STUCK_AFTER:
        return "stuck"
    return "level" if age < LEVEL_WITHIN else "lagging"


def _status(one: DictRow, head: int, held: _Holders) -> ProjectionStatus:
    name, state, live = one["name"], one["state"], one["state"] == "live"
    lag = max(0, head - one["position"])
    age = max(0.0, one["age"]) if lag and one["age"] is not None else None
    failure = one["failure"] and msgspec.convert(one["failure"], Failure)
    builder = held.builders.get(name)
    if state == "building" and builder is None:
        state = "interrupted"
    rebuilt = state == "building"
    return ProjectionStatus(
        name=name,
        version=generations.version_of(one["shape"]),
        generation=one["generation"],
        log=one["log"],
        state=state,
        health=health_of(lag=lag, age=age, still=one["still"], failure=failure)
        if live
        else None,
        position=one["position"],
        head=head,
        lag=lag,
        seconds=None if age is None else round(age, 3),
        dead_letters=one["dead_letters"],
        skipped=one["skipped"],
        leader=held.leaders.get(name) if live else None,
        builder=builder if rebuilt else None,
        failure=failure,
        events_per_second=one["events_per_second"] if rebuilt else None,
        seconds_left=one["seconds_left"] if rebuilt else None,
    )

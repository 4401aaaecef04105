"""How every projection stands, for operators."""

import msgspec

from application.ports import EventStore
from domain.kernel import Log
from infrastructure.postgres import Database
from projections import checkpoints


class ProjectionStatus(msgspec.Struct, frozen=True):
    """
    One generation of a projection in one log.

    ``state`` is ``live`` (its views are served), ``building`` (a rebuild fills it)
    or ``retired`` (it was served before). ``lag`` is ``head`` less ``position``; a
    live one may be up to a second behind in storing that it passed events it does
    not want.
    """

    name: str
    version: int
    log: Log
    position: int
    head: int
    lag: int
    state: str
    dead_letters: int


async def status(database: Database, store: EventStore) -> list[ProjectionStatus]:
    """Return how each generation of each projection stands."""
    async with database.pool.connection() as connection:
        found = await checkpoints.everything(connection)
    head = await store.head()
    return [
        ProjectionStatus(
            name=one.name,
            version=one.version,
            log=one.log,
            position=one.position,
            head=getattr(head, one.log),
            lag=max(0, getattr(head, one.log) - one.position),
            state=one.state,
            dead_letters=one.dead_letters,
        )
        for one in found
    ]

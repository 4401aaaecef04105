"""When what visitors of public flows left is removed, and by which server."""

from datetime import UTC, datetime, timedelta

from api.world import World
from application.departures import Departures
from application.execution.keeper import system_cause
from projections.runs.views import RunViews
from projections.schedule import VISITS_LOCK, Schedule


def departures(world: World) -> Schedule:
    """Return what removes it now and then, on one server of several."""
    leaving = Departures(
        world.store,
        over=RunViews(world.database.engine, world.keeping),
        messages=world.messages,
        contents=world.contents,
    )
    kept = timedelta(seconds=world.settings.public_flow_expiration)

    async def forget() -> None:
        before = datetime.now(UTC) - kept
        await leaving.forget(before=before, cause=system_cause())

    return Schedule(
        world.database.dsn,
        forget,
        every=float(world.settings.public_flow_cleanup_interval),
        lock=VISITS_LOCK,
    )

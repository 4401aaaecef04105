"""The world for a command, imported once it is opened: telling help needs none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.cli.output import Complaint
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from api.world import World


@asynccontextmanager
async def open_world(
    settings: Settings, *, anew: bool = False
) -> AsyncIterator["World"]:
    """
    Open what commands work with, beside a server or without one.

    Refuse a data directory in which nothing is yet, unless it may begin *anew*.
    """
    from api import opening  # noqa: PLC0415 - see above

    if not (anew or opening.has_begun(settings)):
        raise Complaint(
            f"There is nothing in {settings.data_path} yet: langbuilder run begins "
            "there; --data-dir names another."
        )
    async with opening.world_of(settings, serving=False) as world:
        yield world


async def told(world: "World", *, within: float) -> bool:
    """Tell the read tables of all that is stored; say whether they know in time."""
    from projections.all import ALL  # noqa: PLC0415 - see above
    from projections.daemon import Daemon  # noqa: PLC0415 - see above

    daemon = Daemon(world.database, world.store, ALL)
    await daemon.start()
    try:
        return await daemon.reached(await world.store.head(), within=within)
    finally:
        await daemon.stop()

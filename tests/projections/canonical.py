"""All that views show, in one form, so that two installations can be compared."""

from psycopg.sql import SQL, Identifier

from infrastructure.postgres import Database
from projections.generations import VIEWS


async def shown(database: Database) -> dict[str, list[str]]:
    """Return the rows of every stable view as JSON, sorted."""
    async with database.pool.connection() as connection:
        views = await connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'v'"
            " AND relnamespace = %s::regnamespace ORDER BY 1",
            (VIEWS,),
        )
        found: dict[str, list[str]] = {}
        for (view,) in await views.fetchall():
            rows = await connection.execute(
                SQL("SELECT to_jsonb(v)::text FROM {} AS v ORDER BY 1").format(
                    Identifier(VIEWS, view)
                )
            )
            found[view] = [row for (row,) in await rows.fetchall()]
    return found

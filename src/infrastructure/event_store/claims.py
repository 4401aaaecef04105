"""Who bears a name, read from PostgreSQL."""

from collections.abc import Collection, Sequence
from typing import override
from uuid import UUID

from application.gathered import Gathered
from application.ports import Claim, Claims
from infrastructure.postgres import Database

LIMIT = 10_000
LAST = chr(0x10FFFF)
"""What sorts after every other letter."""


class PostgresClaims(Claims):
    def __init__(self, database: Database) -> None:
        self._pool = database.pool
        self._gathered = Gathered(self._holders)

    @override
    async def holder(self, kind: str, key: str) -> UUID | None:
        if _cannot_be_stored(key):
            return None
        return await self._gathered.of((kind, key))

    async def _holders(
        self, names: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], UUID]:
        kinds, keys = zip(*names, strict=True)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT c.kind, c.key, c.holder FROM es.claims AS c"
                " JOIN unnest(%s::text[], %s::text[]) AS i(kind, key)"
                " ON c.kind = i.kind AND c.key = i.key",
                [list(kinds), list(keys)],
            )
            return {(k, key): holder for k, key, holder in await found.fetchall()}

    @override
    async def taken(self, kind: str, prefix: str) -> list[Claim]:
        if _cannot_be_stored(prefix):
            return []
        async with self._pool.connection() as connection:
            found = await connection.execute(
                # The upper bound keeps the index scan within the prefix; texts of
                # this column compare by code point.
                "SELECT kind, key, holder FROM es.claims WHERE kind = %s AND key >= %s"
                " AND key < %s ORDER BY key LIMIT %s",
                [kind, prefix, prefix + LAST, LIMIT],
            )
            return [Claim(*row) for row in await found.fetchall()]

    @override
    async def any_of(self, kind: str, prefixes: Collection[str]) -> list[str]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT prefix FROM unnest(%s::text[]) AS asked(prefix) WHERE EXISTS ("
                "SELECT FROM es.claims WHERE kind = %s AND key >= prefix COLLATE "
                '"C" AND key < (prefix || %s) COLLATE "C")',
                [[one for one in prefixes if not _cannot_be_stored(one)], kind, LAST],
            )
            return [prefix for (prefix,) in await found.fetchall()]


def _cannot_be_stored(key: str) -> bool:
    """Tell whether no name can read so: texts here hold neither NUL nor half a pair."""
    return "\0" in key or any("\ud800" <= letter <= "\udfff" for letter in key)

"""Keys that outlive a change of the secret, and the change itself."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, override
from uuid import UUID

from psycopg.rows import TupleRow

from application.ports.wrapping import Wrapped, Wrapping
from infrastructure.event_store.statements import named
from infrastructure.keyring import KEY_BYTES, USES, Keyring, WrongKeyError
from infrastructure.master_secrets import MasterSecrets
from infrastructure.postgres import Database

AT_A_TIME: Final = 500
_SQL: Final = named("keys.sql")


async def keyring_in(database: Database, secrets: MasterSecrets) -> Keyring:
    """
    Return the installation's keys out of *database*, made at the first start.

    Where there is history already, they are those that its secret stood for, so that
    nothing kept loses its meaning. Raise `WrongKeyError` for another secret.
    """
    await check(database, secrets)
    found = await _uses(database, secrets)
    if missing := [use for use in USES if use not in found]:
        [(new, origin)] = await _ask(database, "origin")
        for use in missing:
            key = (
                os.urandom(KEY_BYTES)
                if new
                else secrets.derived(use, key_id=origin or secrets.id)
            )
            wrapped = secrets.wrap(key, bound_to=_bond(use))
            await _do(database, "make", use=use, wrapped=wrapped, key_id=secrets.id)
        # Another server may have been quicker: what stands is what counts.
        found = await _uses(database, secrets)
    return Keyring(secrets, found)


async def check(database: Database, secrets: MasterSecrets) -> None:
    """Raise `WrongKeyError` if keys in *database* were wrapped by another secret."""
    others = [key for (key,) in await _ask(database, "others", known=secrets.ids)]
    if others:
        raise WrongKeyError(secrets.complaint(others))


class PostgresWrapping(Wrapping):
    """All wrapped keys of a database: which secret wraps them, and how to change it."""

    def __init__(self, database: Database, secrets: MasterSecrets) -> None:
        self._database = database
        self._secrets = secrets

    @property
    @override
    def current(self) -> str:
        return self._secrets.id

    @override
    async def counted(self) -> Sequence[Wrapped]:
        rows = await _ask(self._database, "counted")
        return [
            Wrapped(key_id, subjects, installation, current=key_id == self.current)
            for key_id, subjects, installation in rows
        ]

    @override
    async def rewrap(self, progress: Callable[[int], None]) -> Mapping[str, int]:
        done: dict[str, int] = {}
        for kind, bond in (("uses", _bond), ("subjects", _subject_bond)):
            while rows := await self._some(kind):
                await _do(
                    self._database,
                    f"rewrap_{kind}",
                    names=[name for name, _, _ in rows],
                    old=[old for _, old, _ in rows],
                    new=[self._again(old, of, bond(name)) for name, old, of in rows],
                    key_id=self.current,
                )
                for _, _, key_id in rows:
                    done[key_id] = done.get(key_id, 0) + 1
                progress(len(rows))
        return done

    def _again(self, wrapped: bytes, key_id: str, bond: bytes) -> bytes:
        key = self._secrets.unwrap(wrapped, bound_to=bond, key_id=key_id)
        return self._secrets.wrap(key, bound_to=bond)

    async def _some(self, kind: str) -> list[TupleRow]:
        return await _ask(
            self._database, f"some_{kind}", current=self.current, limit=AT_A_TIME
        )


async def _uses(database: Database, secrets: MasterSecrets) -> dict[str, bytes]:
    return {
        name: secrets.unwrap(wrapped, bound_to=_bond(name), key_id=key_id)
        for name, wrapped, key_id in await _ask(database, "uses")
        if name in USES
    }


def _bond(use: str) -> bytes:
    return b"installation/" + use.encode()


def _subject_bond(subject: UUID) -> bytes:
    return subject.bytes


async def _ask(database: Database, name: str, **parameters: Any) -> list[TupleRow]:
    async with (
        database.pool.connection() as connection,
        connection.cursor(binary=True) as cursor,
    ):
        await cursor.execute(_SQL[name], parameters)
        return await cursor.fetchall()


async def _do(database: Database, name: str, **parameters: Any) -> None:
    async with database.pool.connection() as connection:
        await connection.execute(_SQL[name], parameters)

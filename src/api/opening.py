"""A server's data, opened: its database, keys, blobs, and the world around them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import sqlalchemy.exc
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from api.world import Means, World, wired
from application.ports import Blobs, Signals
from application.ports.tallies import Tallies
from infrastructure.blobs.local import LocalBlobs
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.migrate import finish, migrate
from infrastructure.event_store.store import LOGS, PostgresEventStore
from infrastructure.installation_keys import keyring_in
from infrastructure.master_secrets import MasterSecrets
from infrastructure.postgres import Database
from infrastructure.secrets import PostgresContents, PostgresVault
from infrastructure.settings import Settings
from infrastructure.signals.memory import MemorySignals
from infrastructure.starting import CannotStartError
from infrastructure.subject_keys import PostgresSubjectKeys
from infrastructure.tallies.memory import MemoryTallies


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[asyncio.Event]:
    """Lend an event that is set when a log may have grown."""
    heard = asyncio.Event()
    listener = Listener(world.database.dsn)
    for log in LOGS:
        listener.on(log, lambda _log, _position: heard.set())
    await listener.start()
    try:
        yield heard
    finally:
        await listener.stop()


async def migrate_database(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    async with _addresses(settings, serving=False) as addresses:
        await _migrate(addresses)


async def finish_migration(settings: Settings) -> list[str]:
    """Begin with what no older server would understand; return what that is."""
    async with _addresses(settings, serving=False) as addresses:
        await _migrate(addresses)
        return await finish(addresses.migration_dsn)


class _Addresses(NamedTuple):
    dsn: str
    migration_dsn: str


@asynccontextmanager
async def _addresses(settings: Settings, *, serving: bool) -> AsyncIterator[_Addresses]:
    """Say where the database is; start our own if it is to be that."""
    if settings.database_url is not None:
        migration = settings.migration_url or settings.database_url
        yield _Addresses(settings.database_url, migration)
        return
    postgres = EmbeddedPostgres(
        settings.data_path,
        bin_dir=Path(settings.postgres_bin_dir) if settings.postgres_bin_dir else None,
    )
    if not serving and (running := EmbeddedPostgres.running(settings.data_path)):
        yield _Addresses(running.dsn, running.migration_dsn)
        return
    await asyncio.to_thread(postgres.start)
    try:
        yield _Addresses(postgres.dsn, postgres.migration_dsn)
    finally:
        await asyncio.to_thread(postgres.stop)


async def _migrate(addresses: _Addresses) -> None:
    role = conninfo_to_dict(addresses.dsn).get("user")
    try:
        await migrate(addresses.migration_dsn, app_role=str(role) if role else None)
    except (psycopg.OperationalError, sqlalchemy.exc.OperationalError) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> CannotStartError:
    said = str(getattr(error, "orig", error)).strip().splitlines()
    why = said[0] if said else type(error).__name__
    return CannotStartError(f"The database cannot be reached: {why}")


def has_begun(settings: Settings) -> bool:
    """Say whether there is a database already, or one that others look after."""
    return bool(settings.database_url) or EmbeddedPostgres.exists(settings.data_path)


@asynccontextmanager
async def world_of(settings: Settings, *, serving: bool) -> AsyncIterator[World]:
    """Open all that needs nothing running beside it, and close it again."""
    async with AsyncExitStack() as stack:
        secrets = MasterSecrets.of(settings)
        addresses = await stack.enter_async_context(
            _addresses(settings, serving=serving)
        )
        await _migrate(addresses)
        try:
            database = await Database.open(
                addresses.dsn, migration_dsn=addresses.migration_dsn
            )
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise _unreachable(error) from error
        stack.push_async_callback(database.close)
        keyring = await keyring_in(database, secrets)
        keys = PostgresSubjectKeys(database, keyring)
        blobs = await _blobs(settings, stack)
        store = PostgresEventStore(database, keys)
        await store.start()
        stack.push_async_callback(store.stop)
        world = wired(
            Means(
                settings=settings,
                keyring=keyring,
                database=database,
                store=store,
                keys=keys,
                blobs=blobs,
                contents=PostgresContents(database, keyring, blobs, keys),
                vault=PostgresVault(database, keyring, keys),
                signals=await _signals(settings, stack),
                tallies=_tallies(settings, stack),
            )
        )
        stack.push_async_callback(world.key_uses.close)
        stack.push_async_callback(world.upkeep.stop)
        yield world


async def _blobs(settings: Settings, stack: AsyncExitStack) -> Blobs:
    if settings.storage == "local":
        return LocalBlobs(settings.data_path / "blobs")
    blobs = S3Blobs.of(settings)
    stack.callback(blobs.close)
    await blobs.check()
    return blobs


async def _signals(settings: Settings, stack: AsyncExitStack) -> Signals:
    if settings.redis_url is None:
        return MemorySignals()
    from infrastructure.signals.redis import RedisSignals  # noqa: PLC0415 - few have one

    signals = RedisSignals(settings.redis_url)
    stack.push_async_callback(signals.close)
    return signals


def _tallies(settings: Settings, stack: AsyncExitStack) -> Tallies:
    if settings.redis_url is None:
        return MemoryTallies()
    from infrastructure.tallies.redis import RedisTallies  # noqa: PLC0415 - see above

    tallies = RedisTallies(settings.redis_url)
    stack.push_async_callback(tallies.close)
    return tallies

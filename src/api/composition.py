"""What serving needs, started in order and stopped in reverse."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec
import psycopg
import sqlalchemy.exc
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from api.departures import departures
from api.mcp.talks import Talks
from api.open_streams import OpenStreams
from api.polls import Polls
from api.sockets import Sockets
from api.streams import RunStreams
from api.world import Means, World, wired
from application.execution.flows import StoredFlows
from application.execution.keeper import system_cause
from application.execution.variables import OwnersVariables
from application.ports import (
    SYSTEM,
    Blobs,
    Cause,
    Recorded,
    Signals,
)
from application.ports.tallies import Tallies
from application.resources import Resources
from application.runs import Limits, Runs
from application.tools import Tools
from application.users import UsernameTakenError
from domain.user.events import UserErased
from infrastructure.blobs.local import LocalBlobs
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.migrate import finish, migrate
from infrastructure.event_store.store import LOGS, PostgresEventStore
from infrastructure.evidence.sealer import Sealer
from infrastructure.installation_keys import keyring_in
from infrastructure.master_secrets import MasterSecrets
from infrastructure.postgres import Database
from infrastructure.secrets import PostgresContents, PostgresVault
from infrastructure.settings import Settings
from infrastructure.signals.memory import MemorySignals
from infrastructure.signals.redis import RedisSignals
from infrastructure.starting import CannotStartError
from infrastructure.subject_keys import PostgresSubjectKeys
from infrastructure.tallies.memory import MemoryTallies
from infrastructure.tallies.redis import RedisTallies
from projections.all import ALL
from projections.daemon import Daemon
from projections.files.views import FileViews
from projections.flows.views import FlowViews
from projections.hub import RunHub
from projections.messages.history import RecentMessages
from projections.messages.views import MessageViews
from projections.schedule import Schedule
from projections.tail import Tail

__all__ = [
    "Application",
    "FirstStart",
    "World",
    "compose",
    "finish_migration",
    "listening",
    "migrate_database",
    "open_world",
]

FIRST_LINK_LIVES: Final = timedelta(hours=1)
CATCHING_UP: Final = 30.0


class FirstStart(NamedTuple):
    """What the first start made: shown once; no password where one was set."""

    username: str
    password: str | None
    token: str


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that serves."""

    world: World
    daemon: Daemon
    hub: RunHub
    signals: Signals
    runs: Runs
    flows_to_run: StoredFlows
    streams: RunStreams
    polls: Polls
    sockets: Sockets
    open_streams: OpenStreams
    talks: Talks
    first_start: FirstStart | None


@asynccontextmanager
async def compose(settings: Settings) -> AsyncIterator[Application]:
    """Start everything that serves, and stop it again in reverse."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(_world(settings, serving=True))
        listener = Listener(world.database.dsn)
        await listener.start()
        stack.push_async_callback(listener.stop)
        daemon = Daemon(world.database, world.store, ALL, listener)
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        hub = RunHub(world.store, tail=daemon.tails["runs"])
        await hub.start()
        stack.push_async_callback(hub.stop)
        await _look_after(world, stack)
        runs = _runs(world)
        await runs.start(alone=settings.database_url is None)
        stack.push_async_callback(runs.stop)
        streams = RunStreams(hub, world.contents, world.signals, daemon)
        polls = Polls(streams)
        stack.push_async_callback(polls.close)
        flows_to_run = StoredFlows(world.store, world.permissions, world.claims)
        talks = _talks(world, runs, flows_to_run, hub)
        await stack.enter_async_context(talks.held())
        first_start = await _first_start(world)
        await daemon.reached(await world.store.head(), within=CATCHING_UP)
        yield Application(
            world=world,
            daemon=daemon,
            hub=hub,
            signals=world.signals,
            runs=runs,
            flows_to_run=flows_to_run,
            streams=streams,
            polls=polls,
            sockets=Sockets(world.sessions),
            open_streams=_told_of_endings(world, daemon.tails["core"]),
            talks=talks,
            first_start=first_start,
        )


async def _look_after(world: World, stack: AsyncExitStack) -> None:
    """Start what seals history and removes what has outlived its time."""
    for one in (
        Sealer(world.database.dsn, world.keyring.sign_history),
        _schedule(world),
        departures(world),
    ):
        await one.start()
        stack.push_async_callback(one.stop)


@asynccontextmanager
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """Open what the command line works with, beside a server or without one."""
    async with _world(settings, serving=False) as world:
        yield world


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


@asynccontextmanager
async def _world(settings: Settings, *, serving: bool) -> AsyncIterator[World]:
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


def _schedule(world: World) -> Schedule:
    async def apply() -> None:
        await world.files.sweep(cause=system_cause())
        await world.retention.apply(cause=system_cause())

    return Schedule(
        world.database.dsn,
        apply,
        every=world.settings.retention_interval_hours * 3600.0,
    )


async def _signals(settings: Settings, stack: AsyncExitStack) -> Signals:
    if settings.redis_url is None:
        return MemorySignals()
    signals = RedisSignals(settings.redis_url)
    stack.push_async_callback(signals.close)
    return signals


def _tallies(settings: Settings, stack: AsyncExitStack) -> Tallies:
    if settings.redis_url is None:
        return MemoryTallies()
    tallies = RedisTallies(settings.redis_url)
    stack.push_async_callback(tallies.close)
    return tallies


def _told_of_endings(world: World, core: Tail) -> OpenStreams:
    """Let what is in memory end with what it hangs on, here as elsewhere."""
    open_streams = OpenStreams(each=world.settings.max_open_requests)
    core.subscribe(partial(forget_the_erased, world.subject_keys))
    core.subscribe(open_streams.hear)
    return open_streams


def forget_the_erased(keys: PostgresSubjectKeys, events: Sequence[Recorded]) -> None:
    """Let no server open what its memory still has the key of."""
    for recorded in events:
        if isinstance(recorded.event, UserErased):
            keys.forget(recorded.stream)


def _runs(world: World) -> Runs:
    settings = world.settings
    environ = os.environ if settings.fallback_to_env_var else None
    return Runs(
        store=world.store,
        contents=world.contents,
        vault=world.vault,
        components=world.components,
        signals=world.signals,
        history=RecentMessages(
            MessageViews(world.database.engine, world.keeping), world.contents
        ),
        variables=OwnersVariables(world.store, world.vault, environ=environ),
        files=world.files,
        leases=world.leases,
        ownership=world.ownership,
        claims=world.claims,
        limits=Limits(
            running=settings.max_concurrent_runs,
            queued=settings.max_queued_runs,
            vertex_timeout=float(settings.vertex_timeout_seconds),
        ),
    )


def _talks(world: World, runs: Runs, flows: StoredFlows, hub: RunHub) -> Talks:
    exposed = FlowViews(world.database.engine)
    tools = Tools(
        exposed=exposed, flows=flows, runs=runs, contents=world.contents, hub=hub
    )
    resources = Resources(
        exposed=exposed, listed=FileViews(world.database.engine), files=world.files
    )
    return Talks(tools, resources, largest=world.settings.max_json_body_bytes)


async def _first_start(world: World) -> FirstStart | None:
    """Make the first user, if that has not happened before, here or elsewhere."""
    if await world.users.first_superuser() is not None:
        return None
    given = world.settings.superuser_password
    password = given or secrets.token_urlsafe(12)
    username = world.settings.superuser
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    try:
        done = await world.users.register(
            username, password, active=True, superuser=True, first=True, cause=cause
        )
    except UsernameTakenError:  # another server was quicker
        return None
    token = await _link(world, done.result.id)
    return FirstStart(username, None if given else password, token)


async def _link(world: World, user: UUID) -> str:
    return await world.sessions.link_for(user, ttl=FIRST_LINK_LIVES)

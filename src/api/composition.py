"""What serving needs, started in order and stopped in reverse."""

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from api.departures import departures
from api.mcp.talks import Talks
from api.open_streams import OpenStreams
from api.opening import world_of
from api.polls import Polls
from api.sockets import Sockets
from api.streams import RunStreams
from api.world import World
from application.execution.flows import StoredFlows
from application.execution.keeper import system_cause
from application.execution.variables import OwnersVariables
from application.ports import (
    SYSTEM,
    Cause,
    Recorded,
    Signals,
)
from application.resources import Resources
from application.runs import Limits, Runs
from application.tools import Tools
from application.users import UsernameTakenError
from domain.user.events import UserErased
from infrastructure.event_store.listener import Listener
from infrastructure.evidence.sealer import Sealer
from infrastructure.settings import Settings
from infrastructure.subject_keys import PostgresSubjectKeys
from projections.all import ALL
from projections.daemon import Daemon
from projections.files.views import FileViews
from projections.flows.views import FlowViews
from projections.hub import RunHub
from projections.messages.history import RecentMessages
from projections.messages.views import MessageViews
from projections.schedule import Schedule
from projections.tail import Tail

__all__ = ["Application", "FirstStart", "World", "compose"]

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
        world = await stack.enter_async_context(world_of(settings, serving=True))
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


def _schedule(world: World) -> Schedule:
    async def apply() -> None:
        await world.files.sweep(cause=system_cause())
        await world.retention.apply(cause=system_cause())

    return Schedule(
        world.database.dsn,
        apply,
        every=world.settings.retention_interval_hours * 3600.0,
    )


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

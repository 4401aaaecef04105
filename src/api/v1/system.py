"""What a client asks of the server itself: version, configuration, health."""

import asyncio
import logging
import shutil
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.openapi import ResponseSpec

from api.given import Given
from api.problems import Refusal
from api.security import PUBLIC
from application.ports import EventStore, Signals
from projections.pulse import Pulse

log = logging.getLogger(__name__)

PACKAGE: Final = "langbuilder-eventsourced"
PATIENCE: Final = 3.0
"""Seconds that the database has to answer whether we are ready."""


LITTLE: Final = 256 * 1024 * 1024
"""Bytes left on the disk of which somebody should hear."""


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is told at its start."""

    auto_saving: bool
    auto_saving_interval: int
    health_check_max_retries: int
    max_file_size_upload: int
    event_delivery: str
    public_flow_cleanup_interval: int
    public_flow_expiration: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Which release this is."""

    version: str
    main_version: str
    package: str


class FeatureFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What the front end hides that this server has not."""

    mvp_components: bool = False
    mcp_composer: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the page should know; intervals of polling are milliseconds."""

    feature_flags: FeatureFlags = FeatureFlags()
    serialization_max_items_length: int = 1000
    serialization_max_text_length: int = 6000
    frontend_timeout: int = 0
    webhook_polling_interval: int = 5000
    public_flow_cleanup_interval: int
    public_flow_expiration: int
    auto_saving: bool
    auto_saving_interval: int
    health_check_max_retries: int
    max_file_size_upload: int
    event_delivery: str


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """It is up."""

    status: Literal["ok"] = "ok"


class Well(msgspec.Struct, frozen=True, kw_only=True):
    """All is well; the front end takes any other word for a server that is down."""

    status: Literal["ok"] = "ok"
    chat: Literal["ok"] = "ok"
    db: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How it stands; only the database and the tables decide whether it is ready.

    ``redis`` is absent where none is set. ``disk`` is ``low`` where less than
    256 MB are left for data.
    """

    status: Literal["ok", "nok"]
    database: Literal["ok", "away"]
    projections: Literal["level", "lagging", "stuck"]
    disk: Literal["ok", "low"]
    redis: Literal["ok", "away"] | None = None


class ConfigController(Controller):
    """Version and configuration."""

    tags = ("System",)
    opt = PUBLIC

    @get("/version", sync_to_thread=False)
    def version(self) -> Version:
        """Say which version this is."""
        version = installed_version(PACKAGE)
        return Version(
            version=version, main_version=version, package="LangBuilder Event-Sourced"
        )

    @get("/config", sync_to_thread=False)
    def config(self, facts: Given[ServerFacts]) -> Config:
        """Say what the page should know."""
        return Config(**msgspec.structs.asdict(facts))


NOT_READY: Final = {503: ResponseSpec(Readiness, description="Send nothing here now")}


class HealthController(Controller):
    """Whether the server is up, and well."""

    tags = ("System",)
    opt = PUBLIC

    @get("/health", sync_to_thread=False)
    def health(self) -> Up:
        """Say that the process listens."""
        return Up()

    @get("/livez", sync_to_thread=False)
    def livez(self) -> Up:
        """Say that the process need not be started anew."""
        return Up()

    @get("/readyz", responses=NOT_READY)
    async def readyz(
        self,
        *,
        store: Given[EventStore],
        pulse: Given[Pulse],
        signals: Given[Signals],
        data_path: Given[Path],
        has_redis: Given[bool],
    ) -> Response[Readiness]:
        """
        Say whether requests may be sent here.

        Not while the database is away, nor while a read table is stuck. One that is
        behind and gets on is no reason: its answers say themselves that they are old.
        Nor is a lost Redis, without which all goes on but signing in, nor a disk that
        fills up: both are told, for somebody to look after.
        """
        database: Literal["ok", "away"] = "ok"
        tables = pulse.worst
        try:
            async with asyncio.timeout(PATIENCE):
                await store.head()
        except Exception:  # as above
            log.exception("the database does not answer")
            database = "away"
        ready = database == "ok" and tables != "stuck"
        return Response(
            Readiness(
                status="ok" if ready else "nok",
                database=database,
                projections=tables,
                disk=await asyncio.to_thread(_disk, data_path),
                redis=await _redis(signals) if has_redis else None,
            ),
            status_code=200 if ready else 503,
        )

    @get("/health_check", opt={"refuses": (500,)})
    async def health_check(self, store: Given[EventStore]) -> Response[Well]:
        """Say whether the database answers; the page reads every value."""
        try:
            await store.head()
        except Exception:
            # Whatever is wrong with the database, the answer is that it is not well.
            log.exception("the database does not answer")
            wrong = {"status": "nok", "chat": "ok", "db": "error check the server logs"}
            raise Refusal(500, wrong) from None
        return Response(Well())


async def _redis(signals: Signals) -> Literal["ok", "away"]:
    return "ok" if await signals.reachable() else "away"


def _disk(path: Path) -> Literal["ok", "low"]:
    return "ok" if shutil.disk_usage(path).free >= LITTLE else "low"

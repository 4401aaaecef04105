"""What a client asks of the server itself: version, configuration, health."""

import asyncio
import logging
from importlib.metadata import version as installed_version
from typing import Any, Final

import msgspec
from litestar import Controller, Response, get

from api.given import Given
from api.security import PUBLIC
from application.ports import EventStore
from projections.pulse import Pulse

log = logging.getLogger(__name__)

PACKAGE: Final = "langbuilder-eventsourced"
PATIENCE: Final = 3.0
"""Seconds that the database has to answer whether we are ready."""


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is told at its start."""

    auto_saving: bool
    auto_saving_interval: int
    health_check_max_retries: int
    max_file_size_upload: int
    event_delivery: str
    public_flow_cleanup_interval: int
    public_flow_expiration: int


class ConfigController(Controller):
    """Version and configuration."""

    tags = ("System",)
    opt = PUBLIC

    @get("/version", sync_to_thread=False)
    def version(self) -> dict[str, str]:
        """Say which version this is."""
        version = installed_version(PACKAGE)
        return {
            "version": version,
            "main_version": version,
            "package": "LangBuilder Event-Sourced",
        }

    @get("/config", sync_to_thread=False)
    def config(self, facts: Given[ServerFacts]) -> dict[str, Any]:
        """Say what the page should know."""
        return {
            "feature_flags": {"mvp_components": False, "mcp_composer": False},
            "serialization_max_items_length": 1000,
            "serialization_max_text_length": 6000,
            "frontend_timeout": 0,
            "webhook_polling_interval": 5000,
        } | msgspec.structs.asdict(facts)


class HealthController(Controller):
    """Whether the server is up, and well."""

    tags = ("System",)
    opt = PUBLIC

    @get("/health", sync_to_thread=False)
    def health(self) -> dict[str, str]:
        """Say that the process listens."""
        return {"status": "ok"}

    @get("/livez", sync_to_thread=False)
    def livez(self) -> dict[str, str]:
        """Say that the process need not be started anew."""
        return {"status": "ok"}

    @get("/readyz")
    async def readyz(
        self, store: Given[EventStore], pulse: Given[Pulse]
    ) -> Response[dict[str, str]]:
        """
        Say whether requests may be sent here.

        Not while the database is away, nor while a read table is stuck. One that is
        behind and gets on is no reason: its answers say themselves that they are old.
        """
        database, tables = "ok", pulse.worst
        try:
            async with asyncio.timeout(PATIENCE):
                await store.head()
        except Exception:  # as above
            log.exception("the database does not answer")
            database = "away"
        ready = database == "ok" and tables != "stuck"
        return Response(
            {
                "status": "ok" if ready else "nok",
                "database": database,
                "projections": tables,
            },
            status_code=200 if ready else 503,
        )

    @get("/health_check")
    async def health_check(self, store: Given[EventStore]) -> Response[Any]:
        """Say whether the database answers; the page reads every value."""
        try:
            await store.head()
        except Exception:
            # Whatever is wrong with the database, the answer is that it is not well.
            log.exception("the database does not answer")
            wrong = {"status": "nok", "chat": "ok", "db": "error check the server logs"}
            return Response({"detail": wrong}, status_code=500)
        return Response({"status": "ok", "chat": "ok", "db": "ok"})

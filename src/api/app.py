"""The application as a web server sees it."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide

from api.composition import Application
from api.dependencies import dependencies_of
from api.log_lines import LogLines
from api.mcp.callers import Callers
from api.open_streams import EndingStreams
from api.openapi import document as openapi
from api.paces import Paced
from api.places import take_place
from api.problems import HANDLERS
from api.proxies import Proxies, SeeingThrough
from api.rates import within_rates
from api.requests import wait_for_position
from api.routes import routes
from api.sockets import at_the_door
from api.stamps import Naming, stamp
from application.rates import Limiter, Rates
from infrastructure.settings import Settings

EXPOSED: Final = [
    "Content-Disposition",
    "ETag",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Link",
    "X-Position",
    "X-Request-Id",
    "X-Run-Id",
    "X-Stale",
    "X-Total-Count",
]
"""Headers of ours that pages of other origins may read, where those may ask."""


def create_app(application: Application) -> Litestar:
    """Return the web application that serves *application*."""
    settings = application.world.settings
    log_lines = _log_lines(settings)
    return SeeingThrough(
        route_handlers=routes(front_end=settings.frontend_path is not None),
        guards=[at_the_door, within_rates, take_place],
        before_request=_wait_for_position,
        dependencies=dependencies_of(application)
        | {"log_lines": Provide(lambda: log_lines, sync_to_thread=False)},
        lifespan=[partial(_keeping, log_lines)],
        exception_handlers=HANDLERS,
        before_send=[stamp],
        middleware=[Naming(), EndingStreams(application.open_streams), Paced()],
        request_max_body_size=settings.max_json_body_bytes,
        cors_config=_cors(settings),
        openapi_config=openapi.config(),
        state=State(
            {
                "sessions": application.world.sessions,
                "daemon": application.daemon,
                "callers": Callers(
                    application.world.mcp_accesses,
                    application.world.permissions,
                    origins=settings.cors_origins,
                ),
                "show_docs": settings.show_docs,
                "open_streams": application.open_streams,
                "proxies": Proxies(settings.trusted_proxies),
                "limiter": Limiter(application.world.tallies, _rates(settings)),
            }
        ),
        logging_config=None,
    )


def _log_lines(settings: Settings) -> LogLines | None:
    most = settings.log_retriever_buffer_size
    return LogLines(most) if most else None


@asynccontextmanager
async def _keeping(log_lines: LogLines | None, _: Litestar) -> AsyncGenerator[None]:
    """Keep the log's last lines while the application serves."""
    if log_lines is None:
        yield
        return
    logging.getLogger().addHandler(log_lines)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(log_lines)


async def _wait_for_position(request: Request[Any, Any, Any]) -> None:
    await wait_for_position(request, request.app.state.daemon)


def _rates(settings: Settings) -> Rates:
    return Rates(
        sign_in=settings.rate_limit_sign_in,
        runs=settings.rate_limit_runs,
        public_runs=settings.rate_limit_public_runs,
        uploads=settings.rate_limit_uploads,
        other=settings.rate_limit_other,
    )


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_credentials=True,
        expose_headers=EXPOSED,
    )

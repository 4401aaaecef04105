"""Serving: start what is needed, serve, and stop again within seconds."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import override

import uvicorn
import uvloop

from api.app import create_app
from api.cli.output import console
from api.composition import (
    Application,
    compose,
)
from api.sockets import SERVED, keep_quiet
from api.stamps import RequestIds
from infrastructure.settings import Settings, meant, unknown
from infrastructure.starting import CannotStartError

GRACE = 2  # seconds that open answers may take, of the five a stop may take
KEEP_ALIVE = 75
"""
Seconds a quiet connection stays open.

Longer than clients and proxies keep theirs: closed first by us, it would now and then
be closed just as the next request comes, which is then lost.
"""
LITTER = 20_000
"""How many new objects it takes until somebody looks which of them are garbage."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on *listener* until a signal comes."""
    _log(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Run(settings, listener).until_stopped())


def _log(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s",
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(RequestIds())
    if settings.log_level != "debug":
        for talkative in ("alembic", "httpx2", "mcp", "uvicorn"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
    keep_quiet()
    for name in unknown():
        hint = f": is {near} meant?" if (near := meant(name)) else ""
        logging.getLogger(__name__).warning("%s is no setting of ours%s", name, hint)


def _spare_the_collector() -> None:
    """Have garbage looked for among what requests leave, not in all there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(LITTER, 10, 10)


class _Server(uvicorn.Server):
    """Tells when it is ready, and leaves signals to `_Run`, which has more to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None],
        leaving: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._leaving = leaving

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving()
        await super().shutdown(sockets)

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


class _Run:
    """One run of the server, from the first word to the last."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._out = console()
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def until_stopped(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._serve())
        for number in SIGNALS:
            loop.add_signal_handler(number, self._stop)
        with suppress(asyncio.CancelledError):
            await self._task
        self._out.print("Stopped.")

    def _stop(self) -> None:
        if self._server is None and self._task is not None:
            self._task.cancel()
        elif self._server is not None:
            self._server.force_exit = self._server.should_exit
            self._server.should_exit = True

    async def _serve(self) -> None:
        self._introduce()
        async with compose(self._settings) as application:
            app = create_app(application)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
                server_header=False,
                **SERVED,
            )
            self._server = _Server(
                config,
                ready=lambda: self._welcome(application),
                leaving=application.talks.leave,
            )
            _spare_the_collector()
            await self._server.serve([self._listener])
            if not self._server.started:
                raise CannotStartError("The server could not start; see above.")

    def _introduce(self) -> None:
        settings, out = self._settings, self._out
        database = "PostgreSQL at your address"
        if settings.database_url is None:
            database = "its own PostgreSQL"
        out.print(
            f"[bold]LangBuilder[/] {version('langbuilder-eventsourced')}, "
            f"starting with {database}"
        )
        out.print(f"  data     {settings.data_path}")

    def _welcome(self, application: Application) -> None:
        out = self._out
        out.print(f"  address  [bold]{self._address()}[/]")
        if (first := application.first_start) is not None:
            out.print()
            out.print("  This is the first start. Keep this, it is shown once:")
            out.print(f"    user name  {first.username}", markup=False)
            if first.password:
                out.print(f"    password   {first.password}", markup=False)
            # Another front end knows no such links; our own page stays beside it.
            page = "page/index.html" if self._settings.frontend_path else ""
            link = f"{self._address()}/{page}#/sign-in/{first.token}"
            out.print(f"    sign in    {link}", markup=False)
            out.print("               (one time, within an hour)")
        out.print()
        out.print("Press Ctrl+C to stop.")

    def _address(self) -> str:
        host, port = self._listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # only shown
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""A server with nothing but the routes of runs, over the memory store."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from litestar import Litestar, Request, Router
from litestar.di import Provide

from api.polls import Polls
from api.problems import HANDLERS
from api.requests import Answers, cause_of
from api.stamps import stamp
from api.v1.build import BuildController
from api.v1.run import RunController
from api.v1.runs import RunsController
from application.ports import Actor
from tests.application.lab import Lab, UpToDate


def _always(thing: object) -> Callable[[], object]:
    return lambda: thing


def routes(lab: Lab, polls: Polls) -> Litestar:
    controllers = [BuildController, RunController, RunsController]
    return Litestar(
        route_handlers=[Router("/api/v1", route_handlers=controllers)],
        dependencies=dependencies(lab, polls),
        exception_handlers=HANDLERS,
        before_send=[stamp],
    )


def dependencies(lab: Lab, polls: Polls) -> dict[str, Provide]:
    def actor(request: Request[Any, Any, Any]) -> Actor:
        named = request.headers.get("x-user")
        who = Actor(
            user=UUID(named) if named else lab.owner,
            credential=request.headers.get("x-credential", ""),
        )
        request.state.actor = who
        return who

    async def cause(request: Request[Any, Any, Any]) -> Any:
        actor(request)
        return await cause_of(request)

    things = {
        "runs": lab.runs,
        "flows_to_run": lab.flows,
        "streams": lab.streams,
        "polls": polls,
        "contents": lab.contents,
        "claims": lab.store.claims,
        "run_views": None,
        "visits": None,
    }
    given = {
        name: Provide(_always(thing), sync_to_thread=False)
        for name, thing in things.items()
    }
    return given | {
        "actor": Provide(actor, sync_to_thread=False),
        "cause": Provide(cause),
        "answers": Provide(_answers, sync_to_thread=False),
    }


def _answers(request: Request[Any, Any, Any]) -> Answers:
    return Answers(request, UpToDate())


@asynccontextmanager
async def serving(
    lab: Lab, polls: Polls | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve *lab* on a port of loopback; yield somebody who asks."""
    polls = polls or Polls(lab.streams)
    async with lab.open():
        # asyncio sends at once (TCP_NODELAY) only on sockets that say they are TCP.
        with socket.socket(proto=socket.IPPROTO_TCP) as listener:
            listener.bind(("127.0.0.1", 0))
            config = uvicorn.Config(
                routes(lab, polls), log_config=None, access_log=False, lifespan="on"
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve([listener]))
            while not server.started:
                await asyncio.sleep(0.005)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
            async with httpx.AsyncClient(base_url=address, timeout=20) as client:
                yield client
            await polls.close()
            server.should_exit = True
            await task


def frames(text: str) -> list[tuple[str, Any]]:
    """Return the events of an NDJSON body."""
    lines = [json.loads(line) for line in text.split("\n") if line]
    return [(line["event"], line["data"]) for line in lines]

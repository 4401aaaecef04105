"""Counts the statements that answering a request sends to PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import httpx
import psycopg

from api.app import create_app
from api.composition import Application

_SENT: ContextVar[list[str] | None] = ContextVar("sent", default=None)


@contextmanager
def counted() -> Iterator[list[str]]:
    """
    Collect the statements that this task and the tasks it starts send.

    What others send meanwhile (projectors, sweepers) is not among them.
    """
    plain = psycopg.AsyncCursor.execute

    @wraps(plain)
    async def noting(
        self: Any, query: Any, *arguments: Any, **options: Any
    ) -> psycopg.AsyncCursor[Any]:
        sent = _SENT.get()
        if sent is not None:
            text = query if isinstance(query, str) else bytes(query).decode()
            sent.append(" ".join(text.split()))
        return await plain(self, query, *arguments, **options)

    sent: list[str] = []
    token = _SENT.set(sent)
    psycopg.AsyncCursor.execute = noting  # type: ignore[method-assign,assignment]  # put back below
    try:
        yield sent
    finally:
        psycopg.AsyncCursor.execute = plain  # type: ignore[method-assign]
        _SENT.reset(token)


def transport(application: Application) -> httpx.ASGITransport:
    """Lead requests straight into *application*, without a socket."""
    served: Any = create_app(application)  # whose scopes are typed more narrowly
    return httpx.ASGITransport(served)


@asynccontextmanager
async def inside(
    application: Application, *, token: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Ask *application* within this task, so that `counted` sees its statements."""
    async with httpx.AsyncClient(
        transport=transport(application),
        base_url="http://inside",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ) as client:
        yield client

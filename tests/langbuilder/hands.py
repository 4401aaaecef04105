"""Either client, used in one way, and a line to the server that can be cut."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from langbuilder import AsyncClient, Client

type Budget = Callable[[], int | None]
"""How many bytes of answers a new connection lets pass; ``None`` for all."""


async def in_thread[T](work: Callable[..., T], *args: Any, **more: Any) -> T:
    """Return what *work* returns in a thread that nobody waits for at the end."""
    done: Future[T] = Future()

    def carry_out() -> None:
        try:
            done.set_result(work(*args, **more))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            done.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    return await asyncio.wrap_future(done)


class Hand:
    """
    A client of either kind.

    The blocking one works in a thread, for the server has the event loop.
    """

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client: Any = client
        self.blocks = isinstance(client, Client)

    async def do(self, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if self.blocks:
            return await in_thread(method, *args, **more)
        return await method(*args, **more)

    async def all(self, things: Any) -> list[Any]:
        if self.blocks:
            return await in_thread(list, things)
        return [thing async for thing in things]

    async def first(self, things: Any, number: int) -> list[Any]:
        """Read so many of *things* and leave."""
        if self.blocks:
            return await in_thread(
                lambda: [thing for _, thing in zip(range(number), things, strict=False)]
            )
        found: list[Any] = []
        async for thing in things:
            found.append(thing)
            if len(found) == number:
                break
        return found

    async def entered(self, stream: Any, then: Callable[[Any], Any]) -> Any:
        """Read all of *then* of a stream within its block."""
        if self.blocks:

            def read() -> Any:
                with stream as entered:
                    return list(then(entered))

            return await in_thread(read)
        async with stream as entered:
            return [thing async for thing in then(entered)]

    async def close(self) -> None:
        await self.do(self.client.close)


class Line:
    """A TCP line to a server, cut after as many bytes as its budget says."""

    def __init__(self, address: str, budget: Budget) -> None:
        self.cuts = 0
        self.connections = 0
        self._to = urlsplit(address)
        self._budget = budget
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert self._to.hostname
        assert self._to.port
        far, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        asking = asyncio.create_task(_pass(reader, back, None))
        try:
            cut = await _pass(far, writer, self._budget())
            self.cuts += cut
        finally:
            asking.cancel()
            # At once, so that nothing that is still on its way arrives.
            writer.transport.abort()
            back.transport.abort()
            await asyncio.gather(asking, return_exceptions=True)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None
) -> bool:
    """Pass bytes on until there are no more, or *budget* is used up; tell which."""
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            if budget is not None:
                piece = piece[:budget]
                budget -= len(piece)
            writer.write(piece)
            await writer.drain()
            if budget == 0:
                return True
    return False


@asynccontextmanager
async def line_to(address: str, budget: Budget) -> AsyncIterator[tuple[Line, str]]:
    """Give a line to the server, and its near end."""
    line = Line(address, budget)
    near = await line.open()
    try:
        yield line, near
    finally:
        await line.close()


def anywhere(seed: int) -> Budget:
    """Return a budget that cuts at random: within a head, among words, far on."""
    chance = random.Random(seed)
    return lambda: 1 + int(chance.expovariate(1 / chance.choice((600, 3_000, 20_000))))

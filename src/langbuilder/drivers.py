"""The two ways to carry out steps: blocking the thread, or awaited."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, assert_never

import httpx
import msgspec

from langbuilder.errors import (
    ConfigurationError,
    ConnectionFailedError,
    TimedOutError,
)
from langbuilder.steps import (
    Alone,
    Apart,
    Close,
    Deed,
    Give,
    More,
    Pause,
    Send,
    Steps,
    Want,
)
from langbuilder.wire import ERRORS, Answer, Body, Call

UNSENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
"""Failures before anything of the request has left."""


class Ended(msgspec.Struct, frozen=True):
    """Steps have come to their end, with a value."""

    value: Any


class Blocking:
    """Carries out steps in the thread that asks; many threads may ask at once."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._alone = threading.Lock()

    def run[T](self, steps: Steps[T]) -> T:
        """Carry out *steps* to their end."""
        end = self.go_on(steps)
        assert isinstance(end, Ended)  # noqa: S101 - what gives items is iterated over
        value: T = end.value
        return value

    def go_on(
        self, steps: Steps[Any], thrown: BaseException | None = None
    ) -> Ended | Give:
        """Carry out *steps* until they give items or end; *thrown* happens to them."""
        move = _first(steps, thrown)
        while True:
            try:
                want = move()
            except StopIteration as end:
                return Ended(end.value)
            if isinstance(want, Give):
                return want
            try:
                move = partial(steps.send, self._meet(want))
            except BaseException as error:  # noqa: BLE001 - it happens to the steps, and comes out of them
                move = partial(steps.throw, error)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _meet(self, want: Deed) -> Any:
        match want:
            case Send(call):
                return self._send(call)
            case More(answer):
                with _told(answer.call):
                    return next(answer.pieces.iterator, None)
            case Close(answer):
                answer.pieces.response.close()
            case Pause(seconds):
                time.sleep(seconds)
            case Apart(work):
                return work()
            case Alone(steps):
                with self._alone:
                    return self.run(steps)
            case _:
                assert_never(want)
        return None

    def _send(self, call: Call) -> Answer:
        request = _request(self._http, call, _pieces)
        with _told(call):
            response = self._http.send(request, stream=True)
            if call.opened and response.status_code < ERRORS:
                pieces = Pieces(response, response.iter_bytes())
                return _answer(call, response, pieces)
            try:
                response.read()
            finally:
                response.close()
        return _answer(call, response)


class Awaiting:
    """Carries out steps on asyncio's loop; many tasks may ask at once."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._alone = asyncio.Lock()

    async def run[T](self, steps: Steps[T]) -> T:
        """Carry out *steps* to their end."""
        end = await self.go_on(steps)
        assert isinstance(end, Ended)  # noqa: S101 - what gives items is iterated over
        value: T = end.value
        return value

    async def go_on(
        self, steps: Steps[Any], thrown: BaseException | None = None
    ) -> Ended | Give:
        """Carry out *steps* until they give items or end; *thrown* happens to them."""
        move = _first(steps, thrown)
        while True:
            try:
                want = move()
            except StopIteration as end:
                return Ended(end.value)
            if isinstance(want, Give):
                return want
            try:
                move = partial(steps.send, await self._meet(want))
            except BaseException as error:  # noqa: BLE001 - it happens to the steps, and comes out of them
                move = partial(steps.throw, error)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _meet(self, want: Deed) -> Any:
        match want:
            case Send(call):
                return await self._send(call)
            case More(answer):
                with _told(answer.call):
                    return await anext(answer.pieces.iterator, None)
            case Close(answer):
                await answer.pieces.response.aclose()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Apart(work):
                return await asyncio.to_thread(work)
            case Alone(steps):
                async with self._alone:
                    return await self.run(steps)
            case _:
                assert_never(want)
        return None

    async def _send(self, call: Call) -> Answer:
        request = _request(self._http, call, _pieces_apart)
        with _told(call):
            response = await self._http.send(request, stream=True)
            if call.opened and response.status_code < ERRORS:
                pieces = Pieces(response, response.aiter_bytes())
                return _answer(call, response, pieces)
            try:
                await response.aread()
            finally:
                await response.aclose()
        return _answer(call, response)


class Pieces(msgspec.Struct, frozen=True):
    """An answer that is still arriving."""

    response: httpx.Response
    iterator: Any


def _first(steps: Steps[Any], thrown: BaseException | None) -> Callable[[], Want]:
    return partial(next, steps) if thrown is None else partial(steps.throw, thrown)


def _request(
    http: httpx.Client | httpx.AsyncClient,
    call: Call,
    pieces: Callable[[Body], Any],
) -> httpx.Request:
    if http.is_closed:
        raise ConfigurationError("The client is closed: make another one")
    headers = dict(call.headers)
    content: Any = call.content
    if content is not None and not isinstance(content, bytes):
        headers |= content.headers
        content = pieces(content)
    usual = http.timeout
    return http.build_request(
        call.method,
        call.path,
        params=dict(call.query) or None,
        headers=headers,
        content=content,
        timeout=httpx.Timeout(
            connect=usual.connect,
            read=usual.read if call.patience is None else call.patience,
            write=usual.write,
            pool=usual.pool,
        ),
    )


def _pieces(body: Body) -> Iterator[bytes]:
    yield from body.pieces()


async def _pieces_apart(body: Body) -> AsyncIterator[bytes]:
    pieces = body.pieces()
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        pieces.close()


def _answer(
    call: Call, response: httpx.Response, pieces: Pieces | None = None
) -> Answer:
    return Answer(
        call=call,
        status=response.status_code,
        headers=response.headers,
        content=b"" if pieces else response.content,
        pieces=pieces,
    )


@contextmanager
def _told(call: Call) -> Iterator[None]:
    """Say in our words what httpx says of a connection."""
    where = f"{call.method} {call.path}"
    try:
        yield
    except httpx.TimeoutException as error:
        said = f"{where}: no answer in time ({type(error).__name__})"
        raise TimedOutError(said, sent=not isinstance(error, UNSENT)) from error
    except httpx.RequestError as error:
        said = f"{where}: {str(error) or type(error).__name__}"
        raise ConnectionFailedError(said, sent=not isinstance(error, UNSENT)) from error

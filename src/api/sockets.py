"""WebSockets: who is let in, how much they may send, and how each of them ends."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import sqlalchemy.exc
from litestar import WebSocket
from litestar.exceptions import (
    HTTPException,
    WebSocketDisconnect,
    WebSocketException,
)
from litestar.handlers import BaseRouteHandler

from api.lines import Line as HttpLine
from api.problems import Refusal, detail_of
from api.security import (
    ACCESS,
    KEY,
    Connection,
    same_origin,
    scopes_of,
    signed_in,
)
from application.permissions import only_with_scope, person
from application.ports import Actor
from application.sessions import NotSignedInError, Sessions
from domain.kernel import DomainError, Json

log = logging.getLogger(__name__)

type Socket = WebSocket[Any, Any, Any]

LARGEST: Final = 1024 * 1024
"""Bytes of one message, in either direction of a client's."""
OF_ONE: Final = 20
OF_ALL: Final = 2_000
"""Sockets that one user may have open at once, and everybody together."""
WAITING: Final = 64
"""Messages that may wait until the one before has been dealt with."""
SLOW: Final = 20.0
"""Seconds that a client may take to read what was said before."""
TRIES: Final = 3
"""How often a credential is looked at in vain, where the database is away."""

SERVED: Final[dict[str, Any]] = {
    "http": HttpLine,
    "proxy_headers": False,  # it would believe whoever sits at this machine
    "ws_max_size": LARGEST,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
"""What the web server is told: whom not to believe, how large a message may be."""

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
REFUSED: Final = 1008
TOO_BIG: Final = 1009
BROKEN: Final = 1011
TRY_LATER: Final = 1013

AWAY = (
    psycopg.OperationalError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
    OSError,
)


def keep_quiet() -> None:
    """Keep out of the log what would tell of tokens in addresses, keys in headers."""
    for talkative in (
        "uvicorn.access",
        "uvicorn.error",
        "websockets",
        "httpx",
        "httpcore",
    ):
        logging.getLogger(talkative).setLevel(logging.WARNING)


class NotAMessageError(DomainError):
    """What was sent is not a message that is understood here."""


class ClosingError(Exception):
    """A conversation is over: the code of its close frame, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Pace(msgspec.Struct, frozen=True):
    """
    How much a client may send.

    ``burst`` messages and ``bytes_burst`` bytes at once, then so many a second.
    """

    burst: float
    refill: float
    bytes_burst: float = 4 * LARGEST
    bytes_refill: float = LARGEST


class Allowance:
    """What is left of a burst, and comes back with time."""

    def __init__(self, burst: float, refill: float) -> None:
        self._burst = burst
        self._refill = refill
        self._left = burst
        self._at = time.monotonic()

    def takes(self, much: float) -> bool:
        """Take *much* of it; tell whether there was enough."""
        now = time.monotonic()
        refilled = self._left + (now - self._at) * self._refill
        self._left, self._at = min(self._burst, refilled) - much, now
        return self._left >= 0


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """
    How patient this server is with sockets.

    ``idle`` seconds without a word either way end a conversation; every ``look``
    seconds its credential is looked at again. ``each`` is how many sockets one user
    may have open at once, ``all`` how many everybody together.
    """

    idle: float = 900.0
    look: float = 5.0
    each: int = OF_ONE
    all: int = OF_ALL


class Credential(NamedTuple):
    """What somebody showed at the door: looked at again while they stay."""

    kind: Literal["token", "key"]
    text: str


TALK: Final = Pace(burst=20, refill=5)


async def at_the_door(connection: Connection, handler: BaseRouteHandler) -> None:
    """
    Find out who asks, or refuse.

    A socket is refused by code 1008, which its client can only read once it is open.
    """
    if not isinstance(connection, WebSocket):
        await signed_in(connection, handler)
        return
    try:
        credential = _shown(connection)
        sessions: Sessions = connection.app.state.sessions
        actor = await _recognised(sessions, credential)
        only_with_scope(actor, *scopes_of(connection, handler))
        connection.state.credential, connection.state.actor = credential, actor
    except (DomainError, HTTPException) as refused:
        await connection.accept()
        raise WebSocketException(detail=_words(refused), code=REFUSED) from refused


def _shown(connection: Connection) -> Credential:
    """Return the credential: an explicit one before the browser's cookie."""
    query, headers = connection.query_params, connection.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    token = query.get("token") or (bearer if scheme.lower() == "bearer" else "")
    if token:
        return Credential("key" if token.startswith("sk-") else "token", token)
    for name in (KEY, "api_key"):
        if key := query.get(name) or headers.get(name):
            return Credential("key", key)
    cookie = connection.cookies.get(ACCESS)
    if not cookie:
        raise NotSignedInError
    if not _ours(connection):
        raise Refusal(403, "This page may not use the cookie")
    return Credential("token", cookie)


def _ours(connection: Connection) -> bool:
    """Tell whether the page is ours, or one that the operator named."""
    cors = connection.app.cors_config
    origin = connection.headers.get("origin")
    return (cors is not None and origin in cors.allow_origins) or same_origin(
        connection
    )


async def _recognised(
    sessions: Sessions, credential: Credential, *, again: bool = False
) -> Actor:
    if credential.kind == "key":
        return await sessions.key(credential.text, again=again)
    return await sessions.bearer(credential.text)


def _words(refused: DomainError | HTTPException) -> str:
    said = refused.detail if isinstance(refused, HTTPException) else detail_of(refused)
    return str(said)[:100]  # a close frame has room for 123 bytes


class Line:
    """One socket that is open: what is heard on it, and what is said."""

    def __init__(
        self,
        socket: Socket,
        tasks: asyncio.TaskGroup,
        pace: Pace,
        recognise: Callable[[Socket], Awaitable[Actor]],
    ) -> None:
        self.actor: Actor = socket.state.actor
        self.used = time.monotonic()
        self._socket = socket
        self._tasks = tasks
        self._recognise = recognise
        self._messages = Allowance(pace.burst, pace.refill)
        self._bytes = Allowance(pace.bytes_burst, pace.bytes_refill)
        self._heard: asyncio.Queue[str] = asyncio.Queue(WAITING)

    async def renew(self) -> None:
        """Look at the credential again, before something is done in its name."""
        self.actor = await self._recognise(self._socket)

    async def hear(self) -> AsyncGenerator[str]:
        """Yield what the client says, text by text, until it hangs up."""
        while True:
            yield await self._heard.get()

    async def say(self, frame: Json) -> None:
        """Tell the client; wait for one that reads slowly, but not for ever."""
        text = msgspec.json.encode(frame).decode()
        try:
            async with asyncio.timeout(SLOW):
                await self._socket.send_text(text)
        except TimeoutError:
            raise ClosingError(REFUSED, "This client reads too slowly") from None
        self.used = time.monotonic()

    def beside[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do *work* as long as the line is open; if it fails, the line closes."""
        return self._tasks.create_task(work)

    async def listen(self) -> None:
        """Take in what comes, as fast as a client is allowed to send."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(detail="", code=message["code"])
            self.used = time.monotonic()
            text = _text(message)
            if not self._messages.takes(1) or not self._bytes.takes(len(text)):
                raise ClosingError(REFUSED, "Too many messages")
            try:
                self._heard.put_nowait(text)
            except asyncio.QueueFull:
                raise ClosingError(REFUSED, "Too many messages are waiting") from None


def _text(message: Mapping[str, Any]) -> str:
    text = message.get("text")
    if not isinstance(text, str):
        raise ClosingError(UNSUPPORTED, "Only text is understood")
    if len(text) > LARGEST:
        raise ClosingError(TOO_BIG, "This message is too large")
    return text


class Sockets:
    """Holds every socket of this process open, and closes it when its time has come."""

    def __init__(self, sessions: Sessions, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self._sessions = sessions
        self._open: Counter[UUID] = Counter()

    @property
    def open(self) -> int:
        """How many sockets are open."""
        return self._open.total()

    async def hold(
        self,
        socket: Socket,
        converse: Callable[[Line], Awaitable[None]],
        *,
        pace: Pace = TALK,
    ) -> None:
        """Hold *socket* open while *converse* goes on, then close it."""
        await socket.accept()
        try:
            with self._place(person(socket.state.actor)):
                ending = await self._held(socket, converse, pace)
        except ClosingError as full:
            ending = full
        if ending is not None and socket.connection_state != "disconnect":
            await socket.close(ending.code, ending.reason)

    @contextmanager
    def _place(self, user: UUID) -> Iterator[None]:
        if self._open[user] >= self.habits.each or self.open >= self.habits.all:
            raise ClosingError(TRY_LATER, "Too many connections")
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

    async def _held(
        self, socket: Socket, converse: Callable[[Line], Awaitable[None]], pace: Pace
    ) -> ClosingError | None:
        ending: ClosingError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                line = Line(socket, tasks, pace, self._recognised)
                tasks.create_task(line.listen())
                tasks.create_task(self._watch(line))
                await converse(line)
                raise ClosingError(NORMAL, "")  # noqa: TRY301 - it ends the other tasks
        except* ClosingError as endings:
            ending = _first(endings)
        except* WebSocketDisconnect:
            pass  # it has hung up: nobody is left to be told
        except* AWAY as away:
            log.warning("a WebSocket was left alone: %s", away.exceptions[0])
            ending = ClosingError(TRY_LATER, "Try again in a moment")
        except* Exception as failed:
            log.error("a WebSocket failed", exc_info=failed)  # noqa: TRY400 - it would log the group twice
            ending = ClosingError(BROKEN, "Internal Server Error")
        return ending

    async def _watch(self, line: Line) -> None:
        """End what nobody uses, and what its credential no longer opens."""
        failed = 0
        while True:
            await asyncio.sleep(self.habits.look)
            if time.monotonic() - line.used > self.habits.idle:
                raise ClosingError(GOING_AWAY, "Nothing was said for a while")
            try:
                await line.renew()
                failed = 0
            except AWAY:
                failed += 1
                log.warning("a credential cannot be looked at", exc_info=True)
                if failed == TRIES:
                    raise ClosingError(TRY_LATER, "Try again in a moment") from None

    async def _recognised(self, socket: Socket) -> Actor:
        credential: Credential = socket.state.credential
        try:
            return await _recognised(self._sessions, credential, again=True)
        except DomainError as refused:
            raise ClosingError(REFUSED, _words(refused)) from None


def _first(endings: BaseExceptionGroup[ClosingError]) -> ClosingError:
    """Return the first of several reasons: the others came of it."""
    first = endings.exceptions[0]
    return first if isinstance(first, ClosingError) else _first(first)

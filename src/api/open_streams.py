"""Streams end with what opened them: a session, a key, a right."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, override

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import RETRY_SOON, Refusal
from api.security import open_as
from application.ports import Actor, Recorded
from domain.flow.events import AccessChanged, FlowDeleted
from domain.project.events import McpAccessConfigured, ProjectDeleted
from domain.user.events import (
    ApiKeyDisabled,
    ApiKeyRevoked,
    PasswordChanged,
    SignedOut,
    SuperuserRevoked,
    UserDeactivated,
    UserErased,
)

LOOK_AGAIN: Final = 3600.0
"""Seconds at most between two looks at the clock of a key that expires."""
MOST_OPEN: Final = 10_000
"""Requests of everybody that one server answers at once, streams among them."""
POLICY_VIOLATION: Final = 1008
ENDS: Final = frozenset({"http.response.body", "websocket.close"})

_PLACE: Final = "place"

type Ending = Callable[[Actor], bool]
"""Tells whose streams end."""


class _Open:
    """
    A request that is being answered, and may turn out to be a stream.

    Who sent it is not known at first: what is heard until then is kept for when it is.
    """

    def __init__(self, scope: Scope) -> None:
        self.cut = asyncio.Event()
        self._scope = scope
        self._heard: list[Ending] = []
        self._begun = self._over = False
        self._clock: asyncio.TimerHandle | None = None

    def hear(self, ending: Ending) -> None:
        if not self._begun:
            self._heard.append(ending)
        elif (actor := self._actor) is not None and ending(actor):
            self.cut.set()

    def receiving(self, receive: Receive) -> Receive:
        """Return how messages are received: a cut stream looks like one hung up."""

        async def receive_or_end() -> Any:
            if not self._begun:
                return await receive()
            coming = asyncio.ensure_future(receive())
            cutting = asyncio.ensure_future(self.cut.wait())
            try:
                await asyncio.wait(
                    {coming, cutting}, return_when=asyncio.FIRST_COMPLETED
                )
                if not self.cut.is_set():
                    return coming.result()
            finally:
                for task in (coming, cutting):
                    task.cancel()
            return self._hung_up()

        return receive_or_end

    def sending(self, send: Send) -> Send:
        """Return how messages are sent, which tells when a stream begins and ends."""

        async def send_and_note(message: Message) -> None:
            kind = message["type"]
            if kind in {"http.response.start", "websocket.accept"}:
                self._begin()
            elif kind in ENDS and not message.get("more_body"):
                self._over = True
            await send(message)

        return send_and_note

    async def close(self, send: Send) -> None:
        """Tell the client that a stream that was cut has ended."""
        if self._clock is not None:
            self._clock.cancel()
        if not self.cut.is_set() or self._over:
            return
        if self._scope["type"] == ScopeType.HTTP:
            end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
        else:
            end = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""}
        await send(end)

    @property
    def _actor(self) -> Actor | None:
        return self._scope.get("state", {}).get("actor")

    def _begin(self) -> None:
        self._begun = True
        heard, self._heard = self._heard, []
        for ending in heard:
            self.hear(ending)
        self._watch_the_clock()

    def _watch_the_clock(self) -> None:
        actor = self._actor
        if actor is None or actor.expires_at is None:
            return
        left = (actor.expires_at - datetime.now(UTC)).total_seconds()
        if left <= 0:
            self.cut.set()
            return
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(min(left, LOOK_AGAIN), self._watch_the_clock)

    def _hung_up(self) -> Any:
        if self._scope["type"] == ScopeType.HTTP:
            return {"type": "http.disconnect"}
        return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}


class OpenStreams:
    """
    Everything that is being answered, told of what is taken back.

    *each* is how much of one user, or of one address that nobody knows, is answered
    at once; 0 for any number.
    """

    def __init__(self, *, each: int = 0) -> None:
        self._each = each
        self._open: set[_Open] = set()
        self._places: Counter[str] = Counter()

    def hear(self, events: Sequence[Recorded]) -> None:
        """Cut the streams that *events* of the core log take the ground from."""
        for ending in filter(None, map(_ending, events)):
            for one in tuple(self._open):
                one.hear(ending)

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return len(self._open)

    def take_place(self, scope: Scope, who: str) -> None:
        """Count what answers *scope* for *who* until it is over, or refuse."""
        if len(self._open) > MOST_OPEN:
            raise Refusal(503, "The server answers as many as it can", RETRY_SOON)
        if self._each and self._places[who] >= self._each:
            said = f"{self._each} of your requests are being answered; let some end"
            raise Refusal(429, said, RETRY_SOON)
        self._places[who] += 1
        scope["state"][_PLACE] = who

    def _leave_place(self, scope: Scope) -> None:
        who: str | None = scope.get("state", {}).pop(_PLACE, None)
        if who is None:
            return
        self._places[who] -= 1
        if not self._places[who]:
            del self._places[who]

    @contextmanager
    def entered(self, scope: Scope) -> Iterator[_Open]:
        """Keep what answers *scope* in mind until the block ends."""
        one = _Open(scope)
        self._open.add(one)
        try:
            yield one
        finally:
            self._open.discard(one)
            self._leave_place(scope)


class EndingStreams(ASGIMiddleware):
    """Lets streams end as soon as whoever reads them may no longer do so."""

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(self, streams: OpenStreams) -> None:
        self._streams = streams

    @override
    async def handle(
        self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp
    ) -> None:
        """Pass the request on, and end the answer early if need be."""
        with self._streams.entered(scope) as one:
            sending = one.sending(send)
            try:
                await next_app(scope, one.receiving(receive), sending)
            finally:
                await one.close(sending)


def _ending(recorded: Recorded) -> Ending | None:
    match recorded.event:
        case ApiKeyRevoked(key=one) | ApiKeyDisabled(key=one) | SignedOut(session=one):
            return lambda actor: actor.credential == str(one)
        case PasswordChanged():  # signs people out; their keys stay
            return lambda actor: actor.user == recorded.stream and not actor.by_key
        case McpAccessConfigured() | ProjectDeleted():
            return lambda actor: actor.credential == f"mcp:{recorded.stream}"
        case FlowDeleted() | AccessChanged(access="PRIVATE"):
            return lambda actor: actor.credential == open_as(recorded.stream)
        case UserDeactivated() | UserErased() | SuperuserRevoked():
            return lambda actor: actor.user == recorded.stream
        case _:
            return None

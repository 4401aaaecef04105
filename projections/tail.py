"""The end of a log as it grows: read once, decoded once, shared by all who follow."""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Protocol

import msgspec

from application.ports import EventStore, Position, Recorded
from domain.kernel import Log

_logger = logging.getLogger(__name__)

PAGE = 1000
POLL = 1.0
WINDOW = 1000

_position = attrgetter("position")


class WakeUps(Protocol):
    """Who tells that a log of this database has grown, by whomever."""

    def on(self, log: Log, callback: Callable[[Log, Position], None]) -> None:
        """Call *callback* whenever *log* may have grown."""
        ...


class Page(msgspec.Struct, frozen=True):
    """Events of a log in order, and the position that one has reached with them."""

    events: Sequence[Recorded]
    upto: int


class Tail:
    """
    Follows one log from where it ended at the start.

    It is woken by appends of this process and by notifications, and looks by itself
    every second in case one was lost. The last events stay in a window, so that
    followers near the head share them; who lags behind it reads the store.
    """

    def __init__(self, store: EventStore, log: Log, *, poll: float = POLL) -> None:
        self.log = log
        self.last = 0
        self.failing = False
        self._store = store
        self._poll = poll
        self._floor = 0
        self._window: list[Recorded] = []
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[Sequence[Recorded]], None]] = []
        self._task: asyncio.Task[None] | None = None

    def told(self, log: Log, position: Position) -> None:
        """Look now, unless all up to *position* was read (zero: nobody knows)."""
        place = getattr(position, log)
        if log == self.log and (place > self.last or not place):
            self._wake.set()

    def subscribe(self, listener: Callable[[Sequence[Recorded]], None]) -> None:
        """Call *listener* with each page as it arrives; it must be quick."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Sequence[Recorded]], None]) -> None:
        """Call *listener* no more."""
        self._listeners.remove(listener)

    async def start(self) -> None:
        """Begin at the head of the log."""
        head = await self._store.head()
        self.last = self._floor = getattr(head, self.log)
        self._task = asyncio.create_task(self._run(), name=f"tail of {self.log}")

    async def stop(self) -> None:
        """Follow the log no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def after(self, position: int, *, limit: int = PAGE) -> Page:
        """Return the events after *position*; an empty page says: that was all."""
        floor = self._floor
        if position < floor:
            events = await self._store.read_log(self.log, after=position, limit=limit)
            if len(events) < limit:
                # Below where the window began before the read, nothing else exists.
                return Page(events, max(floor, _end(events, position)))
            return Page(events, _end(events, position))
        first = bisect_right(self._window, position, key=_position)
        events = self._window[first : first + limit]
        if first + limit < len(self._window):
            return Page(events, _end(events, position))
        return Page(events, max(self.last, position))

    async def _run(self) -> None:
        pause = 0.0
        while True:
            try:
                await self._catch_up()
                pause = 0.0
                self.failing = False
            except Exception:
                self.failing = True
                # Whatever the store's trouble is, giving up would freeze all views.
                pause = min(1.0, pause * 2 or 0.05)
                _logger.exception("Reading the %s log failed; trying again", self.log)
                await asyncio.sleep(pause)
                continue
            try:
                async with asyncio.timeout(self._poll):
                    await self._wake.wait()
            except TimeoutError:
                self._forget()

    def _forget(self) -> None:
        """Drop the window in a quiet moment: events may hold whole documents."""
        self._window.clear()
        self._floor = self.last

    async def _catch_up(self) -> None:
        self._wake.clear()
        while True:
            events = await self._store.read_log(self.log, after=self.last, limit=PAGE)
            if not events:
                return
            self._window += events
            self.last = events[-1].position
            if len(self._window) > WINDOW:
                dropped = len(self._window) - WINDOW
                self._floor = self._window[dropped - 1].position
                del self._window[:dropped]
            for listener in tuple(self._listeners):
                listener(events)
            if len(events) < PAGE:
                return
            await asyncio.sleep(0)


def _end(events: Sequence[Recorded], position: int) -> int:
    return events[-1].position if events else position


def connect(
    tails: Sequence[Tail], store: EventStore, listener: WakeUps | None
) -> Callable[[], None]:
    """
    Wake *tails* by what *store* appends here and *listener* hears from elsewhere.

    Return what undoes it.
    """
    told: list[Callable[[Log, Position], None]] = getattr(store, "on_append", [])
    for tail in tails:
        told.append(tail.told)
        if listener is not None:
            listener.on(tail.log, tail.told)

    def disconnect() -> None:
        for tail in tails:
            told.remove(tail.told)

    return disconnect

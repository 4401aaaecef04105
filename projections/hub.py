"""Any number of readers of any run, from any version, on one tail of the log."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from application.ports import EventStore, Recorded
from domain.run.events import RunCancelled, RunFailed, RunForgotten, RunSucceeded
from projections.tail import Tail, WakeUps, connect

ROOM = 256
"""How many events may wait for one slow reader; after that it reads the store."""
PAGE = 500

ENDS = (RunSucceeded, RunFailed, RunCancelled)


class _Ear:
    """What one reader has still to hear."""

    def __init__(self) -> None:
        self._heard: deque[Recorded] = deque()
        self._overflown = False
        self._wake = asyncio.Event()

    def offer(self, recorded: Recorded) -> None:
        if len(self._heard) >= ROOM:
            self._overflown = True
            self._heard.clear()
        if not self._overflown:
            self._heard.append(recorded)
        self._wake.set()

    async def next(self) -> Recorded | None:
        """Return the next event, or ``None`` when some had to be left out."""
        while not self._heard and not self._overflown:
            self._wake.clear()
            await self._wake.wait()
        if self._overflown:
            self._overflown = False
            return None
        return self._heard.popleft()


class RunHub:
    """Lets readers follow single streams of the runs log, each event once, in order."""

    def __init__(
        self,
        store: EventStore,
        listener: WakeUps | None = None,
        *,
        tail: Tail | None = None,
    ) -> None:
        self._store = store
        self._listener = listener
        self._shared = tail is not None
        self._tail = tail or Tail(store, "runs")
        self._ears: dict[UUID, set[_Ear]] = {}
        self._disconnect: Callable[[], None] | None = None

    async def start(self) -> None:
        """Begin to listen; a tail that is shared is started by its owner."""
        self._tail.subscribe(self._tell)
        if not self._shared:
            self._disconnect = connect([self._tail], self._store, self._listener)
            await self._tail.start()

    async def stop(self) -> None:
        """Listen no more."""
        self._tail.unsubscribe(self._tell)
        if self._disconnect is not None:
            self._disconnect()
            await self._tail.stop()

    async def follow(
        self, run_id: UUID, *, after_version: int = 0
    ) -> AsyncGenerator[Recorded]:
        """
        Yield a run's events after *after_version* up to its end, as they come.

        A version that the run has not reached is taken for zero. Close it
        (``contextlib.aclosing``) when leaving early.
        """
        with self._listening(run_id) as ear:
            version = await self._existing(run_id, after_version)
            if version < 0:
                return
            while True:
                async for recorded in self._replay(run_id, version):
                    version = recorded.version
                    yield recorded
                    if isinstance(recorded.event, ENDS):
                        return
                while (heard := await ear.next()) is not None:
                    if heard.version <= version:
                        continue
                    if heard.version > version + 1:
                        break  # the tail began later than this reader: read again
                    version = heard.version
                    yield heard
                    if isinstance(heard.event, ENDS):
                        return

    @property
    def readers(self) -> int:
        """How many follow a run now."""
        return sum(len(ears) for ears in self._ears.values())

    async def _existing(self, run_id: UUID, after_version: int) -> int:
        """Return where to begin; less than zero when the run ended right there."""
        if after_version <= 0:
            return 0
        last = await self._store.read_stream(
            "runs", run_id, after=after_version - 1, limit=1
        )
        if not last:
            return 0
        over = isinstance(last[0].event, (*ENDS, RunForgotten))
        return -1 if over else after_version

    async def _replay(self, run_id: UUID, version: int) -> AsyncGenerator[Recorded]:
        while True:
            page = await self._store.read_stream(
                "runs", run_id, after=version, limit=PAGE
            )
            for recorded in page:
                version = recorded.version
                yield recorded
            if len(page) < PAGE:
                return

    @contextmanager
    def _listening(self, run_id: UUID) -> Iterator[_Ear]:
        ear = _Ear()
        self._ears.setdefault(run_id, set()).add(ear)
        try:
            yield ear
        finally:
            ears = self._ears[run_id]
            ears.discard(ear)
            if not ears:
                del self._ears[run_id]

    def _tell(self, events: Sequence[Recorded]) -> None:
        if self._ears:
            for recorded in events:
                for ear in self._ears.get(recorded.stream, ()):
                    ear.offer(recorded)

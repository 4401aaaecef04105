"""The one pen that writes a run's stream: in order, fenced, and tried again."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID, uuid4

import msgspec

from application.ports import (
    Attached,
    Cause,
    ConcurrencyError,
    Content,
    EventStore,
    Position,
    StoreBusyError,
)
from domain.run.run import Run, RunEndedError
from domain.thread.thread import Thread

TRIES = 5
BUSY_PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0, 5.0)
"""Seconds to wait, one after the other, for a store that has too much to write."""

NOTHING = Attached()

type Decision = Callable[[Run], None]


class RunTakenError(Exception):
    """The run has ended, or another worker has it: whatever we did is discarded."""


class CancelAskedError(Exception):
    """Somebody asked for the run to be cancelled, on whatever server."""


class GroundLostError(Exception):
    """What every run stands on has failed: no component's doing."""


FROM_OUTSIDE = (RunTakenError, CancelAskedError, GroundLostError)
"""What ends a run from outside, and is never the fault of the vertex it reached."""


@contextmanager
def on_firm_ground() -> Iterator[None]:
    """Keep failures of the server itself apart from those of components."""
    try:
        yield
    except FROM_OUTSIDE:
        raise
    except Exception as error:
        raise GroundLostError(str(error)) from error


class Post(msgspec.Struct, frozen=True):
    """A message on its way into a thread, which takes it wherever it stands."""

    thread: UUID
    decide: Callable[[Thread], None]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one step writes: decisions, what they refer to, and what was said."""

    decisions: tuple[Decision, ...]
    contents: tuple[Content, ...] = ()
    posts: tuple[Post, ...] = ()


class Journal:
    """
    Appends a run's steps one at a time.

    If somebody else wrote in between, the tail decides: a later claim or an end
    stops us, a cancel request stops the run, anything else is stepped over.
    """

    def __init__(
        self, store: EventStore, run: Run, *, worker: str, cause: Cause
    ) -> None:
        self.run_id = run.id
        self.position = Position()
        self.closing = False
        self._store = store
        self._run = run
        self._worker = worker
        self._cause = cause
        self._turn = asyncio.Lock()
        self._sure = True

    @property
    def version(self) -> int:
        """The version of the stream up to which we know it."""
        return self._run.stored_version

    @property
    def claimed(self) -> bool:
        """Whether a worker has the run."""
        return self._run.worker is not None

    @property
    def ended(self) -> Run | None:
        """The run, if it is known here that it has ended."""
        return self._run if self._sure and self._run.ended else None

    async def write(self, entry: Entry, *, attached: Attached = NOTHING) -> None:
        """Append *entry*, or raise one of `FROM_OUTSIDE`."""
        async with self._turn:
            for _ in range(TRIES):
                try:
                    await self._append(entry, attached)
                except ConcurrencyError:
                    continue
                else:
                    return
        raise GroundLostError(f"run {self.run_id} is written by too many")

    async def end(self, entry: Entry) -> bool:
        """
        Append *entry*, which ends the run, unless something has ended it already.

        Asked-for cancels do not hinder it: the run ends all the same.
        """
        attached = Attached(unleased=(self.run_id,))
        self.closing = True
        async with self._turn:
            for _ in range(TRIES):
                try:
                    await self._append(entry, attached, ending=True)
                except RunTakenError:
                    return False
                except ConcurrencyError:
                    continue
                else:
                    return True
        return False

    async def _append(
        self, entry: Entry, attached: Attached, *, ending: bool = False
    ) -> None:
        if not self._sure:
            with on_firm_ground():
                await self._catch_up(ending=ending)
        # Until the save has answered, memory and log may disagree: a save that was
        # cancelled or refused leaves us to read again.
        self._sure = False
        try:
            for decide in entry.decisions:
                decide(self._run)
        except RunEndedError:
            raise RunTakenError(self.run_id) from None
        contents = (*attached.contents, *entry.contents)
        await self._patiently(
            msgspec.structs.replace(attached, contents=contents),
            _said(entry.posts, owner=self._run.owner),
        )
        self._sure = True

    async def _patiently(self, attached: Attached, threads: Sequence[Thread]) -> None:
        cause = msgspec.structs.replace(
            self._cause,
            command_id=uuid4(),
            causation_id=self._cause.command_id,
            request_hash=b"",
            idempotent=False,
        )
        pauses = iter(BUSY_PAUSES)
        while True:
            try:
                saved = await self._store.save(
                    self._run, cause=cause, attached=attached, anywhere=threads
                )
            except ConcurrencyError:
                raise
            except StoreBusyError as error:
                pause = next(pauses, None)
                if pause is None:
                    raise GroundLostError(error.sentence) from error
                await asyncio.sleep(pause)
            except Exception as error:
                raise GroundLostError(str(error)) from error
            else:
                self.position = saved.position
                return

    async def _catch_up(self, *, ending: bool) -> None:
        self._run = await self._store.load(Run, self.run_id)
        if self._run.ended or self._run.worker not in (None, self._worker):
            raise RunTakenError(self.run_id)
        if self._run.cancel_requested and not ending:
            raise CancelAskedError(self.run_id)


def _said(posts: Sequence[Post], *, owner: UUID) -> list[Thread]:
    threads: dict[UUID, Thread] = {}
    for post in posts:
        thread = threads.setdefault(post.thread, Thread(post.thread, owner=owner))
        post.decide(thread)
    return list(threads.values())

"""Watching a run: its events and words as they come, through every cut."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final
from uuid import UUID

from langbuilder.drivers import Awaiting, Blocking
from langbuilder.errors import (
    ConnectionFailedError,
    LangBuilderError,
    RefusalError,
    RunCancelledError,
    RunFailedError,
)
from langbuilder.events import RunFailed, RunSucceeded, StreamEvent, TextDelta
from langbuilder.following import Follower, Frames, GapError
from langbuilder.listing import Cursor
from langbuilder.operations import Resource, operation
from langbuilder.results import Result
from langbuilder.sending import PASSING, Sending
from langbuilder.steps import Close, Give, More, Pause, Steps
from langbuilder.wire import Call, at, command

NO_CONTENT: Final = 204
SILENCE: Final = 45.0
"""Seconds without a byte, three heartbeats, after which a connection counts as dead."""

LOST: Final = "The stream of the run breaks off again and again"
PATIENCE: Final = 120.0
"""Seconds of pauses in a row without anything new, after which a reader gives up."""


class _AbandonedError(Exception):
    """Whoever read this has left."""


class RunStream[D](Resource[D]):
    """
    What happens in one run, from anywhere in it to its end.

    Iterate over it for events, or over `text` for the words of the answer alone.
    When the connection is cut, it goes on where it was: nothing is lost and nothing
    comes twice. Use it in a ``with`` (or ``async with``) block, at whose end the
    connection is closed; the run goes on whether somebody reads or not.
    """

    def __init__(
        self,
        driver: D,
        sending: Sending,
        begin: Callable[[], Steps[UUID]],
        *,
        after: int = 0,
    ) -> None:
        super().__init__(driver, sending)
        self._begin = begin
        self._after = after
        self._follower: Follower | None = None
        self._cursor = Cursor[D, StreamEvent](driver, self._follow())

    @property
    def run_id(self) -> UUID:
        """The id of the run, once it was asked for."""
        return self._known().run_id

    @property
    def version(self) -> int:
        """The place in the run of the last event that was read."""
        return self._known().version

    @property
    def result(self) -> Result:
        """
        What the run came to, once all of it was read.

        Raise `RunFailedError` or `RunCancelledError` if it ended otherwise.
        """
        match self._known().end:
            case RunSucceeded(result=result):
                return result
            case RunFailed(reason=reason, message=message):
                raise RunFailedError(message, run_id=self.run_id, reason=reason)
            case None:
                raise LangBuilderError("The run has not been read to its end")
            case _:
                said = f"Run {self.run_id} was cancelled"
                raise RunCancelledError(said, run_id=self.run_id)

    @property
    def text(self) -> "Words[D]":
        """The words that machines say, piece by piece; together they are the text."""
        return Words(self)

    @operation
    def wait(self) -> Steps[Result]:
        """Read to the end of the run, and return what it came to."""
        yield from self._follow(give=False)
        return self.result

    @operation
    def cancel(self) -> Steps[None]:
        """Cancel the run; the stream then tells its end."""
        yield from self._started()
        path = at("/api/v1/build/{}/cancel", self.run_id)
        yield from self._send(command("POST", path))

    def __iter__(self: "RunStream[Blocking]") -> Iterator[StreamEvent]:
        return iter(self._cursor)

    def __enter__(self: "RunStream[Blocking]") -> "RunStream[Blocking]":
        self._driver.run(self._started())
        return self

    def __exit__(
        self: "RunStream[Blocking]",
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self: "RunStream[Blocking]") -> None:
        """Stop reading; the run goes on."""
        with suppress(_AbandonedError):
            self._driver.go_on(self._cursor.steps, _AbandonedError())

    def __aiter__(self: "RunStream[Awaiting]") -> AsyncIterator[StreamEvent]:
        return aiter(self._cursor)

    async def __aenter__(self: "RunStream[Awaiting]") -> "RunStream[Awaiting]":
        await self._driver.run(self._started())
        return self

    async def __aexit__(
        self: "RunStream[Awaiting]",
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self: "RunStream[Awaiting]") -> None:
        """Stop reading; the run goes on."""
        with suppress(_AbandonedError):
            await self._driver.go_on(self._cursor.steps, _AbandonedError())

    def _known(self) -> Follower:
        if self._follower is None:
            raise LangBuilderError("The run has not been asked for yet")
        return self._follower

    def _started(self) -> Steps[Follower]:
        if self._follower is None:
            run_id = yield from self._begin()
            self._follower = Follower(run_id, after=self._after)
        return self._follower

    def _follow(self, *, give: bool = True) -> Steps[None]:
        """Read to the end of the run, over as many connections as that takes."""
        follower = yield from self._started()
        retries = self._sending.retries
        failures, paused = 0, 0.0
        while follower.end is None:
            seen = follower.seen
            trouble: LangBuilderError | None = None
            try:
                over = yield from self._read_on(follower, give=give)
            except ConnectionFailedError as error:
                over, trouble = False, error
            except RefusalError as error:
                if error.status not in PASSING:
                    raise
                over, trouble = False, error
            if over or follower.end is not None:
                return
            if follower.seen != seen:
                failures, paused = 0, 0.0
            failures += 1
            pause = retries.pause(failures)
            paused += pause
            if paused > PATIENCE:
                raise trouble or ConnectionFailedError(LOST, sent=True)
            yield Pause(pause)

    def _read_on(self, follower: Follower, *, give: bool) -> Steps[bool]:
        """Read over one connection; tell whether there is nothing more to come."""
        answer = yield from self._send(_asking(follower))
        frames = Frames()
        ours = True
        try:
            if answer.status == NO_CONTENT:
                return True
            while follower.end is None:
                piece = yield More(answer)
                if piece is None:
                    return False
                events: list[StreamEvent] = []
                try:
                    for frame in frames.feed(piece):
                        events += follower.take(frame)
                except GapError:
                    return False
                finally:
                    if events and give:
                        yield Give(events)
        except GeneratorExit:
            ours = False  # nobody is left who could close it in an orderly way
            raise
        finally:
            if ours:
                yield Close(answer)
        return True


class Words[D]:
    """The words of a run: iterate over them, with ``for`` or ``async for``."""

    def __init__(self, stream: RunStream[D]) -> None:
        self._stream = stream

    def __iter__(self: "Words[Blocking]") -> Iterator[str]:
        for event in self._stream:
            if isinstance(event, TextDelta):
                yield event.text

    async def __aiter__(self: "Words[Awaiting]") -> AsyncIterator[str]:
        async for event in self._stream:
            if isinstance(event, TextDelta):
                yield event.text


def _asking(follower: Follower) -> Call:
    seen = {"last-event-id": str(follower.version)} if follower.version else {}
    return Call(
        method="GET",
        path=at("/api/v1/runs/{}/events", follower.run_id),
        headers={"accept": "text/event-stream"} | seen,
        patience=SILENCE,
        opened=True,
    )

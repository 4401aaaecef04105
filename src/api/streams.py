"""Streams of one run: any number of readers, each from any position, to its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol
from uuid import UUID

import msgspec

from api.chat_events import BuildEvents, Frame, RunStreamEvents, content_of
from api.hearing import Hearing
from application.execution.speech import Opened, Token, Word, channel, read
from application.ports import Contents, Freshness, Position, Recorded, Signals
from domain.catalogue import tag_of
from domain.run.events import MessageEmitted, RunCancelled, RunFailed, RunSucceeded

log = logging.getLogger(__name__)

ENDS = (RunSucceeded, RunFailed, RunCancelled)
HEARTBEAT = 15.0
SETTLE = 2.0
"""Seconds that an end waits for the read models, so that what it ends can be read."""
PENDING = 64
TRIES = 5
KEPT = 512
FRESH = 2.0
NEW_LINES = b"\n\n"


type Arrivals = asyncio.Queue[Recorded | Word | Exception | None]
"""What the pumps bring a reader; ``None`` when no event will follow."""


class Hub(Protocol):
    """Where a run's events come from: stored ones first, then as they happen."""

    def follow(
        self, run_id: UUID, *, after_version: int = 0
    ) -> AsyncGenerator[Recorded]: ...


class Teller(Protocol):
    """Turns events and words into frames."""

    def hear(self, word: Word) -> list[Frame]: ...

    def tell(self, recorded: Recorded, content: bytes | None) -> list[Frame]: ...


class Told(msgspec.Struct, frozen=True):
    """Frames, and the version of the run's stream that they follow from."""

    version: int
    frames: list[Frame]


class _Opened:
    """Contents opened a moment ago: readers of one run ask for the same ones."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._kept: dict[UUID, asyncio.Task[bytes | None]] = {}

    async def get(self, content: UUID) -> bytes | None:
        task = self._kept.get(content)
        if task is None:
            task = self._kept[content] = asyncio.create_task(self._open(content))
            asyncio.get_running_loop().call_later(FRESH, self._kept.pop, content, None)
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return await asyncio.shield(task)

    async def _open(self, content: UUID) -> bytes | None:
        return (await self._contents.open([content])).get(content)


class RunStreams:
    """Every way of watching a run; to stop reading stops nothing else."""

    def __init__(
        self, hub: Hub, contents: Contents, signals: Signals, freshness: Freshness
    ) -> None:
        self._hub = hub
        self._signals = signals
        self._freshness = freshness
        self._opened = _Opened(contents)

    def build_events(self, run: UUID) -> AsyncGenerator[bytes]:
        """Yield the lines of ``/build/…/events``: JSON, then two new lines."""
        return self._lines(run, BuildEvents())

    def run_stream(self, run: UUID) -> AsyncGenerator[bytes]:
        """Yield the lines of ``POST /run?stream=true``."""
        return self._lines(run, RunStreamEvents())

    async def events(self, run: UUID, *, after: int = 0) -> AsyncGenerator[bytes]:
        """Yield server-sent events: ids are versions, with a comment as heartbeat."""
        yield b"retry: 1000\n\n"
        async with aclosing(self._merged(run, after=after)) as merged:
            async for item in with_heartbeat(merged):
                if item is None:
                    yield b": still here\n\n"
                elif isinstance(item, Recorded):
                    yield await self._as_sse(item)
                elif isinstance(item, Token):
                    yield (
                        b"event: token\ndata: " + msgspec.json.encode(item) + NEW_LINES
                    )

    async def watch(self, run: UUID) -> AsyncGenerator[Recorded | Word]:
        """
        Yield a run's events and the words between them, to its end.

        The last event comes once the read models show what it ends.
        """
        async with aclosing(self._merged(run)) as merged:
            async for item in merged:
                if isinstance(item, Recorded):
                    await self._settle(item)
                yield item

    async def told(self, run: UUID, teller: Teller) -> AsyncGenerator[Told]:
        """Yield what *teller* says of a run, from its beginning."""
        version = 0
        async with aclosing(self.watch(run)) as watched:
            async for item in watched:
                if isinstance(item, Recorded):
                    version = item.version
                    frames = teller.tell(item, await self._content(item))
                else:
                    frames = teller.hear(item)
                if frames:
                    yield Told(version, frames)

    async def _lines(self, run: UUID, teller: Teller) -> AsyncGenerator[bytes]:
        async with aclosing(self.told(run, teller)) as stream:
            async for told in stream:
                for frame in told.frames:
                    yield line(frame)

    async def _as_sse(self, recorded: Recorded) -> bytes:
        await self._settle(recorded)
        tag = tag_of(type(recorded.event))
        payload = msgspec.to_builtins(recorded.event)
        payload.pop("$tag", None)
        content = await self._content(recorded)
        data = {
            "version": recorded.version,
            "type": tag,
            "at": recorded.at,
            "data": payload,
            "content": None if content is None else msgspec.Raw(content),
        }
        head = f"id: {recorded.version}\nevent: {tag}\ndata: ".encode()
        return head + msgspec.json.encode(data) + NEW_LINES

    async def _content(self, recorded: Recorded) -> bytes | None:
        ref = content_of(recorded.event)  # type: ignore[arg-type]  # a run's stream
        return None if ref is None else await self._opened.get(ref.id)

    async def _settle(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, ENDS):
            position = Position(runs=recorded.position)
            await self._freshness.reached(position, within=SETTLE)

    async def _merged(
        self, run: UUID, *, after: int = 0
    ) -> AsyncGenerator[Recorded | Word]:
        """
        Yield a run's events and words, each word after the event it followed.

        Words may be lost or late; an event never waits for one. Who comes late hears
        at once what was said of messages that are not finished.
        """
        held: list[Word] = []
        version, hearing = after, Hearing()
        async with (
            self._pumped(run, after) as queue,
            aclosing(_gathered(queue)) as arrivals,
        ):
            async for item in arrivals:
                if not isinstance(item, Recorded):
                    held += [one for one in item if one.at > version]
                    for word in hearing.take(one for one in item if one.at <= version):
                        yield word
                    continue
                for word in hearing.take(one for one in held if one.at < item.version):
                    yield word
                version = item.version
                if isinstance(item.event, MessageEmitted):
                    hearing.finish(str(item.event.message))
                yield item
                if isinstance(item.event, ENDS):
                    return
                for word in hearing.take(one for one in held if one.at == version):
                    yield word
                held = [one for one in held if one.at > version]

    @asynccontextmanager
    async def _pumped(self, run: UUID, after: int) -> AsyncIterator[Arrivals]:
        queue: Arrivals = asyncio.Queue(PENDING)
        listening = asyncio.Event()
        pumps = [
            asyncio.create_task(self._pump_words(run, after, queue, listening)),
            asyncio.create_task(self._pump_events(run, after, queue, listening)),
        ]
        try:
            yield queue
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_words(
        self,
        run: UUID,
        after: int,
        queue: Arrivals,
        listening: asyncio.Event,
    ) -> None:
        finished: set[str] | None = None
        try:
            async with self._signals.listen(channel(run)) as words:
                listening.set()
                async for said in words:
                    word = read(said)
                    if word.at < after:  # its message may have been finished since
                        if finished is None:
                            finished = await self._finished(run, after)
                        if word.of in finished:
                            continue
                    await queue.put(word)
        except Exception:
            log.warning("tokens of run %s cannot be heard", run, exc_info=True)
        finally:
            listening.set()

    async def _finished(self, run: UUID, upto: int) -> set[str]:
        """Return the messages that were finished by version *upto*."""
        found: set[str] = set()
        async with aclosing(self._hub.follow(run)) as events:
            async for recorded in events:
                if isinstance(recorded.event, MessageEmitted):
                    found.add(str(recorded.event.message))
                if recorded.version >= upto:
                    break
        return found

    async def _pump_events(
        self,
        run: UUID,
        after: int,
        queue: Arrivals,
        listening: asyncio.Event,
    ) -> None:
        await listening.wait()
        failures = 0
        while True:
            try:
                async with aclosing(
                    self._hub.follow(run, after_version=after)
                ) as events:
                    async for recorded in events:
                        after, failures = recorded.version, 0
                        await queue.put(recorded)
            except Exception as error:  # noqa: BLE001 - a lost database connection; read on where we stopped
                failures += 1
                if failures == TRIES:
                    await queue.put(error)
                    return
                await asyncio.sleep(0.2 * failures)
            else:
                await queue.put(None)
                return


async def _gathered(queue: Arrivals) -> AsyncGenerator[Recorded | list[Word]]:
    """Yield events one by one, and words together with those waiting behind them."""
    words: list[Word] = []
    while True:
        if words and queue.empty():
            yield words
            words = []
        item = await queue.get()
        if isinstance(item, Opened | Token):
            words.append(item)
            continue
        if words:
            yield words
            words = []
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item


def line(frame: Frame) -> bytes:
    """Return a frame the way LangBuilder writes it."""
    event, data = frame
    return msgspec.json.encode({"event": event, "data": data}) + NEW_LINES


async def with_heartbeat[T](items: AsyncGenerator[T]) -> AsyncGenerator[T | None]:
    """Yield *items*, and ``None`` whenever none has come for a while."""
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT)
            if not done:
                yield None
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming = None
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

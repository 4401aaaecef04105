"""Server-sent events of a reply: what was heard becomes frames, to its end."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar.response import Stream

from api.streams import with_heartbeat
from application.ports import Cause
from application.replies import Replies, Reply
from application.runs import Requested, Runs

DONE: Final = b"data: [DONE]\n\n"
STILL_HERE: Final = b": still here\n\n"
UNBUFFERED: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

type Said = Callable[[str | Reply], Iterable[bytes]]


def sse(frame: Any, *, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = b"" if event is None else f"event: {event}\n".encode()
    return head + b"data: " + msgspec.json.encode(frame) + b"\n\n"


def streamed(frames: AsyncGenerator[bytes], run: UUID) -> Stream:
    """Return the answer that sends *frames* of *run*."""
    return Stream(
        frames,
        media_type="text/event-stream",
        headers=UNBUFFERED | {"X-Run-Id": str(run)},
    )


async def spoken(
    run: UUID,
    replies: Replies,
    say: Said,
    *,
    first: Iterable[bytes] = (),
) -> AsyncGenerator[bytes]:
    """Yield *first*, then what *say* makes of each piece, and the last word."""
    for frame in first:
        yield frame
    async with aclosing(replies.hear(run)) as heard:
        async for piece in with_heartbeat(heard):
            if piece is None:
                yield STILL_HERE
            else:
                for frame in say(piece):
                    yield frame
    yield DONE


async def to_its_only_reader(
    frames: AsyncGenerator[bytes], requested: Requested, runs: Runs, cause: Cause
) -> AsyncGenerator[bytes]:
    """
    Yield *frames*; cancel the run if whoever reads them hangs up before their end.

    A request with an Idempotency-Key may be sent again: its run goes on.
    """
    told = False
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
        told = True
    finally:
        if not told and not cause.idempotent:
            runs.abandon(requested.run, cause=cause)

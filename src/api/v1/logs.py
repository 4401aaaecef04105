"""The last lines of the server's log, for superusers, where the operator keeps them."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, get
from litestar.openapi import ResponseSpec
from litestar.params import FromQuery
from litestar.response import Stream

from api.given import Given
from api.log_lines import Line, LogLines
from api.problems import RETRY_SOON, Refusal
from api.security import ADMIN, superuser
from api.v1.build import UNBUFFERED

EVENT_STREAM: Final = "text/event-stream"
FEW: Final = 10

Lines = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=10**15)]

OFF: Final = {"refuses": (400, 501)}
FOLLOWED: Final = {200: ResponseSpec(str, media_type=EVENT_STREAM, description="Lines")}


class LogController(Controller):
    """Shows the log of this one server process."""

    tags = ("System",)
    guards = (superuser,)
    opt = ADMIN | OFF

    @get("/logs", sync_to_thread=False)
    def lines(
        self,
        *,
        log_lines: Given[LogLines | None],
        lines_before: FromQuery[Lines] = 0,
        lines_after: FromQuery[Lines] = 0,
        timestamp: FromQuery[Moment] = 0,
    ) -> dict[str, str]:
        """
        Show lines of the log, by the millisecond of each.

        Without anything, the last ten.
        """
        kept = _kept(log_lines)
        if lines_before and lines_after:
            raise Refusal(400, "Either lines_before or lines_after, not both")
        if lines_after and not timestamp:
            raise Refusal(400, "lines_after needs a timestamp")
        found = kept.around(timestamp, before=lines_before or FEW, after=lines_after)
        return {str(line.at): line.text for line in found}

    @get("/logs-stream", sync_to_thread=False, responses=FOLLOWED)
    def follow(self, *, log_lines: Given[LogLines | None]) -> Response[Any]:
        """Tell lines of the log as they are written, and that all is quiet."""
        kept = _kept(log_lines)
        if kept.crowded:
            raise Refusal(503, "As many follow the log as may", RETRY_SOON)
        return Stream(_told(kept), media_type=EVENT_STREAM, headers=UNBUFFERED)


def _kept(log_lines: LogLines | None) -> LogLines:
    if log_lines is None:
        raise Refusal(501, "Log retrieval is disabled")
    return log_lines


async def _told(kept: LogLines) -> AsyncGenerator[bytes]:
    async for line in kept.follow():
        yield b"keepalive\n\n" if line is None else _json(line)


def _json(line: Line) -> bytes:
    return msgspec.json.encode({str(line.at): line.text}) + b"\n\n"

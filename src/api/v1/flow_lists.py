"""Lists of whole flows: read, drawn and packed in parts, so that memory is bounded."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final
from uuid import uuid4

import msgspec
from litestar import Request, Response
from litestar.response import Stream

from api.given import Given
from api.requests import page_of
from api.v1.flow_shapes import FlowRead, shown
from api.zipping import LEVEL, accepts_gzip, gzipped
from application.documents import Documents
from projections.flows.views import TOGETHER, FlowHeader, FlowRow, FlowViews
from projections.reading import Found

AnyRequest = Request[Any, Any, Any]

MOST_TOGETHER: Final = 1_000
"""Flows whose documents are in memory together, however small they are."""
_GZIP: Final = 31

_encoder = msgspec.json.Encoder()


def itself(flows: Any) -> Any:
    """Return a list that is all of the answer."""
    return flows


class WholeFlows:
    """Answers a request with flows and their documents."""

    def __init__(
        self, request: AnyRequest, flow_views: FlowViews, documents: Documents
    ) -> None:
        self._request = request
        self._views = flow_views
        self._documents = documents

    async def told(
        self, heads: Sequence[FlowHeader], *, around: Callable[[Any], Any] = itself
    ) -> Response[Any]:
        """
        Answer with *heads*' flows, within what *around* makes of their list.

        A list that is larger than a few megabytes is streamed.
        """
        if all(head.document is not None for head in heads):
            flows = await self._shown(heads)
            return await gzipped(self._request, around(flows))
        mark = uuid4().hex
        whole = _encoder.encode(around(mark))
        before, _, after = whole.partition(f'"{mark}"'.encode())
        pieces = self._pieces(heads, before=before, after=after)
        headers = {"Vary": "Accept-Encoding"}
        if accepts_gzip(self._request):
            headers["Content-Encoding"] = "gzip"
            pieces = _packed(pieces)
        return Stream(pieces, media_type="application/json", headers=headers)

    async def page(
        self,
        heads: Found[FlowHeader],
        *,
        page: int,
        size: int,
        around: Callable[[Any], Any] = itself,
    ) -> Response[Any]:
        """Answer with a page of flows, within what *around* makes of it."""
        paged = partial(page_of, total=heads.total, page=page, size=size)
        return await self.told(heads, around=lambda flows: around(paged(flows)))

    async def _pieces(
        self, heads: Sequence[FlowHeader], *, before: bytes, after: bytes
    ) -> AsyncGenerator[bytes]:
        yield before + b"["
        separator = b""
        for part in in_parts(heads):
            for flow in await self._shown(part):
                yield separator + _encoder.encode(flow)
                separator = b","
        yield b"]" + after

    async def _shown(self, heads: Sequence[FlowHeader]) -> list[FlowRead]:
        if all(head.document is not None for head in heads):
            rows = [FlowRow(*msgspec.structs.astuple(head)) for head in heads]
        else:
            rows = await self._views.many([head.id for head in heads])
        return await shown(rows, self._documents)


def whole_flows(
    request: AnyRequest, flow_views: Given[FlowViews], documents: Given[Documents]
) -> WholeFlows:
    """Return what answers *request* with flows."""
    return WholeFlows(request, flow_views, documents)


async def _packed(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    packer = zlib.compressobj(LEVEL, wbits=_GZIP)
    async for piece in pieces:
        if packed := await asyncio.to_thread(packer.compress, piece):
            yield packed
    yield packer.flush()


def in_parts(heads: Sequence[FlowHeader]) -> Iterator[list[FlowHeader]]:
    """
    Yield *heads* in parts whose documents may be in memory together.

    A document that is larger than that alone is a part by itself.
    """
    part: list[FlowHeader] = []
    size = 0
    for head in heads:
        full = size + head.size > TOGETHER or len(part) == MOST_TOGETHER
        if part and full:
            yield part
            part, size = [], 0
        part.append(head)
        size += head.size
    if part:
        yield part

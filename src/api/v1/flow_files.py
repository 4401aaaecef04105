"""Flows handed out as one file, read and packed while it is sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
from litestar.response import Stream

from api.archives import ZIP, file_name
from api.v1.flow_lists import in_parts
from api.v1.flow_shapes import exported
from api.zip_stream import Member, unlike, zipped
from application.documents import Documents
from projections.flows.views import FlowHeader, FlowViews


def flows_as_zip(
    heads: Sequence[FlowHeader],
    flow_views: FlowViews,
    documents: Documents,
    *,
    project: str | None = None,
) -> Stream:
    """
    Answer with a zip of *heads*' flows, each as JSON under its own name.

    Clients look for ``filename=`` where the flows were chosen one by one, and for
    ``filename*=`` where they are those of a *project*, whose name people wrote.
    """
    name = f"{datetime.now(UTC):%Y%m%d_%H%M%S}_{project or 'langbuilder'}_flows.zip"
    given = f"*=UTF-8''{quote(name, safe='')}" if project else f"={name}"
    return Stream(
        zipped(_members(heads, flow_views, documents)),
        media_type=ZIP,
        headers={"Content-Disposition": f"attachment; filename{given}"},
    )


async def _members(
    heads: Sequence[FlowHeader], flow_views: FlowViews, documents: Documents
) -> AsyncIterator[Member]:
    shown = unlike(f"{file_name(head.name)}.json" for head in heads)
    names = {head.id: name for head, name in zip(heads, shown, strict=True)}
    for part in in_parts(heads):
        rows = await flow_views.many([head.id for head in part])
        for flow in await exported(rows, documents):
            data = msgspec.json.format(msgspec.json.encode(flow))
            yield Member(names[flow["id"]], len(data), _whole(data))


async def _whole(data: bytes) -> AsyncGenerator[bytes]:
    yield data

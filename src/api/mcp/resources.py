"""Files of flows as MCP's resources: their addresses, and how they are told."""

import base64
import re
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID

import mcp_types as types
from mcp import MCPError

from application.resources import (
    LARGEST,
    FlowFile,
    Read,
    Resources,
    UnknownResourceError,
)
from application.tools import Desk
from domain.kernel import DomainError

NOT_FOUND: Final = -32002
"""The code of MCP for a resource that there is not."""

TEMPLATE: Final = "langbuilder://flows/{flow}/files/{name}{?start,end}"
_ADDRESS: Final = re.compile(
    r"langbuilder://flows/([0-9a-f-]{36})/files/([^/?#]+)"
    r"(?:\?start=(\d{1,15})(?:&end=(\d{1,15}))?)?",
    re.ASCII,
)
_TEXTS: Final = ("text/", "application/json", "application/xml", "application/yaml")


async def listed(
    resources: Resources, desk: Desk, after: str | None
) -> types.ListResourcesResult:
    """Return a page of files as MCP lists them."""
    page = await resources.page(desk, after=after)
    return types.ListResourcesResult(
        resources=[_told(file) for file in page.files], next_cursor=page.after
    )


def templates() -> types.ListResourceTemplatesResult:
    """Return how parts of files are addressed."""
    part = types.ResourceTemplate(
        name="part of a file",
        uri_template=TEMPLATE,
        description="Bytes of a flow's file from start up to end, exclusive; "
        f"at most {LARGEST} in one answer.",
    )
    return types.ListResourceTemplatesResult(resource_templates=[part])


async def read(resources: Resources, desk: Desk, uri: str) -> types.ReadResourceResult:
    """Return what the file at *uri* holds, or raise MCP's error."""
    try:
        flow, name, start, end = _named_by(uri)
        found = await resources.read(desk, flow, name, start=start, end=end)
    except UnknownResourceError as unknown:
        raise MCPError(NOT_FOUND, unknown.sentence) from None
    except DomainError as refused:
        raise MCPError(types.INVALID_REQUEST, refused.sentence) from None
    return types.ReadResourceResult(contents=[_contents(uri, found)])


def _named_by(uri: str) -> tuple[UUID, str, int, int | None]:
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        raise UnknownResourceError
    try:
        flow = UUID(match[1])
    except ValueError:
        raise UnknownResourceError from None
    start, end = int(match[3] or 0), None if match[4] is None else int(match[4])
    return flow, unquote(match[2]), start, end


def _told(file: FlowFile) -> types.Resource:
    return types.Resource(
        name=file.shown_name,
        uri=f"langbuilder://flows/{file.flow}/files/{quote(file.name, safe='')}",
        mime_type=file.media_type,
        size=file.size,
    )


def _contents(
    uri: str, found: Read
) -> types.TextResourceContents | types.BlobResourceContents:
    if found.media_type.startswith(_TEXTS):
        try:
            text = found.data.decode()
        except UnicodeDecodeError:
            pass
        else:
            return types.TextResourceContents(
                uri=uri, mime_type=found.media_type, text=text
            )
    blob = base64.b64encode(found.data).decode()
    return types.BlobResourceContents(uri=uri, mime_type=found.media_type, blob=blob)

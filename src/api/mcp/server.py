"""What this server answers MCP's requests: which tools there are, and their results."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server

from application.ports import Cause
from application.tools import Desk, Said, Step, Tools, UnknownToolError

NAME: Final = "langbuilder"
DESK: Final = "langbuilder.desk"
"""Where in a request's scope stands who asks."""

type Context = ServerRequestContext[dict[str, Any], Any]


def mcp_server(tools: Tools) -> Server[dict[str, Any]]:
    """Return the MCP server that every conversation is held with."""

    async def list_tools(
        context: Context, asked: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        page = await tools.page(_desk(context), after=asked.cursor if asked else None)
        shown = [
            types.Tool(
                name=one.name, description=one.description, input_schema=one.schema
            )
            for one in page.tools
        ]
        return types.ListToolsResult(tools=shown, next_cursor=page.after)

    async def call_tool(
        context: Context, asked: types.CallToolRequestParams
    ) -> types.CallToolResult:
        try:
            said = await _called(tools, context, asked.name, asked.arguments or {})
        except UnknownToolError as unknown:
            raise MCPError(types.INVALID_PARAMS, unknown.sentence) from None
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text) for text in said.texts],
            is_error=said.failed,
        )

    return Server(
        NAME,
        version=version("langbuilder-eventsourced"),
        instructions="Each tool runs a flow and returns what it says.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        # No argument of ours stands in a header: nothing to look up before a call.
        get_tool_input_schema=_no_schema,
    )


def _no_schema(_: str) -> None:
    return None


async def _called(
    tools: Tools, context: Context, name: str, given: Mapping[str, Any]
) -> Said:
    desk = _desk(context)
    cause = Cause(actor=desk.actor, command_id=uuid4(), correlation_id=uuid4())

    async def tell(step: Step) -> None:
        await context.session.report_progress(step.done, step.total, step.words)

    asked_for = "progress_token" in (context.meta or {})
    return await tools.call(
        desk, name, given, cause=cause, tell=tell if asked_for else None
    )


def _desk(context: Context) -> Desk:
    """Return who asks, as the guard of this very request found out."""
    assert context.request is not None  # noqa: S101 - every transport of ours has one
    desk: Desk = context.request.scope[DESK]
    return desk

"""What this server answers MCP's requests: which tools there are, and their results."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server

from api.mcp.resources import listed, read, templates
from application.ports import Cause
from application.resources import Resources
from application.tools import Desk, Said, Step, Tools, UnknownToolError

NAME: Final = "langbuilder"
DESK: Final = "langbuilder.desk"
"""Where in a request's scope stands who asks."""

type Context = ServerRequestContext[dict[str, Any], Any]


def mcp_server(tools: Tools, resources: Resources) -> Server[dict[str, Any]]:
    """Return the MCP server that every conversation is held with."""
    answers = _Answers(tools, resources)
    return Server(
        NAME,
        version=version("langbuilder-eventsourced"),
        instructions="Each tool runs a flow and returns what it says.",
        on_list_tools=answers.list_tools,
        on_call_tool=answers.call_tool,
        on_list_resources=answers.list_resources,
        on_list_resource_templates=_templates,
        on_read_resource=answers.read_resource,
        # No argument of ours stands in a header: nothing to look up before a call.
        get_tool_input_schema=_no_schema,
    )


class _Answers:
    """What is answered to each kind of request."""

    def __init__(self, tools: Tools, resources: Resources) -> None:
        self._tools = tools
        self._resources = resources

    async def list_tools(
        self, context: Context, asked: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        after = asked.cursor if asked else None
        page = await self._tools.page(_desk(context), after=after)
        shown = [
            types.Tool(
                name=one.name, description=one.description, input_schema=one.schema
            )
            for one in page.tools
        ]
        return types.ListToolsResult(tools=shown, next_cursor=page.after)

    async def call_tool(
        self, context: Context, asked: types.CallToolRequestParams
    ) -> types.CallToolResult:
        given = asked.arguments or {}
        try:
            said = await _called(self._tools, context, asked.name, given)
        except UnknownToolError as unknown:
            raise MCPError(types.INVALID_PARAMS, unknown.sentence) from None
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text) for text in said.texts],
            is_error=said.failed,
        )

    async def list_resources(
        self, context: Context, asked: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        after = asked.cursor if asked else None
        return await listed(self._resources, _desk(context), after)

    async def read_resource(
        self, context: Context, asked: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await read(self._resources, _desk(context), str(asked.uri))


async def _templates(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    return templates()


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

"""What runs left: messages, sessions, builds of vertices, transactions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, put
from litestar.params import FromPath, FromQuery, RequestBody

from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers, bounded_page, page_of
from api.v1.message_shapes import Opened, messages_of
from api.v1.users import naive
from application.flows import Flows
from application.messages import MessageChange, Messages
from application.names import Name
from application.permissions import Permissions, person
from application.ports import Actor, Cause, Contents
from domain.kernel import ContentRef, Json
from projections.messages.views import ORDERS, MessageViews
from projections.transactions.views import TransactionRow, TransactionViews
from projections.vertex_builds.views import BuildRow, BuildViews


class MonitorController(Controller):
    """Commands go to `Messages` and `Flows`, questions to the views."""

    path = "/monitor"
    tags = ("Monitor",)

    @get("/messages")
    async def messages(
        self,
        *,
        actor: Given[Actor],
        message_views: Given[MessageViews],
        contents: Given[Contents],
        part: Given[Part],
        flow_id: FromQuery[UUID | None] = None,
        session_id: FromQuery[str | None] = None,
        sender: FromQuery[str | None] = None,
        sender_name: FromQuery[str | None] = None,
        order_by: FromQuery[str] = "timestamp",
    ) -> list[dict[str, Any]]:
        """List one's messages, oldest first; of very many the newest."""
        if order_by not in ORDERS:
            raise Refusal(422, f"order_by is one of {', '.join(ORDERS)}")
        newest_first = order_by == "timestamp"
        found = await message_views.page(
            person(actor),
            flow=flow_id,
            session=None if session_id is None else unquote(session_id),
            sender=sender,
            sender_name=sender_name,
            order=order_by,
            descending=newest_first,
            limit=part.limit,
            offset=part.offset,
        )
        rows = part.told(found)
        return await messages_of(rows[::-1] if newest_first else rows, contents)

    @get("/messages/sessions")
    async def sessions(
        self,
        *,
        actor: Given[Actor],
        message_views: Given[MessageViews],
        part: Given[Part],
        flow_id: FromQuery[UUID | None] = None,
    ) -> list[str]:
        """List the sessions in which something was said."""
        return part.told(
            await message_views.sessions(
                person(actor), flow_id, limit=part.limit, offset=part.offset
            )
        )

    @delete("/messages", status_code=204)
    async def remove(
        self,
        *,
        actor: Given[Actor],
        messages: Given[Messages],
        cause: Given[Cause],
        answers: Given[Answers],
        data: RequestBody[list[UUID] | None] = None,
        session_id: FromQuery[Name | None] = None,
    ) -> None:
        """Remove messages by their ids, or a session; others' are passed over."""
        if session_id is not None:
            done = await messages.remove_session(actor, session_id, cause=cause)
        elif data is not None:
            done = await messages.remove(actor, data, cause=cause)
        else:
            raise Refusal(422, "Say which messages, or which session_id")
        await answers.settle(done.position)

    @put("/messages/{message_id:str}")
    async def edit(
        self,
        *,
        message_id: FromPath[UUID],
        data: RequestBody[MessageChange],
        actor: Given[Actor],
        messages: Given[Messages],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, Any]:
        """Let a message read otherwise."""
        done = await messages.edit(actor, message_id, data, cause=cause)
        await answers.settle(done.position)
        return {k: v for k, v in done.result.items() if k != "duration"}

    @patch("/messages/session/{session:path}")
    async def rename_session(
        self,
        *,
        session: FromPath[str],
        new_session_id: FromQuery[Name],
        actor: Given[Actor],
        messages: Given[Messages],
        message_views: Given[MessageViews],
        contents: Given[Contents],
        part: Given[Part],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> list[dict[str, Any]]:
        """Give a session another name; answer with its messages, oldest first."""
        if not new_session_id:
            raise Refusal(422, "new_session_id cannot be empty")
        done = await messages.rename_session(
            actor, session.removeprefix("/"), new_session_id, cause=cause
        )
        await answers.settle(done.position)
        found = await message_views.page(
            person(actor),
            session=new_session_id,
            descending=True,
            limit=part.limit,
            offset=part.offset,
        )
        return await messages_of(part.told(found)[::-1], contents)

    @delete("/messages/session/{session:path}", status_code=204)
    async def remove_session(
        self,
        *,
        session: FromPath[str],
        actor: Given[Actor],
        messages: Given[Messages],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> None:
        """Remove all that was said in a session."""
        done = await messages.remove_session(
            actor, session.removeprefix("/"), cause=cause
        )
        await answers.settle(done.position)

    @get("/builds")
    async def builds(
        self,
        *,
        flow_id: FromQuery[UUID],
        actor: Given[Actor],
        permissions: Given[Permissions],
        build_views: Given[BuildViews],
        contents: Given[Contents],
        part: Given[Part],
    ) -> dict[str, Any]:
        """Show what each vertex of a flow came to; of no flow of one's own none."""
        if not await permissions.among(actor, "flow", [flow_id]):
            return {"vertex_builds": {}}
        rows = part.told(
            await build_views.latest(flow_id, limit=part.limit, offset=part.offset)
        )
        opened = await contents.open([row.content.id for row in rows])
        return {"vertex_builds": {row.vertex: [_build(row, opened)] for row in rows}}

    @delete("/builds", status_code=204)
    async def clear_builds(
        self,
        *,
        flow_id: FromQuery[UUID],
        actor: Given[Actor],
        flows: Given[Flows],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> None:
        """Clear what the vertices of a flow came to."""
        done = await flows.clear_builds(actor, flow_id, cause=cause)
        await answers.settle(done.position)

    @get("/transactions")
    async def transactions(
        self,
        *,
        flow_id: FromQuery[UUID],
        actor: Given[Actor],
        permissions: Given[Permissions],
        transaction_views: Given[TransactionViews],
        contents: Given[Contents],
        page: FromQuery[int] = 1,
        size: FromQuery[int] = 50,
    ) -> dict[str, Any]:
        """Show which vertex read what, oldest first; of no flow of one's own none."""
        page, size = bounded_page(page, size)
        if not await permissions.among(actor, "flow", [flow_id]):
            return page_of([], total=0, page=page, size=size)
        rows, total = await transaction_views.page(flow_id, page=page, size=size)
        refs = [ref for row in rows for ref in _refs(row)]
        opened = await contents.open([ref.id for ref in refs])
        items = [_transaction(row, opened) for row in rows]
        return page_of(items, total=total, page=page, size=size)


def _build(row: BuildRow, opened: Opened) -> dict[str, Any]:
    content = _content(row.content, opened)
    data = content.get("data") or {}
    return {
        "timestamp": f"{_utc(row.at):%Y-%m-%dT%H:%M:%S.%fZ}",
        "params": content.get("params"),
        "id": row.vertex,
        "flow_id": row.flow_id,
        "artifacts": data.get("artifacts") or {},
        "data": data,
        "valid": row.valid,
        "build_id": row.build_id,
    }


def _transaction(row: TransactionRow, opened: Opened) -> dict[str, Any]:
    content = _content(row.inputs_content, opened)
    # Builds of older servers have no inputs, only what was made of them.
    inputs = content.get("inputs", content.get("params"))
    data = _content(row.outputs_content, opened).get("data") or {}
    outputs: dict[str, Any] = data.get("outputs") or {}
    return {
        "timestamp": naive(row.at),
        "vertex_id": row.vertex_id,
        "target_id": row.target_id,
        "inputs": inputs if isinstance(inputs, dict) else {"params": inputs},
        "outputs": outputs,
        "status": row.status,
        "error": _said_of(outputs) or row.error if row.status == "error" else None,
        "flow_id": row.flow_id,
        "id": row.id,
    }


def _said_of(outputs: Mapping[str, Json]) -> str | None:
    for output in outputs.values():
        message = output.get("message") if isinstance(output, dict) else None
        if isinstance(message, dict) and "errorMessage" in message:
            return str(message["errorMessage"])
    return None


def _refs(row: TransactionRow) -> list[ContentRef]:
    return [ref for ref in (row.inputs_content, row.outputs_content) if ref]


def _content(ref: ContentRef | None, opened: Opened) -> dict[str, Any]:
    found = opened.get(ref.id) if ref else None
    content = msgspec.json.decode(found) if found else {}
    return content if isinstance(content, dict) else {}


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)

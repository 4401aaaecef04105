"""What was said in the sessions of flows."""

from collections.abc import Mapping
from typing import Any, Final

from langbuilder.listing import Listing
from langbuilder.models import FlowHeader, Id, Message, id_of
from langbuilder.operations import Resource, operation
from langbuilder.steps import Give, Steps
from langbuilder.wire import UNSET, at, command, get, given

PAGE: Final = 200


class Messages[D](Resource[D]):
    """Messages; those of a session are a conversation."""

    def list(
        self,
        *,
        flow: FlowHeader | Id | None = None,
        session: str | None = None,
        sender: str | None = None,
        newest_first: bool = False,
        page_size: int = PAGE,
    ) -> Listing[D, Message]:
        """
        List messages, oldest first unless asked otherwise.

        Where neither *flow* nor *session* is given, they come flow by flow, unless
        newest first.
        """
        asked = {
            "flow_id": None if flow is None else id_of(flow),
            "session_id": session,
            "sender": sender,
            "limit": page_size,
        }
        # Where all have one of these in common, their order is that of time.
        order = "session_id" if session is not None else "flow_id"
        asked["order_by"] = "timestamp" if newest_first else order
        return Listing(
            self._driver, lambda: self._pages(asked, newest_first=newest_first)
        )

    @operation
    def update(
        self,
        message: Message | Id,
        *,
        text: str | Any = UNSET,
        properties: Mapping[str, Any] | Any = UNSET,
        key: str | None = None,
    ) -> Steps[Message]:
        """Let a message read otherwise; it is marked as edited."""
        path = at("/api/v1/monitor/messages/{}", id_of(message))
        body = given(text=text, properties=properties)
        answer = yield from self._send(command("PUT", path, body, key=key))
        return answer.read(Message)

    @operation
    def delete(self, *messages: Message | Id, key: str | None = None) -> Steps[None]:
        """Remove messages; unknown ones are passed over."""
        ids = [str(id_of(one)) for one in messages]
        path = "/api/v1/monitor/messages"
        yield from self._send(command("DELETE", path, ids, key=key))

    def _pages(self, asked: Mapping[str, Any], *, newest_first: bool) -> Steps[None]:
        offset, seen = 0, set[Any]()
        while True:
            call = get("/api/v1/monitor/messages", **asked, offset=offset)
            page = (yield from self._send(call)).read(tuple[Message, ...])
            offset += len(page)
            fresh = [one for one in page if one.id not in seen]
            seen.update(one.id for one in fresh)
            yield Give(fresh[::-1] if newest_first else fresh)
            if len(page) < asked["limit"]:
                return


class Sessions[D](Resource[D]):
    """Conversations by name; a session begins with the first message in it."""

    @operation
    def list(self, flow: FlowHeader | Id | None = None) -> Steps[tuple[str, ...]]:
        """Return the sessions in which something was said, the oldest first."""
        flow_id = None if flow is None else id_of(flow)
        call = get("/api/v1/monitor/messages/sessions", flow_id=flow_id)
        return (yield from self._whole(call, str))

    @operation
    def rename(self, session: str, to: str, *, key: str | None = None) -> Steps[None]:
        """Give a session the name *to*."""
        path = at("/api/v1/monitor/messages/session/{}", session)
        query = {"new_session_id": to}
        yield from self._send(command("PATCH", path, query=query, key=key))

    @operation
    def delete(self, session: str, *, key: str | None = None) -> Steps[None]:
        """Remove all messages of a session."""
        path = at("/api/v1/monitor/messages/session/{}", session)
        yield from self._send(command("DELETE", path, key=key))

"""What was said before, for components that remember."""

from typing import override
from uuid import UUID

import msgspec

from application.ports import Contents, MessageHistory
from domain.kernel import Json
from projections.messages.views import MessageRow, MessageViews


class RecentMessages(MessageHistory):
    """Reads which messages there were from the view, and what they said."""

    def __init__(self, views: MessageViews, contents: Contents) -> None:
        self._views = views
        self._contents = contents

    @override
    async def recent(
        self,
        *,
        owner: UUID,
        session: str,
        limit: int,
        flow: UUID | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[dict[str, Json]]:
        newest = await self._views.select(
            owner,
            flow=flow,
            session=session,
            sender=sender,
            sender_name=sender_name,
            descending=True,
            limit=limit,
        )
        opened = await self._contents.open([row.content.id for row in newest])
        rows = newest if descending else reversed(newest)
        return [
            _said(row, opened[row.content.id])
            for row in rows
            if row.content.id in opened
        ]


def _said(row: MessageRow, content: bytes) -> dict[str, Json]:
    said: dict[str, Json] = msgspec.json.decode(content)
    # A session may have been renamed since this was said.
    return said | {"id": str(row.id), "session_id": row.session_id}

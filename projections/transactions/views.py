"""What can be asked about transactions."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import and_, select

from domain.kernel import ContentRef
from projections.contents import content_ref
from projections.reading import Views, younger
from projections.transactions.tables import GONE, RESULTS, TRANSACTIONS


class TransactionRow(msgspec.Struct, frozen=True):
    """
    A vertex's result was read by another (``target_id``), or there was none.

    Both contents name what the vertex came to: JSON ``{"params", "data"}``, of which
    ``params`` are the inputs. ``error`` is a slug; its text is in the outputs.
    """

    id: UUID
    vertex_id: str
    target_id: str | None
    flow_id: UUID
    run_id: UUID
    status: Literal["success", "error"]
    error: str | None
    inputs_content: ContentRef | None
    outputs_content: ContentRef | None
    at: datetime


class TransactionViews(Views):
    """Questions about transactions."""

    async def page(
        self, flow: UUID, *, page: int = 1, size: int = 50
    ) -> tuple[list[TransactionRow], int]:
        """Return a page (from 1), oldest first, and how many there are in all."""
        result = and_(
            RESULTS.c.run_id == TRANSACTIONS.c.run_id,
            RESULTS.c.vertex == TRANSACTIONS.c.vertex_id,
        )
        query = (
            select(
                TRANSACTIONS,
                RESULTS.c.content_id,
                RESULTS.c.content_digest,
                RESULTS.c.content_size,
            )
            .outerjoin(RESULTS, result)
            .outerjoin(GONE, GONE.c.flow_id == TRANSACTIONS.c.flow_id)
            .where(TRANSACTIONS.c.flow_id == flow, GONE.c.flow_id.is_(None))
            .where(younger(TRANSACTIONS.c.at, self._keeping.transactions))
            .order_by(TRANSACTIONS.c.position, TRANSACTIONS.c.ordinal)
        )
        rows, total = await self._page(query, limit=size, offset=(page - 1) * size)
        return [_transaction(row) for row in rows], total


def _transaction(row: Any) -> TransactionRow:
    content = content_ref(row.content_id, row.content_digest, row.content_size)
    return TransactionRow(
        id=row.id,
        vertex_id=row.vertex_id,
        target_id=row.target_id,
        flow_id=row.flow_id,
        run_id=row.run_id,
        status=row.status,
        error=row.error,
        inputs_content=content,
        outputs_content=content,
        at=row.at,
    )

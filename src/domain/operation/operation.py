"""The operation aggregate: one thing that an operator did, and the record of it."""

from typing import Self, override
from uuid import UUID

from domain.kernel import Aggregate
from domain.operation.events import OperationEvent


class Operation(Aggregate[OperationEvent]):
    """
    One thing done, in a stream of its own.

    Nothing is decided here: by the time of the record the thing has been done. Who
    did it stands in the envelope.
    """

    done: OperationEvent

    @classmethod
    def of(cls, operation_id: UUID, done: OperationEvent) -> Self:
        """Put on record what was done."""
        operation = cls(operation_id)
        operation._record(done)
        return operation

    @override
    def _apply(self, event: OperationEvent) -> None:
        self.done = event

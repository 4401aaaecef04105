"""What an event store refuses to do."""

from domain.kernel import DomainError


class StreamNotFoundError(DomainError):
    """There is no such stream."""


class ConcurrencyError(DomainError):
    """Someone else recorded first; read again and decide again."""


class IdempotencyKeyReusedError(DomainError):
    """This Idempotency-Key was used with another request; send a new key."""


class StoreBusyError(DomainError):
    """The server has more to write than it can take; try again in a moment."""


class OutcomeUnknownError(DomainError):
    """The database was lost while this was written; ask again whether it is done."""


class EventTooLargeError(DomainError):
    """One event would be larger than the log accepts."""


class UnreadableEventError(DomainError):
    """The log holds an event that this server cannot read."""


class SubjectErasedError(DomainError):
    """The person whom this belongs to has been erased."""


class CommandTooLargeError(DomainError):
    """One command would write more than the log accepts at once."""


class UnstorableError(DomainError):
    """This cannot be stored as it is."""


class StoreFullError(StoreBusyError):
    """The database has no room left; nothing was stored."""


class BlobsAwayError(StoreBusyError):
    """Files can be neither stored nor read at the moment; try again in a moment."""


class BlobsFullError(BlobsAwayError):
    """The server has no room left for files; delete some, or ask who runs it."""

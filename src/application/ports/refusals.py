"""What an event store refuses because of what is in it already."""

from domain.kernel import DomainError


class UnreadableEventError(DomainError):
    """The log holds an event that this server cannot read."""


class SubjectErasedError(DomainError):
    """The person whom this belongs to has been erased."""

"""Why an operator's wish about a projection is refused, or could not be fulfilled."""

from domain.kernel import DomainError
from projections.checkpoints import Failure


class UnknownProjectionError(DomainError):
    """There is no projection of that name."""


class RebuildRunningError(DomainError):
    """This projection is being rebuilt already."""


class NoRebuildError(DomainError):
    """This projection is not being rebuilt."""


class RebuildCancelledError(DomainError):
    """The rebuild was cancelled; the next one goes on where it stopped."""


class RebuildFailedError(DomainError):
    """An event could not be taken in; what is served is as it was."""

    def __init__(self, projection: str, failure: Failure) -> None:
        super().__init__(
            f"{projection} stopped at {failure.log} {failure.position}"
            f" ({failure.tag}, stream {failure.stream}): {failure.reason}"
        )
        self.failure = failure


class NothingBeforeError(DomainError):
    """No generation is kept that was served before this one."""


class OtherVersionError(DomainError):
    """Another version of the server made these tables, and alone can write them."""


class OlderLeaderError(DomainError):
    """A server of the release before writes this projection; stop it and try again."""


class DeadLetterNotFoundError(DomainError):
    """No such event is parked; it may have been taken in or skipped meanwhile."""


class EventGoneError(DomainError):
    """The event is not in the log any more, for it was archived."""


class StillPoisonError(DomainError):
    """The event could not be taken in this time either; its stream stays held."""


class BrokenTablesError(DomainError):
    """The tables are not there, or not as they were made; a rebuild makes them anew."""

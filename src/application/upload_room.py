"""Room for so many uploads at once: on this server, and for each person."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from application.ports import StoreBusyError
from domain.kernel import DomainError


class TooManyUploadsError(DomainError):
    """You send as many files at once as you may; try again once one has arrived."""


class UploadsFullError(StoreBusyError):
    """The server takes in as many files as it can; try again in a moment."""


class UploadRoom:
    """Counts the uploads that come to this server, and lets in no more than it may."""

    def __init__(self, *, at_once: int, of_one_person: int) -> None:
        self._at_once = at_once
        self._of_one_person = of_one_person
        self._coming: Counter[UUID] = Counter()

    @property
    def taken(self) -> int:
        """How many uploads are coming."""
        return self._coming.total()

    @contextmanager
    def of(self, owner: UUID) -> Iterator[None]:
        """
        Keep room for one upload of *owner* until it has come or failed.

        Raise `TooManyUploadsError` or `UploadsFullError` at once where there is none:
        nobody waits in a queue with a connection open.
        """
        if self._coming[owner] >= self._of_one_person:
            raise TooManyUploadsError
        if self.taken >= self._at_once:
            raise UploadsFullError
        self._coming[owner] += 1
        try:
            yield
        finally:
            self._coming[owner] -= 1
            if not self._coming[owner]:
                del self._coming[owner]

"""Given what happened, when somebody asks, then this happens: tests of aggregates."""

from collections.abc import Callable
from typing import Any, Self
from uuid import UUID

import pytest

from domain.kernel import Aggregate, DomainError, Event

SOMETHING = UUID(int=1)


class Specification[A: Aggregate[Any]]:
    """One decision of one aggregate."""

    def __init__(self, kind: type[A], *history: Event) -> None:
        self._subject = kind(SOMETHING)
        self._subject.replay(*history)
        self._command: Callable[[A], object] = lambda _: None

    def when(self, command: Callable[[A], object]) -> Self:
        """Ask the aggregate for something."""
        self._command = command
        return self

    def then(self, *expected: Event) -> None:
        """Exactly these events are decided."""
        self._command(self._subject)
        assert self._subject.collect() == list(expected)

    def then_nothing_happens(self) -> None:
        """Nothing is decided, and nothing refused."""
        self.then()

    def then_refuses(self, error: type[DomainError]) -> None:
        """The command is refused, and nothing decided."""
        with pytest.raises(error):
            self._command(self._subject)
        assert self._subject.collect() == []


def given[A: Aggregate[Any]](kind: type[A], *history: Event) -> Specification[A]:
    """Begin with an aggregate to which *history* has happened."""
    return Specification(kind, *history)

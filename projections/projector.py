"""What a projection is: the events it reads, its tables, and how facts become rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, get_args

from sqlalchemy import MetaData, Table

from application.ports import Recorded
from domain.kernel import Event, Log
from domain.run.events import RunEvent
from domain.thread.events import ThreadEvent
from projections.rows import Rows

LOGS: tuple[Log, ...] = ("core", "runs")

_RUNS: frozenset[type[Event]] = frozenset(
    event for union in (RunEvent, ThreadEvent) for event in get_args(union.__value__)
)


def log_of(event: type[Event]) -> Log:
    """Return the log that events of this type are stored in."""
    return "runs" if event in _RUNS else "core"


class UnwantedEventError(Exception):
    """The projector reads this kind of event, but its fold does nothing with it."""


class Projector(ABC):
    """
    Turns events into rows; the only writer of its tables.

    ``version`` says what the tables look like and what a fold means: raise it when
    either changes, and the daemon builds the tables anew before it goes on. The
    tables carry no schema: each generation of them lives in one of its own.

    ``stretch`` is how many events are folded before others have their turn.

    A fold may see events of its two logs in any relative order, so whatever it
    keeps must come out the same: compare ``at``, never positions across logs.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    stretch: ClassVar[int] = 100
    tables: ClassVar[MetaData]
    reads: ClassVar[tuple[type[Event], ...]]

    @property
    def wanted(self) -> frozenset[type[Event]]:
        """The exact event types that reach `fold`; all others only advance it."""
        return frozenset(self.reads)

    @property
    def logs(self) -> tuple[Log, ...]:
        """The logs that this projection has a checkpoint in."""
        mine = {log_of(event) for event in self.reads}
        return tuple(log for log in LOGS if log in mine)

    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        """Name the rows, by primary key, that `fold` must be able to look at."""
        del batch
        return {}

    @abstractmethod
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        """
        Turn facts into row changes; they are written with the checkpoint.

        A batch comes in slices, one after the other, on the same *rows*.
        """

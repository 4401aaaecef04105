"""Checks what readers of a log saw against what its writers were told."""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

ENOUGH = 20
"""How many faults are told at most; the first ones tell most."""


class Happened(NamedTuple):
    """An event, as far as its place in history goes."""

    position: int
    stream: UUID
    version: int
    command: UUID


class Told(msgspec.Struct):
    """What writers meant to write and what they were told of it, by command."""

    meant: dict[UUID, int] = msgspec.field(default_factory=dict)
    acknowledged: dict[UUID, int] = msgspec.field(default_factory=dict)
    refused: set[UUID] = msgspec.field(default_factory=set)

    @property
    def events(self) -> int:
        """How many events were acknowledged."""
        return sum(self.meant[command] for command in self.acknowledged)

    def unanswered(self) -> set[UUID]:
        """Return the commands of which nobody heard, for their writer was killed."""
        return self.meant.keys() - self.acknowledged.keys() - self.refused


class Seen:
    """What one reader saw of the log after a position, in the order it saw it."""

    def __init__(self, name: str, *, after: int = 0) -> None:
        self.name = name
        self.after = after
        self.positions = array("q")
        self.marks = array("q")

    def see(self, events: Iterable[Happened]) -> None:
        for event in events:
            self.positions.append(event.position)
            self.marks.append(_mark(event))


def check(told: Told, log: Iterable[Happened], readers: Sequence[Seen]) -> list[str]:
    """
    Return what is wrong, in words; nothing if all is well.

    *log* is what the log holds in the end, by position. An event that nobody
    acknowledged may be there: its writer was killed before it heard.
    """
    history = _History(told, readers)
    for event in log:
        history.take(event)
    history.end()
    return history.faults[:ENOUGH]


class _History:
    def __init__(self, told: Told, readers: Sequence[Seen]) -> None:
        self.faults: list[str] = []
        self._told = told
        self._last: Happened | None = None
        self._versions: dict[UUID, int] = {}
        self._written: dict[UUID, int] = {}
        self._following = [_Following(reader, self.faults) for reader in readers]

    def take(self, event: Happened) -> None:
        last, self._last = self._last, event
        if last is not None and event.position <= last.position:
            self._fault(event, f"comes after position {last.position}")
        version = self._versions.get(event.stream, 0)
        if event.version != version + 1:
            self._fault(event, f"follows version {version} of its stream")
        self._versions[event.stream] = event.version
        written = self._written.get(event.command, 0)
        if written and last is not None and last.command != event.command:
            self._fault(event, "is apart from the rest of its command")
        self._written[event.command] = written + 1
        self._end_of_command(event, written + 1)
        for following in self._following:
            following.take(event)

    def _end_of_command(self, event: Happened, written: int) -> None:
        meant = self._told.meant.get(event.command)
        if meant is None:
            self._fault(event, "was written by nobody")
        elif event.command in self._told.refused:
            self._fault(event, "was refused")
        elif written > meant:
            self._fault(event, f"is one more than the {meant} of its command")
        elif written == meant:
            position = self._told.acknowledged.get(event.command, event.position)
            if position != event.position:
                self._fault(event, f"was acknowledged at position {position}")

    def end(self) -> None:
        for command, meant in self._told.meant.items():
            written = self._written.get(command, 0)
            if not written and command in self._told.acknowledged:
                self.faults.append(f"lost: command {command} was acknowledged")
            elif 0 < written < meant:
                self.faults.append(f"torn: {written} of {meant} of command {command}")
        for following in self._following:
            following.end()

    def _fault(self, event: Happened, why: str) -> None:
        if len(self.faults) < ENOUGH:
            self.faults.append(f"position {event.position} {why}: {event}")


class _Following:
    """Compares one reader with the log, up to the first difference."""

    def __init__(self, reader: Seen, faults: list[str]) -> None:
        self._reader = reader
        self._faults = faults
        self._next = 0
        self._ended = False

    def take(self, event: Happened) -> None:
        reader, at = self._reader, self._next
        if self._ended or event.position <= reader.after:
            return
        self._next += 1
        if at >= len(reader.positions):
            self._fault(f"did not see position {event.position}")
        elif reader.positions[at] > event.position:
            self._fault(f"passed over position {event.position}")
        elif reader.positions[at] < event.position:
            again = reader.positions[at] in reader.positions[:at]
            how = "again" if again else "where it does not belong"
            self._fault(f"saw position {reader.positions[at]} {how}")
        elif reader.marks[at] != _mark(event):
            self._fault(f"saw something else at position {event.position}")

    def end(self) -> None:
        if not self._ended and self._next < len(self._reader.positions):
            self._fault(f"saw position {self._reader.positions[self._next]} alone")

    def _fault(self, why: str) -> None:
        self._ended = True
        self._faults.append(f"{self._reader.name} {why}")


def _mark(event: Happened) -> int:
    return hash(event)

"""Names the events that are not as they were sealed: changed, moved, gone, or new."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from application.ports.evidence import Finding, Kind
from domain.kernel import Log
from infrastructure.evidence.segments import Entry

if TYPE_CHECKING:
    from uuid import UUID

MOST = 100
"""How many findings of a log are told; the rest is counted."""

type Whereabouts = Callable[[Entry], Awaitable[int | None]]
"""Tells the position that a stream's version has today, if it is there."""


class Comparison:
    """
    What was found of one log, segment by segment.

    An event that stands where none was sealed may have been moved from a place not
    yet looked at, so that is told at the end.
    """

    def __init__(self, log: Log, whereabouts: Whereabouts) -> None:
        self._log = log
        self._whereabouts = whereabouts
        self._findings: list[Finding] = []
        self._found = 0
        self._extras: dict[Entry, int | None] = {}
        self._untold_extras = 0
        self._told: set[tuple[int, UUID, int]] = set()

    def add(self, finding: Finding) -> None:
        """Keep *finding*, or count it."""
        self._found += 1
        if len(self._findings) < MOST:
            self._findings.append(finding)

    def unsealed(self, entry: Entry, *, segment: int | None) -> None:
        """Remember an event that nobody sealed where it stands."""
        if entry[:3] in self._told:
            return
        if len(self._extras) < MOST:
            self._extras[entry] = segment
        else:
            self._untold_extras += 1

    async def compare(
        self, segment: int, sealed: Sequence[Entry], found: Sequence[Entry]
    ) -> None:
        """Compare what a segment sealed with what is there now."""
        places = {entry[:3]: entry for entry in found}
        missing = []
        for entry in sealed:
            now = places.pop(entry[:3], None)
            if now is None:
                missing.append(entry)
            elif now.digest != entry.digest:
                says = "was changed"
                self._event("changed", segment, entry, says)
        for entry in places.values():
            self.unsealed(entry, segment=segment)
        for entry in missing:
            await self._missing(segment, entry)

    def result(self) -> tuple[list[Finding], int]:
        """Return the findings by position, and how many there are in all."""
        for entry, segment in self._extras.items():
            self._event("added", segment, entry, "was put in where nothing was sealed")
        self._extras = {}
        self._found += self._untold_extras
        return sorted(self._findings, key=lambda one: one.position), self._found

    async def _missing(self, segment: int, entry: Entry) -> None:
        if self._found >= MOST:
            self._found += 1
            return
        now = await self._whereabouts(entry)
        if now == entry.position:
            return  # only the segment's bounds are wrong, which is told already
        if now is not None:
            self._forget(entry._replace(position=now))
            says = f"was moved to position {now}"
            self._event("moved", segment, entry, says)
        elif other := self._instead(entry):
            self._forget(other)
            says = f"was made {other.stream} v{other.version}"
            self._event("changed", segment, entry, says)
        else:
            self._event("removed", segment, entry, "was removed")

    def _instead(self, entry: Entry) -> Entry | None:
        return next((e for e in self._extras if e.position == entry.position), None)

    def _forget(self, extra: Entry) -> None:
        self._told.add(extra[:3])
        for known in list(self._extras):
            if known[:3] == extra[:3]:
                del self._extras[known]

    def _event(self, kind: Kind, segment: int | None, entry: Entry, says: str) -> None:
        self.add(
            Finding(
                kind=kind,
                log=self._log,
                position=entry.position,
                stream=entry.stream,
                version=entry.version,
                segment=segment,
                says=f"{entry.stream} v{entry.version} {says}",
            )
        )

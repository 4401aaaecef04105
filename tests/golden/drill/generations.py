"""
Three generations of one event, as three releases of a server wrote it.

The first had one recipient in a text, the second took name and address apart, today's
has any number. Of each there are stored examples beside this module.
"""

from collections.abc import Mapping
from typing import override
from uuid import UUID

import msgspec

from domain.kernel import Aggregate, Event, Json
from infrastructure.event_store.mapper import MsgspecMapper, Upcaster

TAG = "drill.letter_sent"


class Recipient(msgspec.Struct, frozen=True):
    name: str
    address: str


class FirstLetterSent(Event, frozen=True, kw_only=True, tag=TAG):
    by: UUID
    to: str
    text: str


class SecondLetterSent(Event, frozen=True, kw_only=True, tag=TAG):
    by: UUID
    to: Recipient
    text: str


class LetterSent(Event, frozen=True, kw_only=True, tag=TAG):
    """Today's; ``urgent`` came last and needed no upcaster, for it has a default."""

    by: UUID
    recipients: tuple[Recipient, ...]
    text: str
    urgent: bool = False


def parted(document: dict[str, Json]) -> dict[str, Json]:
    """Lift a first to a second."""
    name, _, address = document["to"].rpartition("<")
    to = {"name": name.strip(), "address": address.rstrip(">")}
    return {**document, "to": to}


def gathered(document: dict[str, Json]) -> dict[str, Json]:
    """Lift a second to a third."""
    return {**document, "recipients": [document.pop("to")]}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {(TAG, 1): parted, (TAG, 2): gathered}

RELEASES = (
    MsgspecMapper([FirstLetterSent], {}),
    MsgspecMapper([SecondLetterSent], {(TAG, 1): parted}),
    MsgspecMapper([LetterSent], UPCASTERS),
)
"""The mapper of each release: what it wrote, and how it read what was before it."""


class Letters(Aggregate[Event]):
    """Somebody's letters, whichever release sent them."""

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.sent: list[Event] = []

    def send(self, letter: Event) -> None:
        self._record(letter)

    @override
    def _apply(self, event: Event) -> None:
        self.sent.append(event)

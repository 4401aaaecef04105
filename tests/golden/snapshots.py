"""
What a story comes to as a snapshot, on disk: of every kind, a file a schema number.

A story is the history of one aggregate, as it was once stored; it never changes. Does
it come to something else than the file says, then snapshots that were taken before
are wrong now: raise the number of the shape, and have the new file written by
``PYTHONPATH=src:. python -m tests.golden.snapshots``.
"""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from domain.kernel import Aggregate, Event
from domain.snapshots import SNAPSHOTS, Shape
from infrastructure.event_store.mapper import MsgspecMapper

FOLDER = Path(__file__).parent / "stories"
SHAPES = {shape.topic: (kind, shape) for kind, shape in SNAPSHOTS.items()}


def story_of(topic: str) -> list[Event]:
    """Return the history of one *topic*."""
    stored = json.loads((FOLDER / f"{topic}.story.json").read_text("utf-8"))
    decode = MsgspecMapper().decode
    return [
        decode(one["tag"], one["schema_version"], msgspec.json.encode(one["state"]))
        for one in stored
    ]


def told(kind: type[Aggregate[Any]], events: list[Event]) -> Aggregate[Any]:
    """Return what *events* made."""
    aggregate = kind(UUID(int=1))
    aggregate.replay(*events)
    return aggregate


def file_of(shape: Shape) -> Path:
    """Return where a snapshot of this shape is promised."""
    return FOLDER / f"{shape.topic}.v{shape.schema}.json"


def write() -> None:
    """Write the snapshots that are missing."""
    for topic, (kind, shape) in SHAPES.items():
        if not file_of(shape).exists():
            state = msgspec.json.encode(shape.taken(told(kind, story_of(topic))))
            file_of(shape).write_bytes(msgspec.json.format(state, indent=2) + b"\n")


if __name__ == "__main__":
    write()

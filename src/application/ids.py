"""Ids whose bits say where their events lie: runs by time, threads together."""

import hashlib
import os
import threading
import time
from uuid import UUID, uuid4

THREADS = 0xFF

_turn = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return an id that says nothing."""
    return uuid4()


def new_run_id() -> UUID:
    """
    Return a UUIDv7: runs of one span of time lie in one partition of the log.

    Ids made by one process grow strictly, also within a millisecond.
    """
    global _last  # noqa: PLW0603 - the last id is the process's, like the clock it extends
    with _turn:
        now = (time.time_ns() // 1_000_000) << 12
        _last = max(now, _last + 1)
        stamp = _last
    random = int.from_bytes(os.urandom(8)) >> 2
    value = (
        (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random
    )
    return UUID(int=value)


def thread_id(flow: UUID, session: str, *, salt: str = "") -> UUID:
    """
    Return the UUIDv8 of a flow's session, beginning ``ff`` like every thread's.

    A session may be renamed or deleted and its name taken up again: the new thread
    then needs a *salt* of its own.
    """
    said = b"\x1f".join((flow.bytes, session.encode("utf-8", "replace"), salt.encode()))
    digest = bytearray(hashlib.sha256(said).digest()[:16])
    digest[0] = THREADS
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))

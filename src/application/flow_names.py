"""Names for new flows: asked for many at a time, given each to one flow only."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from uuid import UUID

from application.ports import Claims
from domain.flow.names import next_endpoint, next_name


async def in_use(
    claims: Claims, kind: str, owner: UUID, *, like: Iterable[str | None]
) -> set[str]:
    """Return the names of *owner* that may clash with those *like* which is asked."""
    names = [name for name in like if name]
    if not names:
        return set()
    prefix = f"{owner}/"
    found = await claims.taken(kind, prefix + _beginning(names))
    return {claim.key.removeprefix(prefix) for claim in found}


def take_name(name: str, taken: set[str]) -> str:
    """Return *name*, or the next number of it, and note that it is *taken* now."""
    free = next_name(name, taken)
    taken.add(free)
    return free


def take_endpoint(endpoint: str | None, taken: set[str]) -> str | None:
    """Return *endpoint*, or the next number of it; none is none."""
    if not endpoint:
        return None
    free = next_endpoint(endpoint, taken)
    taken.add(free)
    return free


def _beginning(texts: Sequence[str]) -> str:
    """Return what all *texts* begin with."""
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in same)]

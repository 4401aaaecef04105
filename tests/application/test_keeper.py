"""The keeper of leases: what it holds, and what it must not take for lost."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import override
from uuid import UUID, uuid4

from application.execution.keeper import Keeper
from application.ports import Lease, Leases
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.keyring import Keyring
from infrastructure.secrets import MemoryContents


class Meanwhile(Leases):
    """Leases whose renewal takes so long that another run begins meanwhile."""

    def __init__(self, runs: dict[UUID, None]) -> None:
        self._runs = runs

    @override
    async def renew(
        self, worker: str, runs: Sequence[UUID], *, until: datetime
    ) -> set[UUID]:
        self._runs[uuid4()] = None
        return set(runs)

    @override
    async def expired(self, *, now: datetime, limit: int = 100) -> list[Lease]:
        return []


async def test_a_run_begun_while_leases_are_renewed_is_not_lost() -> None:
    runs: dict[UUID, None] = {uuid4(): None}
    store = MemoryEventStore()
    keeper = Keeper(
        store,
        Meanwhile(runs),
        MemoryContents(store, Keyring("k" * 43)),
        worker="me",
        now=lambda: datetime.now(UTC),
        seconds=20,
    )

    assert await keeper.renew(runs.keys()) == set()

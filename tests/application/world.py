"""The use cases over a store in memory, for tests of what they decide."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from application.documents import Documents
from application.editing import Editing, Served
from application.flows import Flows
from application.messages import Messages, Placed, Said
from application.permissions import Permissions
from application.ports import Actor, Cause
from application.projects import Projects
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.keyring import Keyring
from infrastructure.secrets import MemoryContents, MemoryVault


class Silence:
    """A session in which nothing was ever said."""

    async def get(self, _: Sequence[UUID], /) -> Sequence[Said]:
        return []

    async def in_session(self, _: UUID, __: str, /) -> Sequence[Said]:
        return []

    async def in_flow(
        self, _: UUID, __: UUID, ___: str | None, /, **____: int
    ) -> Sequence[Placed]:
        return []


class World:
    """Everything that flows and projects need."""

    def __init__(self) -> None:
        keyring = Keyring("a secret for tests, and for tests only")
        self.store = MemoryEventStore()
        self.vault = MemoryVault(self.store)
        self.contents = MemoryContents(self.store, keyring)
        self.permissions = Permissions(self.store.ownership)
        self.documents = Documents(self.store.canvas, self.vault)
        self.messages = Messages(
            self.store,
            claims=self.store.claims,
            contents=self.contents,
            said=Silence(),
        )
        self.flows = Flows(
            self.store,
            claims=self.store.claims,
            ownership=self.store.ownership,
            documents=self.documents,
            messages=self.messages,
        )
        self.projects = Projects(
            self.store,
            claims=self.store.claims,
            ownership=self.store.ownership,
            flows=self.flows,
            vault=self.vault,
        )
        self.editing = Editing(
            self.store,
            ownership=self.store.ownership,
            documents=self.documents,
            flows=self.flows,
            served=Served(),
        )


def somebody() -> Actor:
    return Actor(uuid4(), credential="token")


def by(actor: Actor, *, key: UUID | None = None) -> Cause:
    return Cause(
        actor=actor,
        command_id=key or uuid4(),
        correlation_id=uuid4(),
        idempotent=key is not None,
    )

"""Edits of a flow: what changed since the client looked is put onto the head."""

from collections import OrderedDict
from typing import Any, Final, Literal, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from application.commands import Done, deciding_again
from application.documents import Accepted, Documents
from application.flows import (
    EndpointNameTakenError,
    FlowNameTakenError,
    Flows,
    claims_of,
)
from application.names import Name
from application.permissions import Permissions
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    ClaimTakenError,
    ConcurrencyError,
    EventStore,
    Owned,
    Ownership,
    Saved,
)
from application.repeats import once
from domain.flow import secrets
from domain.flow.flow import Flow
from domain.flow.merge import Conflict, EditConflictError, merge
from domain.kernel import DomainError, Json

REMEMBERED: Final = 20_000
REFERENCE: Final = "$secret"  # the key under which documents name a secret


class FlowChange(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a flow is to be; absent and null fields stay as they are.

    Except ``endpoint_name``: clients clear it by leaving it out.
    """

    name: Name | None = None
    description: str | None = None
    data: dict[str, Any] | UnsetType | None = UNSET
    folder_id: UUID | None = None
    endpoint_name: Name | None = None
    mcp_enabled: bool | None = None
    locked: bool | None = None
    action_name: str | None = None
    action_description: str | None = None
    access_type: Literal["PRIVATE", "PUBLIC"] | None = None


class ConflictingEditError(DomainError):
    """Somebody else changed the same field since you read this flow."""

    def __init__(self, conflicts: list[dict[str, Json]], version: int) -> None:
        super().__init__()
        self.conflicts = conflicts
        self.version = version


class Served:
    """Which version of a flow each client was last given; old ones are forgotten."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._versions: OrderedDict[tuple[str, UUID], int] = OrderedDict()

    def note(self, actor: Actor, flow: UUID, version: int) -> None:
        """Remember what *actor* was given."""
        if not actor.credential:
            return
        key = (actor.credential, flow)
        self._versions[key] = version
        self._versions.move_to_end(key)
        if len(self._versions) > self._remembered:
            self._versions.popitem(last=False)

    def version(self, actor: Actor, flow: UUID) -> int | None:
        """Return what *actor* was last given."""
        return self._versions.get((actor.credential, flow))


class Editing:
    """Compare what a client sends with what it was given, and store the difference."""

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        documents: Documents,
        flows: Flows,
        served: Served,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._documents = documents
        self._flows = flows
        self._served = served

    async def edit(
        self,
        actor: Actor,
        flow_id: UUID,
        change: FlowChange,
        *,
        cause: Cause,
        expected: int | None = None,
    ) -> Done[Flow]:
        """
        Change a flow; *expected* is the version the client says it saw.

        Edits of different fields merge; of the same field the later is refused. A
        project that is not there moves nothing, as when a flow is created.
        """

        async def again(before: Saved) -> Done[Flow]:
            return Done(await self._flows.get(flow_id), before.position)

        return await once(
            self._store,
            cause,
            again=again,
            attempt=lambda: self._change(
                actor, flow_id, change, cause=cause, expected=expected
            ),
        )

    async def _change(
        self,
        actor: Actor,
        flow_id: UUID,
        change: FlowChange,
        *,
        cause: Cause,
        expected: int | None,
    ) -> Done[Flow]:
        owned = await self._permissions.require(actor, "flow", flow_id)
        wanted = change.folder_id
        if (
            wanted is not None
            and wanted != owned.project
            and not await self._permissions.among(actor, "project", [wanted])
        ):
            change = msgspec.structs.replace(change, folder_id=None)
        seen = expected or self._served.version(actor, flow_id)
        try:
            done = await deciding_again(
                lambda: self._edit(flow_id, change, seen=seen, cause=cause)
            )
        except ConcurrencyError as moved:
            head = await self._flows.get(flow_id)
            raise ConflictingEditError([], head.version) from moved
        self._served.note(actor, flow_id, done.result.version)
        return done

    async def _edit(
        self, flow_id: UUID, change: FlowChange, *, seen: int | None, cause: Cause
    ) -> Done[Flow]:
        head = await self._flows.get(flow_id)
        base = await self._base(head, seen)
        before = Names.of(head)
        accepted = await self._redraw(head, base, change)
        _decide(head, base, change)
        saved = await self._save(head, before, accepted, cause=cause)
        if accepted:
            await self._documents.draw(flow_id, accepted, head.document)
        return Done(head, saved.position)

    async def _base(self, head: Flow, seen: int | None) -> Flow:
        if seen is None or seen == head.version:
            return head
        if not 0 < seen < head.version:
            raise ConflictingEditError([], head.version)
        return await self._flows.get(head.id, version=seen)

    async def _redraw(
        self, head: Flow, base: Flow, change: FlowChange
    ) -> Accepted | None:
        if change.data is None or change.data is UNSET:
            return None
        accepted = await self._documents.accept(
            change.data, previous=base.document, owner=head.owner
        )
        # Decided upon the version before any of these events.
        at = head.version
        try:
            head.edit(merge(base.document, head.document, accepted.document))
        except EditConflictError as conflict:
            told = [_told(one) for one in conflict.conflicts]
            raise ConflictingEditError(told, at) from conflict
        return accepted

    async def _save(
        self, flow: Flow, before: "Names", accepted: Accepted | None, *, cause: Cause
    ) -> Saved:
        after = Names.of(flow)
        if not flow.recorded:
            return await self._store.save(cause=cause)
        attached = Attached(
            claims=tuple(c for c in after.claims if c not in before.claims),
            released=tuple(c for c in before.claims if c not in after.claims),
            owned=(Owned(flow.id, "flow", flow.owner, flow.project),),
            secrets=accepted.sealed if accepted else (),
            destroyed=tuple(ref for ref in before.secrets if ref not in after.secrets),
        )
        try:
            return await self._store.save(flow, cause=cause, attached=attached)
        except ClaimTakenError as taken:
            if taken.claim.kind == "endpoint":
                raise EndpointNameTakenError from taken
            raise FlowNameTakenError from taken


class Names(msgspec.Struct, frozen=True):
    """What a flow holds outside its stream: names, and entries of the vault."""

    claims: tuple[Claim, ...]
    secrets: tuple[UUID, ...]

    @classmethod
    def of(cls, flow: Flow) -> Self:
        """Return what *flow* holds now."""
        return cls(claims_of(flow), secrets.refs(flow.document))


def _decide(flow: Flow, base: Flow, change: FlowChange) -> None:
    """Carry over the settings in which *change* differs from its base."""

    def wanted(given: object, known: object) -> bool:
        return given is not None and given != known

    if change.name is not None and wanted(change.name, base.name):
        flow.rename(change.name)
    if wanted(change.description, base.description):
        flow.describe(description=change.description)
    if change.folder_id is not None and wanted(change.folder_id, base.project):
        flow.move(change.folder_id)
    if (change.endpoint_name or None) != base.endpoint_name:
        flow.name_endpoint(change.endpoint_name or None)
    if change.access_type is not None and wanted(change.access_type, base.access):
        flow.set_access(change.access_type)
    if change.locked is not None and change.locked != flow.locked:
        flow.lock() if change.locked else flow.unlock()
    exposure = {
        name: given
        for name in ("mcp_enabled", "action_name", "action_description")
        if wanted(given := getattr(change, name), getattr(base, name))
    }
    if exposure:
        flow.expose(**exposure)


def _told(conflict: Conflict) -> dict[str, Json]:
    """Return a conflict for people: of secrets they learn only that they differ."""
    told: dict[str, Json] = secrets.without_refs(msgspec.to_builtins(conflict))
    path = list(conflict.path)
    if REFERENCE in path:
        hidden = {"yours": secrets.PLACEHOLDER, "theirs": secrets.PLACEHOLDER}
        told |= hidden | {"path": path[: path.index(REFERENCE)]}
    return told

"""Flows: created, imported, moved and deleted; their edits are in `editing`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from application.commands import (
    Done,
    Turns,
    answer_of,
    deciding_again,
    ids_in,
    together,
)
from application.documents import Accepted, Documents
from application.flow_names import in_use, take_endpoint, take_name
from application.messages import Messages
from application.names import Name
from application.permissions import NotFoundError, Permissions, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    EventStore,
    Owned,
    Ownership,
    Saved,
    StreamNotFoundError,
)
from application.repeats import once
from domain.flow import secrets
from domain.flow.flow import Flow
from domain.kernel import Aggregate, DomainError, Json

NAMING_TRIES: Final = 8


class FlowNameTakenError(DomainError):
    """Name must be unique."""


class EndpointNameTakenError(DomainError):
    """Endpoint name must be unique."""


class NewFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as clients send it; only the name is required."""

    name: Name
    description: str | None = None
    icon: str | None = None
    icon_bg_color: Annotated[str, Meta(pattern="^#.{6}$")] | None = None
    gradient: str | None = None
    data: dict[str, Any] | None = None
    is_component: bool | None = False
    webhook: bool | None = False
    endpoint_name: Name | None = None
    tags: list[str] | None = None
    locked: bool | None = False
    mcp_enabled: bool | None = False
    action_name: str | None = None
    action_description: str | None = None
    access_type: Literal["PRIVATE", "PUBLIC"] | None = None
    folder_id: UUID | None = None
    last_tested_version: str | None = None
    source_id: str | None = None


class Drafts(msgspec.Struct, frozen=True):
    """Flows decided and not yet stored, with what a save must take along."""

    flows: tuple[Flow, ...]
    attached: Attached
    accepted: tuple[Accepted, ...]


class Changes(msgspec.Struct, frozen=True):
    """Aggregates decided and not yet stored, and what a save must take along."""

    aggregates: tuple[Aggregate[Any], ...] = ()
    attached: Attached = Attached()
    flows: tuple[UUID, ...] = ()


class LeftByFlows(Protocol):
    """What lies in flows and goes with them."""

    async def forget_flows(self, flows: Sequence[UUID], *, cause: Cause) -> None: ...


class Flows:
    """Load flows, let them decide, store what they decided."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        ownership: Ownership,
        documents: Documents,
        messages: Messages,
        files: LeftByFlows | None = None,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._claims = claims
        self._permissions = Permissions(ownership)
        self._documents = documents
        self._messages = messages
        self._files = files
        self._new_id = new_id
        self._turns: Turns[UUID] = Turns()

    async def get(self, flow_id: UUID, *, version: int | None = None) -> Flow:
        """Return a flow as the log has it (up to *version*)."""
        try:
            flow = await self._store.load(Flow, flow_id, version=version)
        except StreamNotFoundError as missing:
            raise NotFoundError("flow", flow_id) from missing
        if flow.deleted:
            raise NotFoundError("flow", flow_id)
        return flow

    async def create(
        self,
        actor: Actor,
        news: Sequence[NewFlow],
        *,
        projects: Sequence[UUID],
        cause: Cause,
        imported: bool = False,
    ) -> Done[list[Flow]]:
        """Create flows, all or none, each in its project, under names still free."""
        owner = person(actor)
        if before := await self._store.answered(cause):
            return await self._created_before(before)
        async with self._turns.of(owner):
            return await self._create(
                owner, news, projects=projects, cause=cause, imported=imported
            )

    async def _create(
        self,
        owner: UUID,
        news: Sequence[NewFlow],
        *,
        projects: Sequence[UUID],
        cause: Cause,
        imported: bool,
    ) -> Done[list[Flow]]:
        taken: ClaimTakenError | None = None
        for _ in range(NAMING_TRIES):
            drafts = await self.drafts(
                news, owner=owner, projects=projects, imported=imported
            )
            try:
                saved = await self._store.save(
                    *drafts.flows,
                    cause=cause,
                    attached=drafts.attached,
                    answer=answer_of(*(flow.id for flow in drafts.flows)),
                )
            except ClaimTakenError as clash:  # somebody was quicker: the next name
                taken = clash
                continue
            if saved.repeated:  # the same request came twice at once
                return await self._created_before(saved)
            await self.draw(drafts)
            return Done(list(drafts.flows), saved.position)
        raise FlowNameTakenError from taken

    async def _created_before(self, saved: Saved) -> Done[list[Flow]]:
        flows = [await self.get(one) for one in ids_in(saved.answer)]
        return Done(flows, saved.position)

    async def drafts(
        self,
        news: Sequence[NewFlow],
        *,
        owner: UUID,
        projects: Sequence[UUID],
        imported: bool = False,
    ) -> Drafts:
        """Decide flows under names that are free now, without storing them."""
        flows: list[Flow] = []
        attached: list[Attached] = []
        taken_in: list[Accepted] = []
        claims = self._claims
        names = await in_use(claims, "flow-name", owner, like=[n.name for n in news])
        asked = [new.endpoint_name for new in news]
        endpoints = await in_use(claims, "endpoint", owner, like=asked)
        for new, project in zip(news, projects, strict=True):
            name = take_name(new.name, names)
            endpoint = take_endpoint(new.endpoint_name, endpoints)
            accepted = await self._documents.accept(
                new.data, previous=None, owner=owner
            )
            flow = begun(
                self._new_id(),
                new,
                owner=owner,
                project=project,
                name=name,
                endpoint=endpoint,
                document=accepted.document,
                imported=imported,
            )
            flows.append(flow)
            taken_in.append(accepted)
            attached.append(_attached(flow, accepted))
        return Drafts(tuple(flows), together(*attached), tuple(taken_in))

    async def draw(self, drafts: Drafts) -> None:
        """Keep the canvas state that came with drafts, once they are stored."""
        ids = (flow.id for flow in drafts.flows)
        await self._documents.draw_first(dict(zip(ids, drafts.accepted, strict=True)))

    async def delete(
        self, actor: Actor, flows: Sequence[UUID], *, cause: Cause
    ) -> Done[int]:
        """Delete those of *flows* that are *actor*'s; say how many that were."""

        async def again(before: Saved) -> Done[int]:
            return Done(len(ids_in(before.answer)), before.position)

        async def attempt() -> Done[int]:
            owned = await self._permissions.among(actor, "flow", flows)
            removed = await self.removal([one.resource for one in owned])
            saved = await self._store.save(
                *removed.aggregates,
                cause=cause,
                attached=removed.attached,
                answer=answer_of(*removed.flows),
            )
            await self.clean_up(removed.flows, cause=cause)
            return Done(len(removed.flows), saved.position)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def removal(self, flows: Iterable[UUID]) -> Changes:
        """Decide that *flows* are deleted, without storing it."""
        gone: list[Flow] = []
        attached: list[Attached] = []
        for flow in await self._store.load_each(Flow, flows):
            attached.append(
                Attached(
                    released=claims_of(flow),
                    disowned=(flow.id,),
                    destroyed=(
                        *secrets.refs(flow.document),
                        *([flow.webhook_secret] if flow.webhook_secret else []),
                    ),
                )
            )
            flow.delete()
            gone.append(flow)
        return Changes(tuple(gone), together(*attached), tuple(f.id for f in gone))

    async def clean_up(self, flows: Sequence[UUID], *, cause: Cause) -> None:
        """Remove what deleted flows leave: canvas, threads and files."""
        await self._documents.drop(flows)
        await self._messages.forget_flows(flows, cause=cause)
        if self._files is not None:
            await self._files.forget_flows(flows, cause=cause)

    async def moved(self, flows: Sequence[Owned], project: UUID) -> Changes:
        """Decide that *flows* lie in *project*, without storing it."""
        going = await self._store.load_each(
            Flow, (one.resource for one in flows if one.project != project)
        )
        for flow in going:
            flow.move(project)
        return Changes(
            tuple(going),
            Attached(owned=tuple(Owned(f.id, "flow", f.owner, project) for f in going)),
        )

    async def clear_builds(
        self, actor: Actor, flow_id: UUID, *, cause: Cause
    ) -> Done[None]:
        """Clear the outputs that runs left on the canvas."""
        await self._permissions.require(actor, "flow", flow_id)
        flow = await self.get(flow_id)
        flow.clear_builds()
        # Whatever else is edited meanwhile, clearing stands.
        saved = await self._store.save(cause=cause, anywhere=(flow,))
        return Done(None, saved.position)


def begun(
    flow_id: UUID,
    new: NewFlow,
    *,
    owner: UUID,
    project: UUID,
    name: str,
    endpoint: str | None,
    document: Json,
    imported: bool,
) -> Flow:
    """Return the flow that *new* asks for, decided and not yet stored."""
    settings: dict[str, Any] = {
        "owner": owner,
        "project": project,
        "name": name,
        "document": document,
        "description": new.description,
        "icon": new.icon,
        "icon_bg_color": new.icon_bg_color,
        "gradient": new.gradient,
        "tags": None if new.tags is None else tuple(new.tags),
        "endpoint_name": endpoint,
        "is_component": bool(new.is_component),
        "webhook": bool(new.webhook),
        "locked": bool(new.locked),
        "access": new.access_type or "PRIVATE",
        "mcp_enabled": bool(new.mcp_enabled),
        "action_name": new.action_name,
        "action_description": new.action_description,
    }
    if not imported:
        return Flow.create(flow_id, **settings)
    return Flow.import_(
        flow_id,
        **settings,
        source_id=new.source_id,
        last_tested_version=new.last_tested_version,
    )


def _attached(flow: Flow, accepted: Accepted) -> Attached:
    return Attached(
        claims=claims_of(flow),
        owned=(Owned(flow.id, "flow", flow.owner, flow.project),),
        secrets=accepted.sealed,
    )


def claims_of(flow: Flow) -> tuple[Claim, ...]:
    """Return the names that *flow* bears."""
    return (
        name_claim(flow),
        *([endpoint_claim(flow)] if flow.endpoint_name else []),
    )


def name_claim(flow: Flow) -> Claim:
    """Return the claim on a flow's name."""
    return Claim("flow-name", f"{flow.owner}/{flow.name}", flow.id)


def endpoint_claim(flow: Flow) -> Claim:
    """Return the claim on a flow's endpoint name."""
    return Claim("endpoint", f"{flow.owner}/{flow.endpoint_name}", flow.id)


def from_file(flow: Mapping[str, Json]) -> NewFlow:
    """Read one flow of an uploaded file; what it says of places is not believed."""
    known = {field: flow[field] for field in NewFlow.__struct_fields__ if field in flow}
    known.pop("folder_id", None)
    source = flow.get("id")
    known["source_id"] = source if isinstance(source, str) else None
    return msgspec.convert(known, NewFlow)

"""Projects: where flows live, each with a name of its own among its owner's."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET, Meta, UnsetType

from application.auth_settings import AskedSettings, WantedAccess, wanted_access
from application.commands import (
    Done,
    Turns,
    answer_of,
    deciding_again,
    ids_in,
    part_of,
    together,
)
from application.flows import Changes, Drafts, Flows, NewFlow
from application.names import Name
from application.permissions import Permissions, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    ConcurrencyError,
    EventStore,
    Owned,
    Ownership,
    Saved,
    Vault,
)
from application.project_tree import ProjectTree
from application.repeats import once
from domain.flow.names import next_name
from domain.kernel import DomainError
from domain.project.project import Project

FIRST_PROJECT: Final = "Starter Project"
MOST_FLOWS: Final = 10_000

Description = Annotated[str, Meta(max_length=10_000)]
FlowIds = Annotated[list[UUID], Meta(max_length=MOST_FLOWS)]
NAMING_TRIES: Final = 8


class ProjectNameTakenError(DomainError):
    """Another of your projects has this name."""


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a project is to be; flows that are not listed move to the first one."""

    name: Name | None = None
    description: Description | None = None
    parent_id: UUID | UnsetType | None = UNSET
    flows: FlowIds | UnsetType = UNSET
    components: FlowIds | UnsetType = UNSET
    auth_settings: AskedSettings = UNSET

    @property
    def wanted(self) -> list[UUID] | None:
        """The flows that are to lie in it; None where nothing is said of them."""
        if self.flows is UNSET and self.components is UNSET:
            return None
        return [*(self.flows or ()), *(self.components or ())]


def project_claim(owner: UUID, name: str, project: UUID) -> Claim:
    """Return the claim on a project's name."""
    return Claim("project-name", f"{owner}/{name}", project)


def _owned(project: Project) -> Owned:
    return Owned(project.id, "project", project.owner, project.parent)


class Projects:
    """Load a project, let it decide, store what it decided."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        ownership: Ownership,
        flows: Flows,
        vault: Vault,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._claims = claims
        self._ownership = ownership
        self._permissions = Permissions(ownership)
        self._flows = flows
        self._vault = vault
        self._tree = ProjectTree(claims, ownership)
        self._new_id = new_id
        self._turns: Turns[UUID] = Turns()

    async def get(self, project_id: UUID) -> Project:
        """Return a project as the log has it now."""
        return await self._store.load(Project, project_id)

    async def first_of(self, owner: UUID) -> UUID | None:
        """Return the project that flows without one go to."""
        found = await self._claims.holder("project-name", f"{owner}/{FIRST_PROJECT}")
        return found or next(iter(await self.owned_by(owner)), None)

    async def owned_by(self, owner: UUID) -> list[UUID]:
        """Return all projects of *owner*."""
        names = await self._claims.taken("project-name", f"{owner}/")
        return [claim.holder for claim in names]

    async def home(self, actor: Actor, wanted: UUID | None, *, cause: Cause) -> UUID:
        """
        Return the project a new flow goes to: the wanted one, else the first.

        An unknown or foreign one counts as none, as clients rely on.
        """
        owner = person(actor)
        owned = await self._ownership.of(wanted) if wanted else None
        if owned and owned.kind == "project" and owned.owner == owner:
            return owned.resource
        if first := await self.first_of(owner):
            return first
        opened = await self.open(actor, FIRST_PROJECT, cause=part_of(cause, "home"))
        return opened.result.id

    async def open(
        self,
        actor: Actor,
        name: str,
        *,
        cause: Cause,
        description: str | None = None,
        parent: UUID | None = None,
        flows: Sequence[UUID] = (),
        bring: Sequence[NewFlow] = (),
        auth_settings: AskedSettings = UNSET,
    ) -> Done[Project]:
        """
        Open a project, with *flows* moved into it and *bring* created in it.

        A *parent* that is unknown or another's answers as if it were not there.
        """
        if parent is not None:
            await self._permissions.require(actor, "project", parent)
        owner = person(actor)
        access = await wanted_access(auth_settings, owner=owner, vault=self._vault)
        async with self._turns.of(owner):
            return await self._open_named(
                actor,
                name,
                cause=cause,
                description=description,
                parent=parent,
                flows=flows,
                bring=bring,
                access=access,
            )

    async def _open_named(
        self,
        actor: Actor,
        name: str,
        *,
        cause: Cause,
        description: str | None,
        parent: UUID | None,
        flows: Sequence[UUID],
        bring: Sequence[NewFlow],
        access: WantedAccess,
    ) -> Done[Project]:
        owner = person(actor)
        moved = await self._permissions.among(actor, "flow", flows)
        for _ in range(NAMING_TRIES):
            project = Project.open(
                self._new_id(),
                owner=owner,
                name=await self._free_name(owner, name),
                description=description,
                parent=parent,
            )
            secrets = access.decide(project)
            into = await self._flows.moved(moved, project.id)
            drafts = await self._flows.drafts(
                bring,
                owner=owner,
                projects=[project.id] * len(bring),
                imported=True,
            )
            try:
                return await self._save_opened(
                    project, into, drafts, secrets, cause=cause
                )
            except ClaimTakenError:
                continue
        raise ProjectNameTakenError

    async def _save_opened(
        self,
        project: Project,
        into: Changes,
        drafts: Drafts,
        secrets: Attached,
        *,
        cause: Cause,
    ) -> Done[Project]:
        saved = await self._store.save(
            project,
            *into.aggregates,
            *drafts.flows,
            cause=cause,
            attached=together(
                Attached(
                    claims=(project_claim(project.owner, project.name, project.id),),
                    owned=(_owned(project),),
                ),
                await self._placed(project),
                secrets,
                into.attached,
                drafts.attached,
            ),
            answer=answer_of(project.id),
        )
        if saved.repeated:
            [repeated] = ids_in(saved.answer)
            return Done(await self.get(repeated), saved.position)
        await self._flows.draw(drafts)
        return Done(project, saved.position)

    async def change(
        self, actor: Actor, project_id: UUID, change: ProjectChange, *, cause: Cause
    ) -> Done[Project]:
        """
        Give a project another name; or else make its list of flows the given one.

        A request that renames does nothing else, but for who may call its tools:
        clients send an empty list of flows with it and do not mean it.
        """
        owned = await self._permissions.require(actor, "project", project_id)
        access = await wanted_access(
            change.auth_settings, owner=owned.owner, vault=self._vault
        )

        async def attempt() -> Done[Project]:
            project = await self.get(project_id)
            secrets = access.decide(project)
            if change.name and change.name != project.name:
                return await self._rename(project, change.name, secrets, cause=cause)
            return await self._rearrange(actor, project, change, secrets, cause=cause)

        return await deciding_again(attempt)

    async def _rename(
        self, project: Project, name: str, secrets: Attached, *, cause: Cause
    ) -> Done[Project]:
        before = project_claim(project.owner, project.name, project.id)
        project.rename(name)
        try:
            saved = await self._store.save(
                project,
                cause=cause,
                attached=together(
                    Attached(
                        claims=(project_claim(project.owner, name, project.id),),
                        released=(before,),
                    ),
                    secrets,
                ),
            )
        except ClaimTakenError as taken:
            raise ProjectNameTakenError from taken
        return Done(project, saved.position)

    async def _rearrange(
        self,
        actor: Actor,
        project: Project,
        change: ProjectChange,
        secrets: Attached,
        *,
        cause: Cause,
    ) -> Done[Project]:
        if change.description is not None and change.description != project.description:
            project.describe(change.description)
        placed = Attached()
        if change.parent_id is not UNSET and change.parent_id != project.parent:
            if change.parent_id is not None:
                await self._permissions.require(actor, "project", change.parent_id)
            project.move(change.parent_id)
            owned = Attached(owned=(_owned(project),))
            placed = together(await self._placed(project), owned)
        into = out = Changes()
        if (wanted := change.wanted) is not None:
            mine = await self._permissions.among(actor, "flow", wanted)
            into = await self._flows.moved(mine, project.id)
            out = await self._out_of(actor, project, set(wanted))
        aggregates = [project, *into.aggregates, *out.aggregates]
        try:
            saved = await self._store.save(
                *(one for one in aggregates if one.recorded),
                cause=cause,
                attached=together(placed, secrets, into.attached, out.attached),
            )
        except ClaimTakenError as taken:
            raise ConcurrencyError from taken
        return Done(project, saved.position)

    async def _placed(self, project: Project) -> Attached:
        """Return what lets a project lie where it lies now, or refuse it there."""
        if project.parent is None:
            return Attached()
        return await self._tree.moving(project.owner, project.id, project.parent)

    async def _out_of(self, actor: Actor, project: Project, kept: set[UUID]) -> Changes:
        first = await self.first_of(project.owner)
        if first is None or first == project.id:
            return Changes()
        inside = await self._ownership.in_project(project.id, "flow")
        leaving = [flow for flow in inside if flow not in kept]
        owned = await self._permissions.among(actor, "flow", leaving)
        return await self._flows.moved(owned, first)

    async def delete(
        self, actor: Actor, project_id: UUID, *, cause: Cause
    ) -> Done[None]:
        """
        Delete a project with the flows in it.

        Projects that lie in it move up, to where it lay.
        """

        async def again(before: Saved) -> Done[None]:
            return Done(None, before.position)

        async def attempt() -> Done[None]:
            removed = await self._removal(project_id)
            try:
                saved = await self._store.save(
                    *removed.aggregates, cause=cause, attached=removed.attached
                )
            except ClaimTakenError as taken:  # something came to lie in it meanwhile
                raise ConcurrencyError from taken
            await self._flows.clean_up(removed.flows, cause=cause)
            return Done(None, saved.position)

        async def first() -> Done[None]:
            await self._permissions.require(actor, "project", project_id)
            return await deciding_again(attempt)

        return await once(self._store, cause, again=again, attempt=first)

    async def _removal(self, project_id: UUID) -> Changes:
        project = await self.get(project_id)
        project.delete()
        up = await self._moving_up(project)
        inside = await self._ownership.in_project(project_id, "flow")
        flows = await self._flows.removal(inside)
        attached = Attached(
            released=(project_claim(project.owner, project.name, project.id),),
            disowned=(project.id,),
            destroyed=project.secrets,
        )
        return Changes(
            (project, *up.aggregates, *flows.aggregates),
            together(attached, up.attached, flows.attached),
            flows.flows,
        )

    async def _moving_up(self, gone: Project) -> Changes:
        """Decide that what lies in a project that goes lies where it lay."""
        # First, so that what comes to lie in it meanwhile makes us decide again.
        turn = await self._tree.changing(gone.owner)
        inner = await self._ownership.in_project(gone.id, "project")
        moved = [await self.get(one) for one in inner]
        for project in moved:
            project.move(gone.parent)
        owned = Attached(owned=tuple(_owned(project) for project in moved))
        return Changes(tuple(moved), together(turn, owned))

    async def _free_name(self, owner: UUID, name: str) -> str:
        prefix = f"{owner}/"
        taken = await self._claims.taken("project-name", prefix + name)
        return next_name(name, {claim.key.removeprefix(prefix) for claim in taken})

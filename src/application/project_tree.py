"""How projects lie in one another: never in a circle, and never too deep."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from application.ports import Attached, Claim, Claims, Ownership
from domain.kernel import DomainError
from domain.project.project import ProjectInItselfError

DEEPEST: Final = 8
"""How many projects may lie in one another, the outermost counted."""

type Parents = Mapping[UUID, UUID | None]


class ProjectTooDeepError(DomainError):
    """Projects can lie eight deep in one another."""


class ProjectTree:
    """The projects of an owner by the project that each lies in."""

    def __init__(self, claims: Claims, ownership: Ownership) -> None:
        self._claims = claims
        self._ownership = ownership

    async def moving(self, owner: UUID, project: UUID, parent: UUID) -> Attached:
        """
        Return what the save takes along that puts *project* into *parent*.

        Another change of the tree that comes first makes it fail with
        `ClaimTakenError`: then decide again. Raise `ProjectInItselfError` or
        `ProjectTooDeepError`.
        """
        attached = await self.changing(owner)
        parents = await self._parents(owner)
        above = _above(parent, parents)
        if project in above:
            raise ProjectInItselfError
        if len(above) + _height(project, parents) > DEEPEST:
            raise ProjectTooDeepError
        return attached

    async def changing(self, owner: UUID) -> Attached:
        """Return what a save takes along, so that no two change the tree at once."""
        before = await self._claims.holder("project-tree", str(owner))
        turn = Claim("project-tree", str(owner), uuid4())
        if before is None:
            return Attached(claims=(turn,))
        old = Claim("project-tree", str(owner), before)
        return Attached(claims=(turn,), released=(old,))

    async def _parents(self, owner: UUID) -> Parents:
        names = await self._claims.taken("project-name", f"{owner}/")
        owned = await self._ownership.of_each([claim.holder for claim in names])
        return {one.resource: one.project for one in owned}


def _above(project: UUID, parents: Parents) -> list[UUID]:
    """Return *project* and what it lies in, from the inside out."""
    above: list[UUID] = []
    here: UUID | None = project
    while here is not None and here not in above:
        above.append(here)
        here = parents.get(here)
    return above


def _height(project: UUID, parents: Parents) -> int:
    """Return how many projects lie in one another from *project* inwards."""
    lying = [one for one in parents if project in _above(one, parents)]
    return max((_above(one, parents).index(project) + 1 for one in lying), default=1)

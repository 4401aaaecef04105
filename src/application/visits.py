"""Visits: strangers run flows that their owners made public, each apart from others."""

from typing import Final
from uuid import NAMESPACE_DNS, NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec

from application.execution.flows import FlowsToRun, FlowToRun
from application.permissions import NotFoundError
from application.ports import (
    SYSTEM,
    Actor,
    Cause,
    EventStore,
    StreamNotFoundError,
)
from application.runs import Requested, Runs
from application.standing import Standings
from domain.kernel import DomainError
from domain.run.asked import Asked
from domain.run.run import Run

NOBODY: Final = UUID(int=0)


class NotPublicError(DomainError):
    """Flow is not public."""


def visited(flow: UUID, client: str) -> UUID:
    """Return what a visitor has of *flow*, as the front end knows it by, too."""
    return uuid5(NAMESPACE_DNS, f"{client}_{flow}")


class Visits:
    """
    Runs stored flows for strangers, on the owner's behalf.

    A visitor is who has a ``client`` cookie. What they say and are answered lies
    under a flow id of their own, so no visitor hears of another, nor of the owner.
    """

    def __init__(
        self, runs: Runs, flows: FlowsToRun, store: EventStore, accounts: Standings
    ) -> None:
        self._runs = runs
        self._flows = flows
        self._store = store
        self._accounts = accounts

    async def request(
        self, flow_id: UUID, client: str, asked: Asked, *, cause: Cause
    ) -> Requested:
        """Run a public flow as it is stored, or raise `NotPublicError`."""
        flow = await self._public(flow_id)
        theirs = msgspec.structs.replace(
            flow, id=visited(flow_id, client), source=flow_id
        )
        visitor = Actor(user=NOBODY, credential=f"visit:{theirs.id}")
        mine = msgspec.structs.replace(cause, actor=visitor)
        if cause.idempotent:
            # Visitors have no user, whose keys are kept apart from others'.
            named = f"visit/{theirs.id}/{cause.command_id}"
            mine = msgspec.structs.replace(mine, command_id=uuid5(NAMESPACE_URL, named))
        return await self._runs.request(theirs, asked, trigger="public", cause=mine)

    async def require(self, client: str, run_id: UUID) -> UUID:
        """
        Return the flow of that visitor's run, or raise `NotFoundError`.

        What its owner has closed since is no longer shown.
        """
        try:
            run = await self._store.load(Run, run_id)
        except StreamNotFoundError:
            raise NotFoundError("run", run_id) from None
        if run.source is None or run.flow != visited(run.source, client):
            raise NotFoundError("run", run_id)
        try:
            await self._public(run.source)
        except NotPublicError:
            raise NotFoundError("run", run_id) from None
        return run.source

    async def cancel(self, client: str, run_id: UUID) -> bool:
        """Have a visitor's run stop; tell whether it has."""
        await self.require(client, run_id)
        return await self._runs.cancel(run_id, cause=in_their_stead())

    async def _public(self, flow_id: UUID) -> FlowToRun:
        try:
            flow = await self._flows.head(SYSTEM, flow_id)
        except NotFoundError:
            raise NotPublicError from None
        standing = await self._accounts.get(flow.owner)
        if flow.access != "PUBLIC" or standing is None or not standing.active:
            raise NotPublicError
        return flow


def in_their_stead() -> Cause:
    """Return why the server does what a visitor may not do themselves."""
    return Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())

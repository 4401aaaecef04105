"""From a request to a script: secrets put away, the graph read, the plan made."""

from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import msgspec

from application.documents import PASSWORD_FIELD
from application.execution.flows import FlowToRun
from application.execution.script import Script
from application.ports import (
    Attached,
    Cause,
    Content,
    Contents,
    Lease,
    Owned,
    Sealed,
    Vault,
)
from application.ports.components import RunFacts
from domain.flow import document as documents, secrets
from domain.kernel import ContentRef, DomainError, Json
from domain.run.asked import Asked
from domain.run.events import Trigger
from domain.run.graph import Graph, GraphError
from domain.run.guarded import check_guarded
from domain.run.run import Run
from domain.run.schedule import Plan, entrance, plan

LONGEST_SESSION = 512


class SessionRefusedError(DomainError):
    """A session's name has at most 512 characters, and no control characters."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run ready to be recorded.

    ``refusal`` is there instead of ``script`` when the flow cannot be carried out.
    """

    facts: RunFacts
    source: UUID | None
    request: ContentRef
    flow_version: int | None
    document: ContentRef | None
    plan: Plan
    contents: tuple[Content, ...]
    sealed: tuple[Sealed, ...]
    script: Script | None = None
    refusal: GraphError | None = None

    def requested(self, trigger: Trigger) -> Run:
        """Return the run with its request recorded."""
        facts = self.facts
        return Run.request(
            facts.run,
            flow=facts.flow,
            flow_name=facts.flow_name,
            owner=facts.owner,
            session=facts.session,
            trigger=trigger,
            request=self.request,
            flow_version=self.flow_version,
            document=self.document,
            first=self.plan.first,
            to_run=self.plan.to_run,
            source=self.source,
        )

    def attached(
        self, *, contents: tuple[Content, ...] = (), leases: tuple[Lease, ...] = ()
    ) -> Attached:
        """Return what is stored with the request."""
        facts = self.facts
        return Attached(
            owned=(Owned(facts.run, "run", facts.owner),),
            contents=(*self.contents, *contents),
            secrets=self.sealed,
            leases=leases,
        )


class Preparation:
    """Makes runs ready; nothing is stored by it."""

    def __init__(self, contents: Contents, vault: Vault) -> None:
        self._contents = contents
        self._vault = vault

    async def of(
        self,
        run: UUID,
        flow: FlowToRun,
        asked: Asked,
        *,
        document: Json | None,
        cause: Cause,
    ) -> Prepared:
        """Return the run of *flow*, or of the unsaved *document* that came along."""
        session = _checked(asked.session) or str(flow.id)
        bare, kept, unsaved = flow.document, _PutAway({}), None
        if document is not None:
            kept = await self._document(document, flow)
            bare = kept.what
            unsaved = await self._contents.seal(flow.owner, msgspec.json.encode(bare))
        tweaks = await self._put_away(
            lambda seal: secrets.hide_tweaks(asked.tweaks, bare, seal), flow.owner
        )
        told = msgspec.structs.replace(asked, tweaks=tweaks.what)
        request = await self._contents.seal(flow.owner, msgspec.json.encode(told))
        script, refusal = None, None
        facts = _facts(run, flow, session)
        try:
            known = {**kept.plain, **tweaks.plain}
            script = await self._script(facts, bare, told, known, cause=cause)
        except GraphError as error:
            refusal = error
        return Prepared(
            facts=facts,
            source=flow.source,
            request=request.ref,
            flow_version=None if unsaved else flow.version,
            document=unsaved.ref if unsaved else None,
            plan=script.plan if script else Plan((), ()),
            contents=(request, *([unsaved] if unsaved else [])),
            sealed=(*kept.sealed, *tweaks.sealed),
            script=script,
            refusal=refusal,
        )

    async def _script(
        self,
        facts: RunFacts,
        bare: Json,
        asked: Asked,
        known: Mapping[UUID, str],
        *,
        cause: Cause,
    ) -> Script:
        unknown = [ref for ref in secrets.refs(bare) if ref not in known]
        opened = await self._vault.open(unknown) if unknown else {}
        plain = {**opened, **known}
        graph = Graph.of(secrets.reveal(bare, plain) if plain else bare)
        scopes = cause.actor.scopes
        check_guarded(graph, asked.tweaks, may_edit=scopes is None or "write" in scopes)
        through = None
        if asked.whole_run:
            through = entrance(graph, webhook=asked.payload is not None)
        return Script(
            graph,
            plan(graph, start=asked.start, stop=asked.stop, through=through),
            msgspec.structs.replace(
                asked, tweaks=secrets.reveal_tweaks(asked.tweaks, plain)
            ),
            facts,
            cause=cause,
            secrets=tuple(plain.values()),
        )

    async def _document(self, document: Json, flow: FlowToRun) -> "_PutAway":
        documents.check(document)
        bare, _ = documents.split(document)
        return await self._put_away(
            lambda seal: secrets.hide(bare, flow.document, seal), flow.owner
        )

    async def _put_away(
        self, hide: Callable[[Callable[[str], UUID]], secrets.Hidden], owner: UUID
    ) -> "_PutAway":
        # The vault gives secrets their ids, so hide once to learn what is secret,
        # and again with those ids.
        literals = [plain for _, plain in hide(lambda _: uuid4()).sealed]
        sealed = [
            await self._vault.seal(owner, PASSWORD_FIELD, one) for one in literals
        ]
        ids = iter([one.id for one in sealed])
        hidden = hide(lambda _: next(ids))
        return _PutAway(hidden.document, tuple(sealed), dict(hidden.sealed))


def _facts(run: UUID, flow: FlowToRun, session: str) -> RunFacts:
    visits = flow.source is not None
    return RunFacts(run, flow.id, flow.name, flow.owner, session, apart=visits)


class _PutAway(msgspec.Struct, frozen=True):
    what: Json
    sealed: tuple[Sealed, ...] = ()
    plain: dict[UUID, str] = {}


def _checked(session: str | None) -> str:
    name = session or ""
    if len(name) > LONGEST_SESSION or any(ord(letter) < ord(" ") for letter in name):
        raise SessionRefusedError
    return name

"""What was said in the sessions of flows: edited, renamed, removed, forgotten."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from application.commands import Done, deciding_again, part_of, together
from application.names import Name
from application.permissions import NotFoundError, owns, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    Contents,
    EventStore,
    Position,
    Saved,
)
from application.repeats import once
from domain.kernel import ContentRef, DomainError, Json
from domain.run.events import MessageEmitted
from domain.run.run import Run
from domain.thread.events import MessageEdited, MessagePosted
from domain.thread.thread import Thread

AT_ONCE: Final = 500
"""Messages that one save removes, where all of a flow's go."""


class NoSuchSessionError(DomainError):
    """No messages found with the given session ID."""


class MessageChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is to be; absent and null fields stay as they are."""

    text: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    session_id: Name | None = None
    files: list[str] | None = None
    edit: bool | None = None
    error: bool | None = None
    properties: dict[str, Any] | None = None


class Place(Protocol):
    """Where a message lies: in which thread."""

    @property
    def id(self) -> UUID: ...

    @property
    def thread(self) -> UUID: ...


class Said(Place, Protocol):
    """A message: one row of the read model."""

    @property
    def owner(self) -> UUID: ...

    @property
    def flow_id(self) -> UUID: ...

    @property
    def session_id(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def sender_name(self) -> str: ...

    @property
    def content(self) -> ContentRef: ...


class Placed(Place, Protocol):
    """Where a message lies, and when in the log."""

    @property
    def position(self) -> int: ...


class WhatWasSaid(Protocol):
    """The messages that were said, by id or by session."""

    async def get(self, ids: Sequence[UUID], /) -> Sequence[Said]: ...

    async def in_session(self, owner: UUID, session: str, /) -> Sequence[Said]: ...

    async def in_flow(
        self, owner: UUID, flow: UUID, session: str | None, /, *, after: int, limit: int
    ) -> Sequence[Placed]: ...


class Messages:
    """
    Load threads, let them decide, store what they decided.

    Runs post to threads all the time, and what people do here does not depend on
    it: so all of it is appended after whatever a thread holds by then.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        contents: Contents,
        said: WhatWasSaid,
    ) -> None:
        self._store = store
        self._claims = claims
        self._contents = contents
        self._said = said

    async def edit(
        self, actor: Actor, message_id: UUID, change: MessageChange, *, cause: Cause
    ) -> Done[dict[str, Json]]:
        """Let a message read otherwise; return it as it reads now."""
        rows = await self._said.get([message_id])
        row = next((row for row in rows if owns(actor, row.owner)), None)
        plain = await self._contents.open([row.content.id]) if row else {}
        if row is None or row.content.id not in plain:
            raise NotFoundError("message", message_id)
        message = msgspec.json.decode(plain[row.content.id], type=dict[str, Any])
        message |= {"session_id": row.session_id} | _changed(message, change)
        content = await self._contents.seal(row.owner, msgspec.json.encode(message))
        thread = await self._store.load(Thread, row.thread)
        thread.edit(
            row.id,
            content=content.ref,
            sender=message["sender"],
            sender_name=message["sender_name"],
            session=message["session_id"],
        )
        saved = await self._store.save(
            cause=cause, anywhere=(thread,), attached=Attached(contents=(content,))
        )
        return Done(message | {"id": str(row.id)}, saved.position)

    async def remove(
        self, actor: Actor, messages: Sequence[UUID], *, cause: Cause
    ) -> Done[None]:
        """Remove those of *messages* that are *actor*'s, and their contents."""
        rows = [row for row in await self._said.get(messages) if owns(actor, row.owner)]
        return await self._remove(rows, cause=cause)

    async def remove_session(
        self, actor: Actor, session: str, *, cause: Cause
    ) -> Done[None]:
        """Remove all that was said in *actor*'s session, whatever the flow."""
        rows = await self._said.in_session(person(actor), session)
        return await self._remove(rows, cause=cause)

    async def clear(
        self, actor: Actor, flow: UUID, session: str | None, *, cause: Cause
    ) -> Done[None]:
        """Remove all that *actor*'s flow was told and said, or a session of it."""
        position, after = Position(), 0
        while places := await self._said.in_flow(
            person(actor), flow, session, after=after, limit=AT_ONCE
        ):
            after = places[-1].position
            step = part_of(cause, f"clear to {places[-1].id}")
            done = await self._remove(places, cause=step)
            position = position.upto(done.position)
        return Done(None, position)

    async def _remove(self, rows: Sequence[Place], *, cause: Cause) -> Done[None]:
        threads: list[Thread] = []
        forgotten: list[UUID] = []
        for thread_id, inside in _by_thread(rows):
            thread = await self._store.load(Thread, thread_id)
            going = {row.id for row in inside}
            for message in going:
                thread.remove(message)
            forgotten += await self._contents_of(thread_id, going)
            threads.append(thread)
        blobs = await self._contents.blobs_of(forgotten)
        saved = await self._store.save(
            cause=cause,
            anywhere=tuple(thread for thread in threads if thread.recorded),
            attached=Attached(forgotten=tuple(forgotten)),
        )
        await self._contents.discard(blobs)
        return Done(None, saved.position)

    async def forget_run(self, run_id: UUID, *, cause: Cause) -> Done[None]:
        """
        Delete what an ended run was asked, came to and said; its steps stay.

        Raise `RunGoesOnError` where it has not ended, `NotFoundError` where that
        was done before.
        """

        async def again(before: Saved) -> Done[None]:
            return Done(None, before.position)

        async def attempt() -> Done[None]:
            run = await self._store.load(Run, run_id)
            if run.forgotten:
                raise NotFoundError("run", run_id)
            run.forget()
            forgotten, said = await self._left_by(run_id)
            threads: list[Thread] = []
            for thread_id, messages in said.items():
                thread = await self._store.load(Thread, thread_id)
                if thread.deleted:
                    continue
                for message in messages:
                    thread.remove(message)
                forgotten |= {*await self._contents_of(thread_id, messages)}
                threads.append(thread)
            blobs = await self._contents.blobs_of(list(forgotten))
            saved = await self._store.save(
                run,
                cause=cause,
                anywhere=tuple(thread for thread in threads if thread.recorded),
                attached=Attached(forgotten=tuple(forgotten)),
            )
            await self._contents.discard(blobs)
            return Done(None, saved.position)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def _left_by(self, run: UUID) -> tuple[set[UUID], dict[UUID, list[UUID]]]:
        """Return every content that a run names, and what it said in which thread."""
        contents: set[UUID] = set()
        said: dict[UUID, list[UUID]] = {}
        after = 0
        while page := await self._store.read_stream("runs", run, after=after):
            after = page[-1].version
            for recorded in page:
                event = recorded.event
                named = (getattr(event, name) for name in event.__struct_fields__)
                contents |= {ref.id for ref in named if isinstance(ref, ContentRef)}
                if isinstance(event, MessageEmitted):
                    said.setdefault(event.thread, []).append(event.message)
        return contents, said

    async def rename_session(
        self, actor: Actor, session: str, name: str, *, cause: Cause
    ) -> Done[None]:
        """Give *actor*'s session another name; one that exists takes it in."""
        rows = await self._said.in_session(person(actor), session)
        if not rows:
            raise NoSuchSessionError

        async def attempt() -> Done[None]:
            threads: list[Thread] = []
            attached: list[Attached] = []
            for thread_id, inside in _by_thread(rows):
                thread = await self._store.load(Thread, thread_id)
                attached.append(await self._renamed(thread, inside, session, name))
                threads.append(thread)
            saved = await self._store.save(
                cause=cause,
                anywhere=tuple(thread for thread in threads if thread.recorded),
                attached=together(*attached),
            )
            return Done(None, saved.position)

        try:
            return await attempt()
        except ClaimTakenError:  # the session began this very moment: join it
            return await attempt()

    async def _renamed(
        self, thread: Thread, rows: Sequence[Said], session: str, name: str
    ) -> Attached:
        there = await self._claims.holder("thread", f"{thread.flow}/{name}")
        if thread.session == session and there in {None, thread.id}:
            thread.rename(name)
            return Attached(
                claims=(Claim("thread", f"{thread.flow}/{name}", thread.id),),
                released=(Claim("thread", f"{thread.flow}/{session}", thread.id),),
            )
        for row in rows:
            thread.edit(
                row.id,
                content=row.content,
                sender=row.sender,
                sender_name=row.sender_name,
                session=name,
            )
        return Attached()

    async def forget_flows(self, flows: Sequence[UUID], *, cause: Cause) -> None:
        """Do what `forget_flow` does for those of *flows* whose runs left anything."""
        places = [f"{flow}/" for flow in flows]
        left = {
            *await self._claims.any_of("thread", places),
            *await self._claims.any_of("frozen", places),
        }
        for flow in flows:
            if f"{flow}/" in left:
                await self.forget_flow(flow, cause=cause)

    async def forget_flow(self, flow: UUID, *, cause: Cause) -> Position:
        """Delete what runs of a deleted flow left: its threads, and frozen results."""
        await self._forget_results(flow, cause=cause)
        position = Position()
        for claim in await self._claims.taken("thread", f"{flow}/"):
            thread = await self._store.load(Thread, claim.holder)
            thread.delete()
            forgotten = await self._contents_of(thread.id, None)
            blobs = await self._contents.blobs_of(forgotten)
            saved = await self._store.save(
                cause=part_of(cause, claim.key),
                anywhere=(thread,),
                attached=Attached(
                    released=(claim,),
                    disowned=(thread.id,),
                    forgotten=tuple(forgotten),
                ),
            )
            await self._contents.discard(blobs)
            position = position.upto(saved.position)
        return position

    async def _forget_results(self, flow: UUID, *, cause: Cause) -> None:
        results = await self._claims.taken("frozen", f"{flow}/")
        if not results:
            return
        contents = [claim.holder for claim in results]
        blobs = await self._contents.blobs_of(contents)
        await self._store.save(
            cause=part_of(cause, f"{flow} frozen"),
            attached=Attached(released=results, forgotten=contents),
        )
        await self._contents.discard(blobs)

    async def _contents_of(
        self, thread: UUID, messages: Iterable[UUID] | None
    ) -> list[UUID]:
        """Return every content that *messages* ever had; ``None`` means all."""
        wanted = None if messages is None else set(messages)
        found: list[UUID] = []
        after = 0
        while page := await self._store.read_stream("runs", thread, after=after):
            after = page[-1].version
            found += [
                recorded.event.content.id
                for recorded in page
                if isinstance(recorded.event, MessagePosted | MessageEdited)
                and (wanted is None or recorded.event.message in wanted)
            ]
        return found


def _by_thread[P: Place](rows: Iterable[P]) -> list[tuple[UUID, list[P]]]:
    grouped: dict[UUID, list[P]] = {}
    for row in rows:
        grouped.setdefault(row.thread, []).append(row)
    return list(grouped.items())


def _changed(message: dict[str, Json], change: MessageChange) -> dict[str, Json]:
    given = {
        name: value
        for name, value in msgspec.structs.asdict(change).items()
        if value is not None
    }
    if change.properties is not None:
        known = message.get("properties")
        given["properties"] = (known if isinstance(known, dict) else {}) | (
            change.properties
        )
    if change.text is not None and change.text != message.get("text"):
        given["edit"] = True
    return given

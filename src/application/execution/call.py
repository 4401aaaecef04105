"""One carrying-out of one vertex, as its component sees it."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Protocol
from uuid import UUID

import msgspec

from application.execution.journal import Decision, Post, on_firm_ground
from application.execution.messages import message_data, message_of, stamp
from application.execution.outcome import Log
from application.execution.script import Script, World
from application.execution.speech import Speech
from application.ids import new_id
from application.ports import Content
from application.ports.components import (
    Feed,
    FileFacts,
    FileMissingError,
    FileTooLongError,
    RunFacts,
)
from application.ports.files import OpenedFile
from domain.kernel import Json
from domain.run.run import Run
from domain.run.values import Message, Properties, Source, Value
from domain.thread.thread import Thread


class Step(msgspec.Struct):
    """What a vertex has decided and not yet written."""

    decisions: list[Decision] = msgspec.field(default_factory=list)
    contents: list[Content] = msgspec.field(default_factory=list)
    posts: list[Post] = msgspec.field(default_factory=list)


class Stage(Protocol):
    """The run around a call: what it shares with the other vertices."""

    world: World
    script: Script
    speeches: dict[str, Speech]
    said: list[Message]

    @property
    def version(self) -> int: ...

    async def write(self, step: Step) -> None: ...


class Call:
    """
    Gathers what a component says and does, for the step that records it.

    A component without outside effects (*pure*) has everything written at its end;
    another's messages are written as they come.
    """

    def __init__(self, stage: Stage, vertex: str) -> None:
        self.step = Step()
        self.logs: dict[str, list[Log]] = {}
        self.stopped: list[str] = []
        self.pure = True
        self.frozen = False
        self.fields: Mapping[str, Value] = {}
        self.feeds: Mapping[str, Sequence[Feed]] = {}
        self._stage = stage
        self._script = stage.script
        self._world = stage.world
        self._vertex = vertex
        self._hearer = stage.script.hearer(vertex)

    @property
    def vertex(self) -> str:
        return self._vertex

    @property
    def type(self) -> str:
        return self._script.vertex(self._vertex).type

    @property
    def node(self) -> Mapping[str, Json]:
        return self._script.vertex(self._vertex).node

    @property
    def display_name(self) -> str:
        return self._script.vertex(self._vertex).display_name

    @property
    def wanted(self) -> Sequence[str]:
        return self._script.graph.wanted(self._vertex)

    @property
    def facts(self) -> RunFacts:
        return self._script.facts

    @property
    def speaking(self) -> bool:
        return self._hearer is not None

    async def emit(self, message: Message) -> Message:
        """Store *message* in its session and show it, under a new id."""
        speech = self._speech_heard()
        if speech is not None:
            await speech.close()
        emitted = msgspec.structs.replace(
            message,
            id=speech.id if speech else str(new_id()),
            flow_id=str(self.facts.flow),
            session_id=message.session_id or self.facts.session,
            timestamp=stamp(self._world.now()),
            properties=msgspec.structs.replace(message.properties),
        )
        await self.say(emitted, streamed=speech is not None)
        if not self.pure:
            await self._stage.write(self._taken())
        return emitted

    async def say(self, message: Message, *, streamed: bool = False) -> None:
        """Put *message* into the step: the run emits it, and its thread posts it."""
        facts = self.facts
        thread, content = await self._kept(message)
        message_id, vertex, category = UUID(message.id), self._vertex, message.category

        def emitted(run: Run) -> None:
            run.emit(
                message=message_id,
                thread=thread,
                vertex=vertex,
                content=content.ref,
                category=category,
                streamed=streamed,
            )

        def posted(stream: Thread) -> None:
            stream.post(
                message=message_id,
                flow=facts.flow,
                session=message.session_id,
                sender=message.sender,
                sender_name=message.sender_name,
                category=category,
                content=content.ref,
                run=facts.run,
                vertex=vertex,
            )

        self.step.decisions.append(emitted)
        self.step.contents.append(content)
        self.step.posts.append(Post(thread, posted))
        if message.category != "error":
            self._stage.said.append(message)

    async def _kept(self, message: Message) -> tuple[UUID, Content]:
        facts, cause = self.facts, self._script.cause
        data = msgspec.json.encode(message_data(message))
        with on_firm_ground():
            thread = await self._world.threads.of(
                facts.flow, message.session_id, owner=facts.owner, cause=cause
            )
            return thread, await self._world.contents.seal(facts.owner, data)

    async def token(self, chunk: str) -> None:
        """Stream a piece of text into the chat, if this vertex speaks."""
        if self._hearer is None:
            return
        speech = self._stage.speeches.get(self._vertex)
        if speech is None:
            speech = self._speech(self._hearer)
            self._stage.speeches[self._vertex] = speech
        await speech.token(chunk)

    async def model_called(
        self,
        *,
        provider: str,
        model: str,
        input_tokens: int | None,
        output_tokens: int | None,
        duration_ms: int,
    ) -> None:
        """Record that a model answered, with whatever is written next."""
        vertex = self._vertex
        self.step.decisions.append(
            lambda run: run.model_called(
                vertex=vertex,
                provider=provider,
                model=model,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                duration_ms=duration_ms,
            )
        )

    async def history(
        self,
        *,
        session: str,
        limit: int,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[Message]:
        """
        Return the last messages: those that can be read, then this run's own.

        Between them stand those that the request brought along: they become no
        messages.
        """
        own = [one for one in self._stage.said if one.session_id == session]
        mine = {message.id for message in own}
        stored: list[Message] = []
        if not self._script.asked.alone:
            stored = await self._stored(
                session, limit=limit, sender=sender, sender_name=sender_name
            )
        messages = [
            message
            for message in (
                *(one for one in stored if one.id not in mine),
                *self._told(session),
                *own,
            )
            if sender in (None, message.sender)
            and sender_name in (None, message.sender_name)
        ]
        messages = messages[-limit:] if limit > 0 else []
        return messages[::-1] if descending else messages

    async def _stored(
        self, session: str, *, limit: int, sender: str | None, sender_name: str | None
    ) -> list[Message]:
        with on_firm_ground():
            recent = await self._world.history.recent(
                owner=self.facts.owner,
                flow=self.facts.flow if self.facts.apart else None,
                session=session,
                limit=limit,
                sender=sender,
                sender_name=sender_name,
            )
        return [message_of(data) for data in recent]

    def _told(self, session: str) -> list[Message]:
        if session != self.facts.session:
            return []
        return [
            Message(
                text=turn.text,
                sender=turn.sender,
                sender_name=turn.sender_name,
                session_id=session,
                flow_id=str(self.facts.flow),
            )
            for turn in self._script.asked.told
        ]

    async def find_file(self, path: str) -> FileFacts:
        """Look for a file of the run's owner."""
        file = await self._opened(path, end=0)
        await file.chunks.aclose()
        return FileFacts(file.path, file.name, file.media_type, file.size)

    async def read_file(self, path: str, *, most: int) -> bytes:
        """Return the bytes of a file of the run's owner, if they are not too many."""
        file = await self._opened(path)
        async with aclosing(file.chunks) as chunks:
            if file.size > most:
                raise FileTooLongError(f"“{file.name}” has more than {most} bytes")
            with on_firm_ground():
                return b"".join([chunk async for chunk in chunks])

    async def _opened(self, path: str, *, end: int | None = None) -> OpenedFile:
        with on_firm_ground():
            file = await self._world.files.of_owner(self.facts.owner, path, end=end)
        if file is None:
            raise FileMissingError(f"You have no such file: “{path}”")
        return file

    def log(self, name: str, message: str) -> None:
        """Note something for the vertex's log."""
        self.logs.setdefault("", []).append(Log(name, message))

    def stop(self, output: str) -> None:
        """Inactivate what hangs on *output*."""
        self.stopped.append(output)

    def _taken(self) -> Step:
        taken, self.step = self.step, Step()
        return taken

    def _speech(self, hearer: str) -> Speech:
        script, feed = self._script, self._script.feed(self._vertex)
        message = Message(
            sender=script.text(hearer, "sender") or "Machine",
            sender_name=script.text(hearer, "sender_name") or "AI",
            session_id=script.text(hearer, "session_id") or self.facts.session,
            properties=Properties(
                text_color=script.text(hearer, "text_color"),
                background_color=script.text(hearer, "background_color"),
                icon=script.text(hearer, "chat_icon") or feed.icon,
                source=Source(
                    id=feed.vertex,
                    display_name=feed.display_name,
                    source=feed.model or feed.display_name,
                ),
            ),
            id=str(new_id()),
            flow_id=str(self.facts.flow),
            timestamp=stamp(self._world.now()),
        )
        return Speech(
            self._world.signals,
            self.facts.run,
            vertex=self._vertex,
            message=message_data(message),
            version=lambda: self._stage.version,
        )

    def _speech_heard(self) -> Speech | None:
        """Return the speech that this vertex's message finishes, once."""
        for feed in self.feeds.get("input_value", ()):
            if self._script.hearer(feed.vertex) == self._vertex:
                return self._stage.speeches.pop(feed.vertex, None)
        return None

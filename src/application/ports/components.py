"""What a run needs of a component, and what a component may ask of its run."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from domain.kernel import DomainError, Json
from domain.run.values import Message, Value


class ComponentFailedError(DomainError):
    """A component could not do its work."""


class UnknownComponentError(DomainError):
    """This server has no component of that type."""


class MissingSettingError(ComponentFailedError):
    """The component needs something that nobody has given it."""


class FileMissingError(ComponentFailedError):
    """You have no such file."""


class FileTooLongError(ComponentFailedError):
    """The file is too large for this component."""


class FileFacts(msgspec.Struct, frozen=True):
    """A file that the run's owner has; ``size`` in bytes."""

    path: str
    name: str
    media_type: str
    size: int


class Feed(msgspec.Struct, frozen=True):
    """A vertex whose result came in over an edge: how a message names its source."""

    vertex: str
    display_name: str
    icon: str = ""
    model: str = ""


class RunFacts(msgspec.Struct, frozen=True):
    """
    The run a vertex is carried out in. ``session`` may be empty.

    ``apart`` says that whoever asked may not hear of the flow's other sessions.
    """

    run: UUID
    flow: UUID
    flow_name: str
    owner: UUID
    session: str
    apart: bool = False


class Invocation(Protocol):
    """One carrying-out of one vertex: its inputs, and its line to the run."""

    @property
    def vertex(self) -> str:
        """The vertex's id, such as ``ChatInput-xLWhw``."""
        ...

    @property
    def node(self) -> Mapping[str, Json]:
        """The component object inside the vertex: ``data.node`` of the document."""
        ...

    @property
    def display_name(self) -> str: ...

    @property
    def fields(self) -> Mapping[str, Value]:
        """Every input by field name, resolved: edges, variables, tweaks, types."""
        ...

    @property
    def feeds(self) -> Mapping[str, Sequence[Feed]]:
        """The vertices whose results came in, by field name."""
        ...

    @property
    def wanted(self) -> Sequence[str]:
        """The outputs to compute: those with an edge, or all where none has one."""
        ...

    @property
    def facts(self) -> RunFacts: ...

    @property
    def speaking(self) -> bool:
        """Whether text made here streams straight into the chat, token by token."""
        ...

    async def emit(self, message: Message) -> Message:
        """Store *message* in the session and show it; return it with id and time."""
        ...

    async def token(self, chunk: str) -> None:
        """Stream a piece of text into the chat; does nothing unless `speaking`."""
        ...

    async def model_called(
        self,
        *,
        provider: str,
        model: str,
        input_tokens: int | None,
        output_tokens: int | None,
        duration_ms: int,
    ) -> None:
        """Record that a model answered."""
        ...

    async def history(
        self,
        *,
        session: str,
        limit: int,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[Message]:
        """Return the last *limit* messages of the session, this run's included."""
        ...

    async def find_file(self, path: str) -> FileFacts:
        """Look for a file of the run's owner, or raise `FileMissingError`."""
        ...

    async def read_file(self, path: str, *, most: int) -> bytes:
        """
        Return the bytes of a file of the run's owner.

        Raise `FileMissingError`, or `FileTooLongError` beyond *most* of them.
        """
        ...

    def log(self, name: str, message: str) -> None:
        """Note something for the vertex's log."""
        ...

    def stop(self, output: str) -> None:
        """Inactivate what hangs on *output*: a router's other branch."""
        ...


class Component(Protocol):
    """
    A kind of vertex: a type name, typed inlets and outlets, and a coroutine.

    ``pure`` declares it free of outside effects, so its start and end may be
    recorded in one save.
    """

    type: str
    aliases: Sequence[str]
    category: str
    pure: bool

    def schema(self) -> dict[str, Json]:
        """Return the component object of ``GET /all``, in LangBuilder's shape."""
        ...

    def updated(
        self, node: Mapping[str, Json], field: str, value: Json
    ) -> dict[str, Json]:
        """Return *node* as it reads after the editor set *field* to *value*."""
        ...

    async def build(self, call: Invocation) -> Mapping[str, Value]:
        """
        Compute the wanted outputs by name.

        Raise `ComponentFailedError` with a sentence a person can act on.
        """
        ...


class Components(Protocol):
    """The components this server has."""

    def of(self, type_name: str) -> Component:
        """Return the component of a type or alias; else `UnknownComponentError`."""
        ...

    def catalogue(self) -> Mapping[str, Mapping[str, Json]]:
        """Return ``{category: {type: component object}}``, as ``GET /all`` serves."""
        ...

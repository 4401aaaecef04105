"""A flow's document on its way in and out: secrets to the vault, canvas aside."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID, uuid4

import msgspec

from application.ports import Canvas, Sealed, Vault
from domain.flow import document as documents, secrets, shape
from domain.kernel import Json

PASSWORD_FIELD = "flow-field"  # noqa: S105  (a kind of vault entry)


class Accepted(msgspec.Struct, frozen=True):
    """A document ready for events, and what was taken out of it."""

    document: Json
    canvas: dict[str, Json]
    sealed: tuple[Sealed, ...]


class Documents:
    """
    Take documents from clients and show them to clients.

    What goes into events has secrets by reference and no canvas state; what comes
    out has the placeholder in their stead and the canvas state last put.
    """

    def __init__(self, canvas: Canvas, vault: Vault) -> None:
        self._canvas = canvas
        self._vault = vault

    async def accept(self, document: Json, *, previous: Json, owner: UUID) -> Accepted:
        """Check *document* and take out secrets and canvas; *previous* is its base."""
        documents.check(document)
        bare, canvas = documents.split(document)
        # Sealing is asynchronous and hiding is pure: hide once to learn the
        # literals, seal them, then hide again with the ids the vault gave.
        literals: list[str] = []

        def note(literal: str) -> UUID:
            literals.append(literal)
            return uuid4()

        hidden = secrets.hide(bare, previous, note).document
        if not literals:
            return Accepted(hidden, canvas, ())
        sealed = [
            await self._vault.seal(owner, PASSWORD_FIELD, one) for one in literals
        ]
        ids = iter([one.id for one in sealed])
        hidden = secrets.hide(bare, previous, lambda _: next(ids)).document
        return Accepted(hidden, canvas, tuple(sealed))

    async def show(self, each: Mapping[UUID, Json]) -> dict[UUID, Json]:
        """Return each flow's document as the editor sees it."""
        return await self._drawn(each, secrets.show)

    async def export(self, each: Mapping[UUID, Json]) -> dict[UUID, Json]:
        """Return each flow's document as a file holds it: without secrets."""
        return await self._drawn(each, secrets.blank)

    async def draw_first(self, each: Mapping[UUID, Accepted]) -> None:
        """Keep the canvas states that came with new flows."""
        states = {flow: one.canvas for flow, one in each.items() if one.canvas}
        if states:
            await self._canvas.put(states)

    async def draw(self, flow: UUID, accepted: Accepted, head: Json) -> None:
        """
        Keep the canvas state that came with a document.

        Vertices of *head* that the client did not know keep the state they had.
        """
        mine = {node["id"] for node in shape.vertices(accepted.document)}
        theirs = {node["id"] for node in shape.vertices(head)} - mine
        state = dict(accepted.canvas)
        if theirs:
            last = (await self._canvas.of_each([flow])).get(flow, {})
            before = last.get("nodes", {})
            kept = {name: before[name] for name in theirs if name in before}
            state["nodes"] = state.get("nodes", {}) | kept
        await self._canvas.put({flow: state})

    async def drop(self, flows: Sequence[UUID]) -> None:
        """Forget the canvas state of *flows*."""
        await self._canvas.drop(flows)

    async def _drawn(
        self, each: Mapping[UUID, Json], told: Callable[[Json], Json]
    ) -> dict[UUID, Json]:
        states = await self._canvas.of_each(list(each)) if each else {}
        return {
            flow: documents.join(told(document), states.get(flow, {}))
            for flow, document in each.items()
        }

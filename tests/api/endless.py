"""Runs of which nothing more is heard: something else must end their streams."""

from uuid import UUID, uuid4

from api.composition import Application
from application.ports import SYSTEM, Attached, Cause, Owned
from domain.kernel import ContentRef
from domain.run.run import Run
from tests.api.conftest import Person


async def endless(
    application: Application,
    owner: Person,
    *,
    flow: UUID | None = None,
    source: UUID | None = None,
) -> UUID:
    """Return a new run of *owner*'s, or a visitor's of their flow *source*."""
    run = Run.request(
        uuid4(),
        flow=flow or uuid4(),
        flow_name="endless",
        owner=UUID(owner.id),
        session="s",
        trigger="public" if source else "build",
        request=ContentRef(uuid4(), "ab" * 32, 2),
        source=source,
    )
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    owned = Attached(owned=(Owned(run.id, "run", UUID(owner.id)),))
    await application.world.store.save(run, cause=cause, attached=owned)
    return run.id

"""Pictures that come within a message: kept among the files of the flow it is for."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec

from application.commands import part_of
from application.files import Files
from application.ports import Actor, Cause
from application.uploads import Uploads
from domain.file.pictures import ENDINGS
from domain.kernel import DomainError


class Picture(msgspec.Struct, frozen=True):
    """A picture of a known kind, whole."""

    media_type: str
    data: bytes


class Pictures:
    """Keeps what comes within messages the way uploads are kept, and as sealed."""

    def __init__(self, uploads: Uploads, files: Files) -> None:
        self._uploads = uploads
        self._files = files

    async def keep(
        self, actor: Actor, flow: UUID, pictures: Sequence[Picture], *, cause: Cause
    ) -> list[str]:
        """
        Keep *pictures* among the files of *actor*'s flow; return their paths.

        All or none: raise what `Uploads.take` raises. A command that is idempotent
        keeps them once.
        """
        kept: list[UUID] = []
        paths: list[str] = []
        try:
            for place, picture in enumerate(pictures, 1):
                done = await self._uploads.take(
                    actor,
                    f"picture-{place}.{ENDINGS[picture.media_type]}",
                    _whole(picture.data),
                    flow=flow,
                    cause=part_of(cause, f"picture {place}"),
                )
                kept.append(done.result.id)
                paths.append(done.result.path)
        except DomainError:
            await self._files.delete(actor, kept, cause=part_of(cause, "no pictures"))
            raise
        return paths


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data

"""Files: found by path, opened, renamed, and deleted with all their bytes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import batched
from typing import Final, override
from uuid import UUID

from application import underway
from application.commands import (
    Done,
    answer_of,
    deciding_again,
    ids_in,
    part_of,
)
from application.file_limits import (
    FileNameTakenError,
)
from application.permissions import NotFoundError, Permissions, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claims,
    ClaimTakenError,
    ContentMissingError,
    Contents,
    EventStore,
    Ownership,
    Position,
    Saved,
    StreamNotFoundError,
)
from application.ports.files import FileBytes, OpenedFile, OwnersFiles
from application.repeats import once
from application.uploads import NAME, claims_of, title_claims
from domain.file.file import File

AT_A_TIME: Final = 100


class Files(OwnersFiles):
    """Load files, let them decide, store what they decided; open their bytes."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        ownership: Ownership,
        contents: Contents,
        kept: FileBytes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._claims = claims
        self._permissions = Permissions(ownership)
        self._contents = contents
        self._bytes = kept
        self._now = now

    async def rename(
        self, actor: Actor, file_id: UUID, title: str, *, cause: Cause
    ) -> Done[File]:
        """Show a file under another name; its path stays as it is."""

        async def attempt() -> Done[File]:
            file = await self.get(actor, file_id)
            before = title_claims(file)
            file.rename(title)
            attached = Attached(claims=title_claims(file), released=before)
            try:
                saved = await self._store.save(file, cause=cause, attached=attached)
            except ClaimTakenError as taken:
                raise FileNameTakenError from taken
            return Done(file, saved.position)

        return await deciding_again(attempt)

    async def delete(
        self, actor: Actor, files: Sequence[UUID], *, cause: Cause
    ) -> Done[list[File]]:
        """Delete those of *files* that are *actor*'s, with their bytes."""

        async def again(before: Saved) -> Done[list[File]]:
            gone = [await self._load(file) for file in ids_in(before.answer)]
            return Done(gone, before.position)

        async def attempt() -> Done[list[File]]:
            owned = await self._permissions.among(actor, "file", files)
            return await self._remove([one.resource for one in owned], cause=cause)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def delete_at(
        self, actor: Actor, path: str, *, cause: Cause
    ) -> Done[list[File]]:
        """Delete the file that *path* names."""

        async def again(before: Saved) -> Done[list[File]]:
            return Done([], before.position)

        async def attempt() -> Done[list[File]]:
            file = await self.at(actor, path)
            return await self._remove([file.id], cause=cause)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def delete_all(self, actor: Actor, *, cause: Cause) -> Done[int]:
        """Delete all files of *actor*'s own; those of flows stay."""
        return await self._clear(person(actor), cause=cause)

    async def forget_flows(self, flows: Sequence[UUID], *, cause: Cause) -> None:
        """Delete the files of those of *flows*, now deleted, that have any."""
        left = await self._claims.any_of(NAME, [f"{flow}/" for flow in flows])
        for place in left:
            await self.forget_flow(UUID(place.removesuffix("/")), cause=cause)

    async def forget_flow(self, flow: UUID, *, cause: Cause) -> Position:
        """Delete the files of a flow that was deleted."""
        return (await self._clear(flow, cause=cause)).position

    async def sweep(self, *, cause: Cause) -> None:
        """Delete the files of flows whose deletion was cut short, some at a time."""
        for flow in await self._bytes.strays(limit=AT_A_TIME):
            await self.forget_flow(flow, cause=part_of(cause, str(flow)))

    async def get(self, actor: Actor, file_id: UUID) -> File:
        """Return a file of *actor*'s as the log has it, or raise `NotFoundError`."""
        await self._permissions.require(actor, "file", file_id)
        file = await self._load(file_id)
        if file.deleted:
            raise NotFoundError("file", file_id)
        return file

    async def at(self, actor: Actor, path: str) -> File:
        """Return the file of *actor*'s that *path* names: ``<flow or user>/<name>``."""
        place, _, name = path.partition("/")
        try:
            place = str(UUID(place))
        except ValueError:
            raise NotFoundError("file", path) from None
        found = await self._claims.holder(NAME, f"{place}/{name}")
        if found is None:
            raise NotFoundError("file", path)
        return await self.get(actor, found)

    @override
    async def of_owner(
        self, owner: UUID, path: str, *, end: int | None = None
    ) -> OpenedFile | None:
        """Open a file of *owner* up to *end*; None if there is none at *path*."""
        try:
            return await self.open(await self.at(Actor(owner), path), end=end)
        except (NotFoundError, ContentMissingError):
            return None

    async def open(
        self, file: File, *, start: int = 0, end: int | None = None
    ) -> OpenedFile:
        """Open the bytes of *file* from *start* up to *end*, exclusive."""
        return OpenedFile(
            id=file.id,
            owner=file.owner,
            path=file.path,
            name=file.name,
            media_type=file.media_type,
            size=file.content.size,
            chunks=await self._bytes.open(file.content, start=start, end=end),
        )

    async def _clear(self, place: UUID, *, cause: Cause) -> Done[int]:
        count, position = 0, Position()
        while inside := await self._claims.taken(NAME, f"{place}/"):
            for some in batched([one.holder for one in inside], AT_A_TIME):
                step = part_of(cause, f"files from {some[0]}")
                removed = await self._remove(some, cause=step)
                count += len(removed.result)
                position = position.upto(removed.position)
        return Done(count, position)

    async def _remove(self, ids: Sequence[UUID], *, cause: Cause) -> Done[list[File]]:
        try:
            loaded = await self._store.load_each(File, ids)
        except StreamNotFoundError as missing:
            raise NotFoundError("file", missing.args[0]) from missing
        gone = [file for file in loaded if not file.deleted]
        ids = [file.id for file in gone]
        blobs = await self._contents.blobs_of(ids)
        going = tuple(
            underway.note(gone[0].owner, address, size=0, at=self._now())
            for address in blobs
        )
        released = tuple(claim for file in gone for claim in claims_of(file))
        for file in gone:
            file.delete()
        saved = await self._store.save(
            *gone,
            cause=cause,
            attached=Attached(
                claims=going, released=released, disowned=ids, forgotten=ids
            ),
            answer=answer_of(*ids),
        )
        await self._contents.discard(blobs)
        await underway.release(self._store, *going, cause=cause)
        return Done(gone, saved.position)

    async def _load(self, file_id: UUID) -> File:
        try:
            return await self._store.load(File, file_id)
        except StreamNotFoundError as missing:
            raise NotFoundError("file", file_id) from missing

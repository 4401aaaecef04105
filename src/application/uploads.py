"""Uploads: taken in as their bytes come, counted, and given a name that is free."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import msgspec

from application import underway
from application.commands import Done, Turns, answer_of, ids_in
from application.file_limits import (
    FileLimits,
    FileNameTakenError,
    FileTooLargeError,
    NoRoomForFileError,
    UnwantedFileTypeError,
)
from application.permissions import Permissions, person
from application.ports import (
    Actor,
    Attached,
    BlobsAwayError,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    EventStore,
    OutcomeUnknownError,
    Owned,
    Ownership,
    Saved,
)
from application.ports.files import FileBytes, Parcel
from application.repeats import once
from application.upload_room import UploadRoom
from domain.file import names
from domain.file.file import File
from domain.flow.names import next_name
from domain.kernel import DomainError

NAMING_TRIES: Final = 8
NAME, TITLE = "file-name", "file-title"


class Uploads:
    """Take files in, each whole or not at all, within what their owner may have."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        ownership: Ownership,
        kept: FileBytes,
        limits: FileLimits,
        room: UploadRoom,
        new_id: Callable[[], UUID] = uuid4,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._claims = claims
        self._permissions = Permissions(ownership)
        self._bytes = kept
        self._limits = limits
        self.room = room
        self._new_id = new_id
        self._now = now
        self._turns: Turns[UUID] = Turns()

    def receiving(self, actor: Actor) -> AbstractContextManager[None]:
        """Keep room for one upload, from before its first byte comes."""
        return self.room.of(person(actor))

    async def take(
        self,
        actor: Actor,
        name: str,
        data: AsyncIterator[bytes],
        *,
        flow: UUID | None = None,
        cause: Cause,
    ) -> Done[File]:
        """
        Take in a file as its bytes come: to *flow*, or to the files of *actor*.

        Its name gets a number where it is taken. Raise `FileTooLargeError` or
        `NoRoomForFileError` as soon as too much has come, and whatever *data*
        raises; then nothing is left of it.
        """
        owner = person(actor)
        if flow is not None:
            await self._permissions.require(actor, "flow", flow)
        name = self._wanted(name)
        room = await self._room(owner)
        parcel = await self._bytes.receive(
            owner, self._new_id(), self._at_most(data, room)
        )
        if cause.idempotent:
            told = f"{name}/{parcel.content.ref.digest}".encode()
            digest = sha256(cause.request_hash + told).digest()
            cause = msgspec.structs.replace(cause, request_hash=digest)

        async def again(before: Saved) -> Done[File]:
            return await self._taken_before(before, parcel)

        async def attempt() -> Done[File]:
            return await self._keep(owner, name, parcel, flow=flow, cause=cause)

        return await once(self._store, cause, again=again, attempt=attempt)

    def _wanted(self, name: str) -> str:
        name = names.clean(name)
        ending = names.ending_of(name)
        if self._limits.endings and ending not in self._limits.endings:
            raise UnwantedFileTypeError(ending or name)
        return name

    async def _room(self, owner: UUID) -> int | None:
        """Return the bytes that *owner* may still bring, as far as it is known now."""
        if self._limits.room is None:
            return None
        held = await self._bytes.held(owner)
        return self._limits.room - held - await underway.arriving(self._claims, owner)

    async def _at_most(
        self, data: AsyncIterator[bytes], room: int | None
    ) -> AsyncIterator[bytes]:
        came = 0
        async for piece in data:
            came += len(piece)
            if came > self._limits.largest:
                raise FileTooLargeError(f"{self._limits.largest} bytes at most")
            if room is not None and came > room:
                raise NoRoomForFileError
            yield piece

    async def _taken_before(self, before: Saved, parcel: Parcel) -> Done[File]:
        """Return what the first of two uploads with one key came to."""
        [file] = ids_in(before.answer)
        if file != parcel.content.ref.id:  # else it was ourselves, heard of late
            await self._bytes.refuse(parcel)
        return Done(await self._store.load(File, file), before.position)

    async def _keep(
        self,
        owner: UUID,
        name: str,
        parcel: Parcel,
        *,
        flow: UUID | None,
        cause: Cause,
    ) -> Done[File]:
        """Make a file of a parcel; refused, none of it is left."""
        ref = parcel.content.ref
        coming = underway.note(
            owner, parcel.arrival.address, size=ref.size, at=self._now()
        )
        await underway.keep(self._store, coming, cause=cause)
        try:
            if flow is not None:  # it may have been deleted meanwhile
                await self._permissions.require(cause.actor, "flow", flow)
            room = await self._room(owner)  # less what is coming, ourselves included
            if room is not None and room < 0:
                raise NoRoomForFileError
            await self._bytes.accept(parcel)
            async with self._turns.of(flow or owner):
                return await self._save(
                    owner, name, parcel, flow=flow, coming=coming, cause=cause
                )
        except OutcomeUnknownError:
            raise  # it may be stored: the note tells whoever sweeps
        except DomainError:
            await self._throw_away(parcel, coming, cause=cause)
            raise

    async def _throw_away(self, parcel: Parcel, coming: Claim, *, cause: Cause) -> None:
        try:
            await self._bytes.refuse(parcel)
        except BlobsAwayError:
            # What is left of it takes nobody's room, and is swept.
            address = parcel.arrival.address
            going = underway.note(coming.holder, address, size=0, at=self._now())
            await underway.exchange(self._store, coming, going, cause=cause)
        else:
            await underway.release(self._store, coming, cause=cause)

    async def _save(
        self,
        owner: UUID,
        name: str,
        parcel: Parcel,
        *,
        flow: UUID | None,
        coming: Claim,
        cause: Cause,
    ) -> Done[File]:
        taken: ClaimTakenError | None = None
        for _ in range(NAMING_TRIES):
            file = File.upload(
                parcel.content.ref.id,
                owner=owner,
                flow=flow,
                name=await self._free_name(owner, name, flow),
                media_type=names.media_type_of(name),
                content=parcel.content.ref,
            )
            attached = Attached(
                claims=claims_of(file),
                released=(coming,),
                owned=(Owned(file.id, "file", owner),),
                contents=(parcel.content,),
            )
            answer = answer_of(file.id)
            try:
                saved = await self._store.save(
                    file, cause=cause, attached=attached, answer=answer
                )
            except ClaimTakenError as clash:  # somebody was quicker: the next name
                taken = clash
                continue
            if saved.repeated:  # the same request came twice at once
                done = await self._taken_before(saved, parcel)
                await underway.release(self._store, coming, cause=cause)
                return done
            return Done(file, saved.position)
        raise FileNameTakenError from taken

    async def _free_name(self, owner: UUID, name: str, flow: UUID | None) -> str:
        if flow is not None:
            name = names.stamped(name, self._now())
        stem, ending = names.parts(name)
        place = f"{flow or owner}/"
        paths = await self._claims.taken(NAME, place + stem)
        taken = {names.parts(one.key.removeprefix(place))[0] for one in paths}
        if flow is None:
            titles = await self._claims.taken(TITLE, place + stem)
            taken |= {claim.key.removeprefix(place) for claim in titles}
        return next_name(stem, taken) + ending


def claims_of(file: File) -> tuple[Claim, ...]:
    """Return the names that *file* bears."""
    return Claim(NAME, file.path, file.id), *title_claims(file)


def title_claims(file: File) -> tuple[Claim, ...]:
    """Return the title that *file* bears: in a flow, its path is its only name."""
    if file.flow is not None:
        return ()
    return (Claim(TITLE, f"{file.owner}/{file.title}", file.id),)

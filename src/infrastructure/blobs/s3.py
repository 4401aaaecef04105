"""Blobs in a bucket of Amazon S3 or any server that speaks like it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, override
from uuid import uuid4

from application.ports import (
    Arrival,
    Blobs,
    BlobsAwayError,
    BlobsFullError,
    ContentMissingError,
)
from infrastructure.blobs.address import address_of, checked
from infrastructure.settings import Settings
from infrastructure.starting import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = 8
PIECE: Final = 1024 * 1024
PART: Final = 8 * 1024 * 1024
"""Bytes of one part of an upload: S3 wants five megabytes or more."""
_ARRIVING: Final = "arriving/"
_GONE = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_FULL: Final = 507
"""What a compatible server answers that has no room left."""
TRIES: Final = 4


class BucketError(CannotStartError):
    """The bucket cannot be used."""


class S3Blobs(Blobs):
    """
    Objects ``sha256/ab/abcd…`` in a bucket, and ``arriving/…`` until they are blobs.

    boto3 blocks, so it runs in threads of its own.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._client = _client(endpoint_url, region, access_key, secret_key)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")

    @classmethod
    def of(cls, settings: Settings) -> "S3Blobs":
        """Use the bucket that *settings* name."""
        return cls(
            settings.s3_bucket or "",
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
        )

    async def check(self) -> None:
        """Raise `BucketError` unless the bucket answers."""
        try:
            await self._in_thread(lambda: self._client.head_bucket(Bucket=self._bucket))
        except BlobsAwayError as error:
            why = error.__cause__ or error
            raise BucketError(f"Cannot use the bucket {self._bucket}: {why}") from error

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    @override
    async def put(self, data: bytes) -> str:
        address = address_of(data)
        await self._in_thread(
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=_key(address), Body=data
            )
        )
        return address

    @override
    async def get(self, address: str) -> bytes:
        key = _key(checked(address))

        def read() -> bytes:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            with found["Body"] as body:
                data: bytes = body.read()
            return data

        try:
            return await self._in_thread(read)
        except BlobsAwayError as error:
            if _is_gone(error):
                raise ContentMissingError(address) from error
            raise

    @override
    async def delete(self, address: str) -> None:
        try:
            key = _key(checked(address))
        except ContentMissingError:
            return
        await self._in_thread(
            lambda: self._client.delete_object(Bucket=self._bucket, Key=key)
        )

    @override
    async def receive(self, data: AsyncIterator[bytes]) -> Arrival:
        upload = _Upload(self._client, self._bucket, f"{_ARRIVING}{uuid4()}")
        buffer = bytearray()
        try:
            async for piece in data:
                buffer += piece
                while len(buffer) >= PART:
                    part = bytes(buffer[:PART])
                    del buffer[:PART]
                    await self._in_thread(partial(upload.add, part))
            await self._in_thread(partial(upload.finish, bytes(buffer)))
        except BaseException:
            # Not awaited: whoever was cancelled may not wait. What fails is swept.
            self._threads.submit(upload.abort)
            raise
        return Arrival(
            address=upload.digest.hexdigest(), size=upload.size, place=upload.key
        )

    @override
    async def accept(self, arrival: Arrival) -> None:
        # S3 knows no other way to give something its name once all of it has come.
        source = {"Bucket": self._bucket, "Key": arrival.place}
        key = _key(checked(arrival.address))
        await self._in_thread(lambda: self._client.copy(source, self._bucket, key))
        await self.refuse(arrival)

    @override
    async def refuse(self, arrival: Arrival) -> None:
        await self.sweep([arrival.place])

    @override
    async def stream(
        self, address: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        if end is not None and end <= start:
            return
        body = await self._body(address, start, end)
        try:
            while piece := await self._in_thread(lambda: body.read(PIECE)):
                yield piece
        finally:
            body.close()

    async def _body(self, address: str, start: int, end: int | None) -> Any:
        asked = {"Bucket": self._bucket, "Key": _key(checked(address))}
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            found = await self._in_thread(lambda: self._client.get_object(**asked))
        except BlobsAwayError as error:
            if _is_gone(error):
                raise ContentMissingError(address) from error
            raise
        return found["Body"]

    @override
    async def left_over(self, *, before: datetime) -> dict[str, int]:
        """Return objects and unfinished uploads that arrived before, some at a time."""
        return await self._in_thread(lambda: dict(self._left_over(before)))

    def _left_over(self, before: datetime) -> Iterator[tuple[str, int]]:
        where = {"Bucket": self._bucket, "Prefix": _ARRIVING}
        objects = self._client.list_objects_v2(**where).get("Contents", ())
        for one in objects:
            if one["LastModified"] < before:
                yield one["Key"], one["Size"]
        for one in self._client.list_multipart_uploads(**where).get("Uploads", ()):
            if one["Initiated"] < before:
                yield f"{one['Key']}?{one['UploadId']}", 0

    @override
    async def sweep(self, left_over: Collection[str]) -> None:
        for name in left_over:
            key, _, upload = name.partition("?")
            if not key.startswith(_ARRIVING):
                continue
            try:
                await self._in_thread(partial(self._remove, key, upload))
            except BlobsAwayError as error:
                if not _is_gone(error):  # another server may have swept it
                    raise

    def _remove(self, key: str, upload: str) -> None:
        if upload:
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload
            )
        else:
            self._client.delete_object(Bucket=self._bucket, Key=key)

    async def _in_thread[T](self, work: "Callable[[], T]") -> T:
        """Do *work*; raise `BlobsAwayError` where that cannot be done."""
        from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415
            BotoCoreError,
            ClientError,
        )

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work)
        except BotoCoreError as error:
            raise BlobsAwayError from error
        except ClientError as error:
            told = error.response.get("ResponseMetadata", {})
            if told.get("HTTPStatusCode") == _FULL:
                raise BlobsFullError from error
            # Keys it no longer knows, too: nothing that whoever asks can mend.
            raise BlobsAwayError from error


class _Upload:
    """An object sent in parts; in one, where that is all of it."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self.key = key
        self.digest = sha256()
        self.size = 0
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []
        # A part may be under way in a thread when the upload is given up.
        self._turn = threading.Lock()
        self._over = False

    def add(self, part: bytes) -> None:
        """Send some more."""
        with self._turn:
            if not self._over:
                self._add(part)

    def finish(self, rest: bytes) -> None:
        """Send the rest; then the object is there."""
        with self._turn:
            if not self._over:
                self._finish(rest)

    def abort(self) -> None:
        """Leave nothing of it."""
        with self._turn:
            self._over = True
            if self._id is not None:
                self._client.abort_multipart_upload(**self._where, UploadId=self._id)
            else:
                self._client.delete_object(**self._where)

    def _add(self, part: bytes) -> None:
        self._count(part)
        if self._id is None:
            begun = self._client.create_multipart_upload(**self._where)
            self._id = begun["UploadId"]
        number = len(self._parts) + 1
        sent = self._client.upload_part(
            **self._where, UploadId=self._id, PartNumber=number, Body=part
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _finish(self, rest: bytes) -> None:
        if self._id is None:
            self._count(rest)
            self._client.put_object(**self._where, Body=rest)
            return
        if rest:
            self._add(rest)
        self._client.complete_multipart_upload(
            **self._where,
            UploadId=self._id,
            MultipartUpload={"Parts": self._parts},
        )

    def _count(self, part: bytes) -> None:
        self.digest.update(part)
        self.size += len(part)


def _client(
    endpoint_url: str | None,
    region: str | None,
    access_key: str | None,
    secret_key: str | None,
) -> Any:  # boto3 makes its classes as it runs
    # Imported when S3 is wanted: it costs every other start a third of a second.
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": TRIES},
            max_pool_connections=_THREADS,
        ),
    )


def _is_gone(error: BlobsAwayError) -> bool:
    """Tell whether there is no such object, which is no fault of the store."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code") in _GONE


def _key(address: str) -> str:
    return f"sha256/{address[:2]}/{address}"

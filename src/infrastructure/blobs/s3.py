"""Blobs in a bucket of Amazon S3 or any server that speaks like it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, override

from application.ports import Blobs, ContentMissingError
from infrastructure.blobs.address import address_of, checked
from infrastructure.settings import Settings
from infrastructure.starting import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = 8
_GONE = {"404", "NoSuchKey", "NotFound"}


class BucketError(CannotStartError):
    """The bucket cannot be used."""


class S3Blobs(Blobs):
    """
    Objects ``sha256/ab/abcd…`` in a bucket.

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
        from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415
            BotoCoreError,
            ClientError,
        )

        try:
            await self._in_thread(lambda: self._client.head_bucket(Bucket=self._bucket))
        except (BotoCoreError, ClientError) as error:
            raise BucketError(
                f"Cannot use the bucket {self._bucket}: {error}"
            ) from error

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
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
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

    async def _in_thread[T](self, work: "Callable[[], T]") -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


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
            retries={"mode": "standard", "max_attempts": 4},
            max_pool_connections=_THREADS,
        ),
    )


def _key(address: str) -> str:
    return f"sha256/{address[:2]}/{address}"
